// SPDX-License-Identifier: Apache-2.0
//
// Layers for sliding-channel convolution: activations, weights and gradients of one 1x1 layer with a
// depthwise 3x3 in front of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "datasets/dataset.h"

namespace remeasure::datasets {

struct SlidingChannelLayer {
  std::size_t batch = 0, inputs = 0, outputs = 0, height = 0, width = 0;
  std::vector<float> x;               ///< [batch, inputs, height, width]
  std::vector<float> unit_weight;     ///< [outputs, inputs], uniform in (-1, 1)
  std::vector<float> depthwise;       ///< [inputs, 3, 3], uniform in (-1/3, 1/3)
  std::vector<float> depthwise_bias;  ///< [inputs], N(0, 1/100)
  std::vector<float> bias;            ///< [outputs], N(0, 1/100)
  std::vector<float> dy;              ///< [batch, outputs, height, width], N(0, 1)

  /// Weights of windows of that length: the first columns of unit_weight, uniform within 1 / sqrt(window).
  std::vector<float> weight(std::size_t window) const;
};

/// "sliding_channel": parameters batch, inputs, outputs, height, width. x = max(N(0, 1), 0): half of it zero,
/// as after a ReLU. One file serves every number of groups and overlap. Real data: CIFAR-10's pictures, of
/// which x is what a random first layer of a VGG makes (3x3 convolution, ReLU, means of squares down to
/// height x width).
extern const Definition sliding_channel_definition;

Parameters sliding_channel(std::size_t batch, std::size_t inputs, std::size_t outputs, std::size_t height,
                           std::size_t width, std::uint64_t seed);
SlidingChannelLayer read_sliding_channel(Reader& reader);

}  // namespace remeasure::datasets
