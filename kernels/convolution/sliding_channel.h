// SPDX-License-Identifier: Apache-2.0
//
// Sliding-channel convolution (SCC; Wang et al., "DSXplore: Optimizing Convolutional Neural Networks via
// Sliding-Channel Convolutions", IPDPS 2021, arXiv 2101.00745, section III): a 1x1 convolution of which each
// output channel reads `window` consecutive input channels, cyclically, and the window slides by `step` from
// one output channel to the next.
//
//   start(c) = c * step mod inputs
//   y[b, c, p] = sum_j w[c, j] * x[b, (start(c) + j) mod inputs, p]
//
// Sorted by the start of their windows, 16 outputs read a narrow band of channels: the product of a banded
// matrix with x, which is what the kernels compute. Arrays are NCHW, f32 or bfloat16.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/device/device.h"
#include "kernels/device/float16.h"
#include "kernels/device/qualifiers.h"

namespace remeasure::kernels {

struct SlidingChannelShape {
  int batch = 1, inputs = 1, outputs = 1, height = 1, width = 1;
  int window = 1;  ///< channels that an output reads: inputs / groups
  int step = 1;    ///< from one output's window to the next's; 0: all read the same channels

  /// The paper's parameters: window = inputs / groups, step = window - floor(overlap * window).
  static SlidingChannelShape of(int batch, int inputs, int outputs, int height, int width, int groups,
                                double overlap);

  RM_HOST_DEVICE int pixels() const { return height * width; }
  /// Pixels of all images: the columns of the product.
  RM_HOST_DEVICE int columns() const { return batch * height * width; }
  RM_HOST_DEVICE int start(int output) const { return output * step % inputs; }
  RM_HOST_DEVICE int channel(int output, int j) const { return (start(output) + j) % inputs; }
  /// After how many outputs the windows repeat: inputs / gcd(inputs, step). There are that many different
  /// windows.
  int cycle() const;
  std::size_t x_elements() const { return size(inputs) * size(columns()); }
  std::size_t y_elements() const { return size(outputs) * size(columns()); }
  std::size_t w_elements() const { return size(outputs) * size(window); }
  /// The multiply-adds of the paper's formula.
  double products() const { return static_cast<double>(columns()) * outputs * window; }

 private:
  static std::size_t size(int n) { return static_cast<std::size_t>(n); }
};

/// Throws std::invalid_argument that names `what` for a shape that isn't one.
void check_sliding_channel(const char* what, const SlidingChannelShape& shape);

/// Throws std::invalid_argument where a size isn't the one that follows from the shape.
void check_sliding_sizes(const char* what, const SlidingChannelShape& shape, std::size_t x, std::size_t w,
                         std::size_t y);
void check_sliding_tables(const char* what, const SlidingChannelShape& shape, std::size_t output,
                          std::size_t start, std::size_t first);

inline constexpr int kSlidingRows = 64;   ///< rows of the result that a block computes
inline constexpr int kSlidingChunk = 32;  ///< places along the inner dimension that are staged at once

/// Outputs in the order of their windows.
struct SlidingChannelOrder {
  std::vector<int> output;  ///< by position; padded with -1 to whole tiles of kSlidingRows
  std::vector<int> start;   ///< of that position's window; the padding repeats the last
  std::vector<int> first;   ///< [inputs + 1]: the first position whose window starts there or later
};
SlidingChannelOrder sliding_channel_order(const SlidingChannelShape& shape);

/// The same on a device: [outputs rounded up to kSlidingRows] twice, and [inputs + 1].
template <class Target>
struct SlidingChannelTables {
  DeviceSpan<Target, const int> output, start, first;
};

/// How a product is computed: with fused multiply-adds in f32, on tensor cores in TF32, or (bfloat16 alone)
/// on tensor cores in bf16. Sums are f32.
enum class SlidingProduct { fma, tf32, bf16 };
/// Places along the inner dimension of one product of a warp.
constexpr int inner_step(SlidingProduct product) {
  return product == SlidingProduct::fma ? 4 : product == SlidingProduct::tf32 ? 8 : 16;
}

/// y[b, c, p]. Element is float (fma, tf32) or bfloat16 (bf16).
template <class Target, class Element>
void scc_forward(Stream<Target>&, const SlidingChannelShape&, SlidingProduct, SlidingChannelTables<Target>,
                 DeviceSpan<Target, const Element> x, DeviceSpan<Target, const Element> w,
                 DeviceSpan<Target, Element> y);

/// dx[b, i, p] = sum over the outputs c whose window holds i of w[c, i - start(c)] * dy[b, c, p]: gathered,
/// input-centric, without atomics. fma or tf32.
template <class Target>
void scc_backward_data(Stream<Target>&, const SlidingChannelShape&, SlidingProduct,
                       SlidingChannelTables<Target>, DeviceSpan<Target, const float> dy,
                       DeviceSpan<Target, const float> w, DeviceSpan<Target, float> dx);

/// The same, scattered: a thread per element of dy adds to all channels of its window by atomics, columns *
/// outputs * window in all. The last bits depend on the order.
template <class Target>
void scc_backward_data_output_centric(Stream<Target>&, const SlidingChannelShape&,
                                      DeviceSpan<Target, const float> dy, DeviceSpan<Target, const float> w,
                                      DeviceSpan<Target, float> dx);

/// Into how many parts the columns are divided for dw.
int scc_weight_parts(const SlidingChannelShape& shape);
/// dw[c, j] = sum over b, p of dy[b, c, p] * x[b, (start(c) + j) mod inputs, p], in two stages: a sum for
/// each part of the columns, then the sum of the parts. `partial`: [scc_weight_parts, outputs, window].
template <class Target>
void scc_backward_weight(Stream<Target>&, const SlidingChannelShape&, SlidingProduct,
                         SlidingChannelTables<Target>, DeviceSpan<Target, const float> x,
                         DeviceSpan<Target, const float> dy, DeviceSpan<Target, float> partial,
                         DeviceSpan<Target, float> dw);

/// The block that replaces a 3x3 convolution: depthwise 3x3 (pad 1), bias, ReLU, SCC, bias, ReLU, with batch
/// normalisation folded into weights and biases. `shape` is that of the SCC: x has height * stride rows and
/// width * stride columns.
template <class Target>
struct SlidingChannelBlock {
  int stride = 1;
  DeviceSpan<Target, const float> depthwise;       ///< [inputs, 3, 3]
  DeviceSpan<Target, const float> depthwise_bias;  ///< [inputs]
  DeviceSpan<Target, const float> w;               ///< [outputs, window]
  DeviceSpan<Target, const float> bias;            ///< [outputs]
};
/// In one launch: what the depthwise convolution gives for a tile of pixels stays in shared memory. fma or
/// tf32. inputs from 32 to kMostFusedInputs.
inline constexpr int kMostFusedInputs = 1024;
template <class Target>
void scc_block(Stream<Target>&, const SlidingChannelShape&, SlidingProduct, SlidingChannelTables<Target>,
               const SlidingChannelBlock<Target>&, DeviceSpan<Target, const float> x,
               DeviceSpan<Target, float> y);

/// The framework's way, first half: stack[b, q, j, p] = x[b, channel(q, j), p] for the cycle() different
/// windows q. Element is float or bfloat16.
template <class Target, class Element>
void stack_channels(Stream<Target>&, const SlidingChannelShape&, DeviceSpan<Target, const Element> x,
                    DeviceSpan<Target, Element> stack);

// --- What the kernels execute, for their Work. All exact. ---

/// Floating-point operations of scc_forward and scc_backward_data, padding of tiles included.
double scc_forward_flops(const SlidingChannelShape&, SlidingProduct, int columns_per_block = 64);
double scc_backward_data_flops(const SlidingChannelShape&, SlidingProduct);
/// Both stages.
double scc_backward_weight_flops(const SlidingChannelShape&, SlidingProduct);
/// A depthwise convolution as 9 multiply-adds a value, borders included, bias and products.
double scc_block_flops(const SlidingChannelShape&, SlidingProduct);

}  // namespace remeasure::kernels
