// SPDX-License-Identifier: Apache-2.0
//
// Residual blocks of convolutional networks, channels last, norm folded into weights and biases:
//
//   ConvFirst (Lavin, "On the Efficiency of Convolutional Neural Networks", arXiv 2404.03617):
//     z = convolution_{k x k, groups of 8 channels}(x) + b0;  h = gelu(W1 z + b1);  y = x + W2 h + b2
//   MBConv (Sandler et al., "MobileNetV2", CVPR 2018), without squeeze-and-excitation:
//     h = gelu(W1 x + b1);  g = gelu(depthwise_{k x k}(h) + b0);  y = x + W2 g + b2
//   ConvNeXt (Liu et al., "A ConvNet for the 2020s", CVPR 2022):
//     z = layer_norm(depthwise_{7 x 7}(x) + b0);  h = gelu(W1 z + b1);  y = x + W2 h + b2
//
// Convolutions see zeros beyond the picture. gelu is its tanh form.
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace remeasure::kernels {

enum class Block { convfirst, mbconv, convnext };
const char* to_string(Block block);

inline constexpr int kGroupWidth = 8;  ///< channels of a group of ConvFirst's convolution
inline constexpr double kNormEpsilon = 1e-6;

/// x, y: [batch, height, width, channels]. W1: [expansion channels, channels], W2 its transpose's shape.
struct BlockShape {
  int batch = 1, height = 1, width = 1, channels = 32;
  int expansion = 4, kernel = 3;

  int hidden() const { return expansion * channels; }
  std::size_t pixels() const {
    return static_cast<std::size_t>(batch) * static_cast<std::size_t>(height) *
           static_cast<std::size_t>(width);
  }
  std::size_t elements() const { return pixels() * static_cast<std::size_t>(channels); }
};

/// Sizes of a block's arrays.
struct BlockSizes {
  std::size_t filter;       ///< ConvFirst [C, k, k, 8]; MBConv [eC, k, k]; ConvNeXt [C, k, k]
  std::size_t filter_bias;  ///< C, eC, C
  std::size_t dense;        ///< W1 [eC, C], and W2 [C, eC]
  std::size_t expand_bias, project_bias;
  std::size_t norm;  ///< ConvNeXt: gain and offset [2, C]; else 0
  std::size_t weights() const { return filter + 2 * dense; }
  std::size_t biases() const { return filter_bias + expand_bias + project_bias + norm; }
};
BlockSizes block_sizes(Block block, const BlockShape& shape);

template <class Scalar>
struct BlockWeights {
  std::span<const Scalar> filter, filter_bias, expand, expand_bias, project, project_bias, norm = {};
};

/// Throws std::invalid_argument that names the caller: extents below 1, channels that aren't whole groups, a
/// kernel of an even extent; arrays of another size than the shape's.
void check_block(const char* caller, Block block, const BlockShape& shape);
void check_block_sizes(const char* caller, Block block, const BlockShape& shape, std::size_t x, std::size_t y,
                       const BlockSizes& given);

/// Multiply-adds for one pixel: ConvFirst 8 k^2 C + 2 e C^2, MBConv 2 e C^2 + k^2 e C, ConvNeXt k^2 C + 2 e
/// C^2.
double block_macs_per_pixel(Block block, const BlockShape& shape);
inline double block_macs(Block block, const BlockShape& shape) {
  return block_macs_per_pixel(block, shape) * static_cast<double>(shape.pixels());
}

/// Activations that the layers of a block read and write when each is a kernel with bias, activation and
/// residual in its epilogue, in units of the input's size: 5 + 2 e for ConvFirst. `separate_activation`: the
/// activation is a kernel of its own.
double unfused_traffic(Block block, int expansion, bool separate_activation);

}  // namespace remeasure::kernels
