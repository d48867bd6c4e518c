// SPDX-License-Identifier: Apache-2.0
//
// What a recurrent layer is fed with.
#pragma once

#include <cstddef>
#include <vector>

#include "datasets/dataset.h"

namespace remeasure::datasets {

/// "recurrent_input": parameters batch, steps, hidden. `x` [batch, steps, hidden] is N(0, 1). Imported: a
/// .npy of that shape.
extern const Definition recurrent_input_definition;

Parameters recurrent_input(std::size_t batch, std::size_t steps, std::size_t hidden, std::uint64_t seed);
std::vector<float> read_recurrent_input(Reader& reader);

/// How far gate `gate` shifts the units of a head: its input is x of the unit that many places further,
/// around the end. So a layer with `gates` times as many inputs as units needs no more data than x, and a
/// library's linear layer (a permutation for each gate) gives it exactly.
constexpr std::size_t gate_shift(std::size_t gate) {
  return 5 * gate;
}

/// W x as a layer with heads takes it, [batch, steps, gates, heads, dim]: x[.., head, (unit + gate_shift) %
/// dim].
std::vector<float> gate_inputs(const std::vector<float>& x, std::size_t gates, std::size_t heads,
                               std::size_t dim);

}  // namespace remeasure::datasets
