// SPDX-License-Identifier: Apache-2.0
//
// Activations and weights of one residual block of a convolutional network, channels last.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "datasets/dataset.h"

namespace remeasure::datasets {

/// What lies before and between the two dense layers of the block: "convfirst" (a convolution of groups of 8
/// channels first), "mbconv" (depthwise between them), "convnext" (depthwise and layer norm first).
struct ResidualBlockShape {
  std::string block;
  int images = 1, height = 1, width = 1, channels = 8, expansion = 4, kernel = 3;
};

/// x: [images, height, width, channels]. filter: convfirst [channels, kernel, kernel, 8], mbconv [expansion
/// channels, kernel, kernel], convnext [channels, kernel, kernel]. w1: [expansion channels, channels], w2:
/// [channels, expansion channels]. norm: gain and offset [2, channels], convnext only.
struct ResidualBlock {
  std::vector<float> x, filter, filter_bias, w1, b1, w2, b2, norm;
};

/// "residual_blocks": x is N(0, 1), as batch norm leaves activations; weights are Kaiming-normal, N(0, 2 /
/// inputs of a sum); biases N(0, 0.1^2); gains of the norm N(1, 0.1^2), its offsets N(0, 0.1^2).
extern const Definition residual_blocks_definition;

Parameters residual_blocks(const ResidualBlockShape& shape, std::uint64_t seed);
ResidualBlock read_residual_block(Reader& reader);

}  // namespace remeasure::datasets
