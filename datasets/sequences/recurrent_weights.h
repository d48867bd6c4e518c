// SPDX-License-Identifier: Apache-2.0
//
// The weights of a recurrent layer with heads, and the states that it begins with.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "datasets/dataset.h"

namespace remeasure::datasets {

struct RecurrentWeights {
  std::vector<float> weights;  ///< [gates, heads, dim (new), dim (previous)]
  std::vector<float> bias;     ///< [biases, heads, dim]
  std::vector<float> first;    ///< [states, batch, heads, dim]
};

/// "recurrent_weights": parameters gates (recurrent), biases, states, batch, heads, dim. R is N(0, 1) /
/// sqrt(dim), b 0.1 N(0, 1). Of the first states even batch entries are zero, as layers begin, and odd ones
/// are in the middle of a sequence: h and c 0.5 N(0, 1); a third state (sLSTM's n) at least 1.
extern const Definition recurrent_weights_definition;

struct RecurrentSizes {
  int gates = 4, biases = 4, states = 2, batch = 1, heads = 1, dim = 16;
};
Parameters recurrent_weights(const RecurrentSizes& sizes, std::uint64_t seed);
RecurrentWeights read_recurrent_weights(Reader& reader);

}  // namespace remeasure::datasets
