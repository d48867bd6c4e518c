// SPDX-License-Identifier: Apache-2.0
//
// A whole ConvFirst block in one launch, and its convolution alone. Definitions in residual_block.h.
#pragma once

#include "kernels/convolution/residual_block.h"
#include "kernels/device/device.h"
#include "kernels/device/float16.h"

namespace remeasure::kernels {

/// How a picture is cut: a block of threads owns `band_steps` steps of `rows` rows in a tile of `columns`
/// columns, and works on one step at a time.
struct ConvFirstTiling {
  int columns = 0, rows = 0, band_steps = 0;
  int band_rows() const { return rows * band_steps; }
  int bands(const BlockShape& shape) const { return (shape.height + band_rows() - 1) / band_rows(); }
  int column_tiles(const BlockShape& shape) const { return (shape.width + columns - 1) / columns; }
};

/// Pixels that a block of threads works on at a time (its accumulators: pixels x channels), and how many of
/// the hidden channels.
constexpr int convfirst_pixels(int channels, std::size_t element_bytes) {
  return element_bytes == 2 && channels <= 64 ? 128 : 64;
}
constexpr int convfirst_chunk(int channels, std::size_t element_bytes) {
  return element_bytes == 2 && (channels == 128 || channels == 256) ? 64 : 32;
}
/// Rows of the ring of input rows: those of a step with a row above and below, and the next step's.
constexpr int convfirst_ring_rows(const ConvFirstTiling& tiling) {
  return (tiling.band_steps > 1 ? 2 : 1) * tiling.rows + 2;
}
std::size_t convfirst_shared_bytes(const BlockShape& shape, const ConvFirstTiling& tiling,
                                   std::size_t element_bytes);
/// The fewest steps that fit into 227 KiB of shared memory; bands as long as leaves an H200's multiprocessors
/// full. Throws std::invalid_argument where the kernel can't do it: channels other
/// than 32, 64, 128, 256, 512 (floats: up to 128), kernels other than 3 x 3, hidden channels that aren't a
/// multiple of 64, no tile that fits.
ConvFirstTiling convfirst_tiling(const BlockShape& shape, std::size_t element_bytes);

/// Throws std::invalid_argument where the kernel cannot run this tiling.
void check_convfirst_tiling(const char* caller, const BlockShape& shape, const ConvFirstTiling& tiling,
                            std::size_t element_bytes);

/// What one launch executes and moves. Of tensor cores: whole tiles of 16 pixels; floats three times.
struct BlockWork {
  double flops = 0, special = 0, bytes = 0;
  double activations_read = 0;     ///< elements of x, each time that a block of threads reads it
  double activations_written = 0;  ///< elements of y
};
BlockWork convfirst_work(const BlockShape& shape, const ConvFirstTiling& tiling, std::size_t element_bytes,
                         bool convolution_only = false);

/// Arrays of a block on a device; biases are float.
template <class Target, class Element>
struct DeviceBlockWeights {
  DeviceSpan<Target, const Element> filter, expand, project;
  DeviceSpan<Target, const float> filter_bias, expand_bias, project_bias;
  DeviceSpan<Target, const float> norm = {};

  BlockSizes sizes() const {
    return {filter.size(),      filter_bias.size(),  expand.size() == project.size() ? expand.size() : 0,
            expand_bias.size(), project_bias.size(), norm.size()};
  }
};

/// y = x + W2 gelu(W1 (conv(x) + b0) + b1) + b2.  Element: half, bfloat16, float; sums in fp32.
template <class Target, class Element>
void convfirst_block(Stream<Target>& stream, const BlockShape& shape, const ConvFirstTiling& tiling,
                     DeviceSpan<Target, const Element> x, const DeviceBlockWeights<Target, Element>& weights,
                     DeviceSpan<Target, Element> y);

/// y = conv(x) + b0: the block's first layer as a kernel of its own, for the unfused form. W1 and W2 aren't
/// looked at.
template <class Target, class Element>
void grouped_convolution(Stream<Target>& stream, const BlockShape& shape, const ConvFirstTiling& tiling,
                         DeviceSpan<Target, const Element> x,
                         const DeviceBlockWeights<Target, Element>& weights, DeviceSpan<Target, Element> y);

}  // namespace remeasure::kernels
