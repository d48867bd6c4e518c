// SPDX-License-Identifier: Apache-2.0
//
// Words over the generators of a group, and the element that each prefix multiplies to.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "datasets/dataset.h"

namespace remeasure::datasets {

struct StateTracking {
  std::size_t sequences = 0, steps = 0, alphabet = 0, states = 0;
  std::vector<std::uint8_t> tokens;      ///< [sequences, steps]
  std::vector<std::uint8_t> state;       ///< [sequences, steps]: after the token; state 0 is before the first
  std::vector<std::uint8_t> transition;  ///< [states, alphabet]
};

/// "state_tracking": parameters group (parity, s3, s5), sequences, steps. Tokens are uniform: bits for
/// parity; for S_n the transposition (1 2) and the cycle (1 2 .. n), which generate it. Elements of S_n are
/// numbered in the lexicographic order of their rows.
extern const Definition state_tracking_definition;

Parameters state_tracking(const std::string& group, std::size_t sequences, std::size_t steps,
                          std::uint64_t seed);
StateTracking read_state_tracking(Reader& reader);

}  // namespace remeasure::datasets
