// SPDX-License-Identifier: Apache-2.0
//
// Linear bounds of one layer's values in a perturbation of its input, and the dense layer that follows: what
// a kernel of bound propagation gets.
#pragma once

#include <cstdint>
#include <vector>

#include "datasets/dataset.h"

namespace remeasure::datasets {

struct BoundsExtent {
  int rows = 0, inputs = 0, channels = 0, outputs = 0;
};

/// lower_weight[r, :, c] . d + lower_bias[r, c] <= z[r, c] <= upper_weight[r, :, c] . d + upper_bias[r, c]
struct LinearBoundsData {
  std::vector<float> lower_weight, upper_weight;  ///< [row, input, channel]
  std::vector<float> lower_bias, upper_bias;      ///< [row, channel]
  std::vector<float> matrix;                      ///< [output, channel]
  std::vector<float> offset;                      ///< [output]
};

/// "linear_bounds": parameters rows, inputs, channels, outputs. Centres N(0, 1/inputs) for weights (columns
/// of norm 1) and N(0, 1) for biases, half widths up to 0.35 of the same deviation; matrix N(0, 1/channels).
/// With a radius of 0.5 every third interval or so has both signs.
extern const Definition linear_bounds_definition;

Parameters linear_bounds(const BoundsExtent& extent, std::uint64_t seed);
LinearBoundsData read_linear_bounds(Reader& reader);

}  // namespace remeasure::datasets
