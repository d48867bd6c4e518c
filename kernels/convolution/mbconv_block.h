// SPDX-License-Identifier: Apache-2.0
//
// A whole MBConv block in one launch. Definitions in residual_block.h.
#pragma once

#include "kernels/convolution/convfirst_block.h"

namespace remeasure::kernels {

/// A block of threads owns `rows` x `columns` pixels, and computes the hidden channels of their halo too.
struct MbConvTiling {
  int rows = 0, columns = 0;
  constexpr int halo_rows(int kernel) const { return rows + kernel - 1; }
  constexpr int halo_columns(int kernel) const { return columns + kernel - 1; }
  int tiles(const BlockShape& shape) const {
    return ((shape.height + rows - 1) / rows) * ((shape.width + columns - 1) / columns);
  }
};

inline constexpr int kMbConvPixels = 64;       ///< of a tile, at most
inline constexpr int kMbConvHaloPixels = 160;  ///< with their halo
inline constexpr int kMbConvChunk = 32;        ///< hidden channels at a time

std::size_t mbconv_shared_bytes(const BlockShape& shape, const MbConvTiling& tiling,
                                std::size_t element_bytes);
/// The tile with the fewest products over the picture. Throws std::invalid_argument where the kernel can't do
/// it: channels other than 32, 64, 128, 256 (floats: to 128), kernels other than 3 and 5, hidden channels
/// that aren't a multiple of 32, no tile that fits.
MbConvTiling mbconv_tiling(const BlockShape& shape, std::size_t element_bytes);
void check_mbconv_tiling(const char* caller, const BlockShape& shape, const MbConvTiling& tiling,
                         std::size_t element_bytes);

/// Hidden pixels computed over pixels of the tile: (rows + k - 1) (columns + k - 1) / (rows columns).
inline double halo_recompute(const MbConvTiling& tiling, int kernel) {
  return static_cast<double>(tiling.halo_rows(kernel)) * tiling.halo_columns(kernel) /
         (static_cast<double>(tiling.rows) * tiling.columns);
}

BlockWork mbconv_work(const BlockShape& shape, const MbConvTiling& tiling, std::size_t element_bytes);

/// y = x + W2 gelu(depthwise(gelu(W1 x + b1)) + b0) + b2.  Element: half, bfloat16, float; sums in fp32.
template <class Target, class Element>
void mbconv_block(Stream<Target>& stream, const BlockShape& shape, const MbConvTiling& tiling,
                  DeviceSpan<Target, const Element> x, const DeviceBlockWeights<Target, Element>& weights,
                  DeviceSpan<Target, Element> y);

}  // namespace remeasure::kernels
