// SPDX-License-Identifier: Apache-2.0
#include "kernels/convolution/residual_block.h"

#include <fmt/format.h>

#include <stdexcept>

namespace remeasure::kernels {

const char* to_string(Block block) {
  switch (block) {
    case Block::convfirst:
      return "ConvFirst";
    case Block::mbconv:
      return "MBConv";
    default:
      return "ConvNeXt";
  }
}

BlockSizes block_sizes(Block block, const BlockShape& shape) {
  const auto c = static_cast<std::size_t>(shape.channels), hidden = static_cast<std::size_t>(shape.hidden());
  const auto taps = static_cast<std::size_t>(shape.kernel) * static_cast<std::size_t>(shape.kernel);
  const std::size_t filtered = block == Block::mbconv ? hidden : c;
  return {.filter = filtered * taps * (block == Block::convfirst ? kGroupWidth : 1),
          .filter_bias = filtered,
          .dense = hidden * c,
          .expand_bias = hidden,
          .project_bias = c,
          .norm = block == Block::convnext ? 2 * c : 0};
}

void check_block(const char* caller, Block block, const BlockShape& shape) {
  if (shape.batch < 1 || shape.height < 1 || shape.width < 1 || shape.channels < 1 || shape.expansion < 1) {
    throw std::invalid_argument(
        fmt::format("{}: batch {}, height {}, width {}, channels {}, expansion {}: all must be at least 1",
                    caller, shape.batch, shape.height, shape.width, shape.channels, shape.expansion));
  }
  if (shape.kernel < 1 || shape.kernel % 2 == 0) {
    throw std::invalid_argument(
        fmt::format("{}: a kernel of {} has no middle; give an odd one", caller, shape.kernel));
  }
  if (block == Block::convfirst && shape.channels % kGroupWidth != 0) {
    throw std::invalid_argument(
        fmt::format("{}: {} channels aren't whole groups of {}", caller, shape.channels, kGroupWidth));
  }
}

void check_block_sizes(const char* caller, Block block, const BlockShape& shape, std::size_t x, std::size_t y,
                       const BlockSizes& given) {
  const auto check = [&](const char* array, std::size_t is, std::size_t must) {
    if (is != must)
      throw std::invalid_argument(fmt::format("{}: {} has {} elements, the {} block of this shape {}", caller,
                                              array, is, to_string(block), must));
  };
  const BlockSizes sizes = block_sizes(block, shape);
  check("x", x, shape.elements());
  check("y", y, shape.elements());
  check("the filter", given.filter, sizes.filter);
  check("the filter's bias", given.filter_bias, sizes.filter_bias);
  check("W1 or W2", given.dense, sizes.dense);
  check("W1's bias", given.expand_bias, sizes.expand_bias);
  check("W2's bias", given.project_bias, sizes.project_bias);
  check("the norm", given.norm, sizes.norm);
}

double block_macs_per_pixel(Block block, const BlockShape& shape) {
  const BlockSizes sizes = block_sizes(block, shape);  // each weight is used once for a pixel
  return static_cast<double>(sizes.weights());
}

double unfused_traffic(Block block, int expansion, bool separate_activation) {
  const double e = expansion;
  // Expand and project with the residual: 1 + e, e + 1 and 1.
  const double dense = 3 + 2 * e;
  switch (block) {
    case Block::convfirst:
      return dense + 2 + (separate_activation ? 2 * e : 0);
    case Block::mbconv:
      return dense + 2 * e + (separate_activation ? 4 * e : 0);
    default:  // depthwise, norm
      return dense + 4 + (separate_activation ? 2 * e : 0);
  }
}

}  // namespace remeasure::kernels
