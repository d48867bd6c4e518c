// SPDX-License-Identifier: Apache-2.0
//
// Sliding-channel convolution without a GPU. The oracle: one element at a time, in double, from the formula.
// The method: products of blocks with Eigen, one for each different window, a template on the scalar.
// Arrays as in sliding_channel.h; everything throws std::invalid_argument for sizes that don't fit.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "kernels/convolution/sliding_channel.h"

namespace remeasure::kernels {

/// Element `index` of y, dx and dw.
double scc_output_at(const SlidingChannelShape& shape, std::span<const float> x, std::span<const float> w,
                     std::size_t index);
double scc_input_gradient_at(const SlidingChannelShape& shape, std::span<const float> dy,
                             std::span<const float> w, std::size_t index);
double scc_weight_gradient_at(const SlidingChannelShape& shape, std::span<const float> x,
                              std::span<const float> dy, std::size_t index);

/// What SlidingChannelBlock has, on the host.
struct SlidingChannelBlockInputs {
  int stride = 1;
  std::span<const float> depthwise, depthwise_bias, w, bias;
};
/// Element `index` of scc_block.
double scc_block_at(const SlidingChannelShape& shape, const SlidingChannelBlockInputs& block,
                    std::span<const float> x, std::size_t index);

/// For each different window q the outputs q, q + cycle, ... as one product, two where the window wraps;
/// images (for dw: windows) in turn on `threads` threads, 0 = all cores.
template <class Scalar>
void scc_forward_method(const SlidingChannelShape& shape, std::span<const Scalar> x,
                        std::span<const Scalar> w, std::span<Scalar> y, int threads = 0);
template <class Scalar>
void scc_backward_data_method(const SlidingChannelShape& shape, std::span<const Scalar> dy,
                              std::span<const Scalar> w, std::span<Scalar> dx, int threads = 0);
template <class Scalar>
void scc_backward_weight_method(const SlidingChannelShape& shape, std::span<const Scalar> x,
                                std::span<const Scalar> dy, std::span<Scalar> dw, int threads = 0);

/// w as a dense matrix [outputs, inputs], zero outside of the windows.
std::vector<float> dense_weights(const SlidingChannelShape& shape, std::span<const float> w);

/// Which inputs each output depends on: [outputs, inputs], 1 or 0.
using Reach = std::vector<unsigned char>;
Reach reach_of(const SlidingChannelShape& shape);
/// Of a grouped 1x1 convolution.
Reach grouped_reach(int inputs, int outputs, int groups);
/// Of `second` after `first`, which has `middle` outputs.
Reach stacked(const Reach& first, const Reach& second, int inputs, int middle, int outputs);

}  // namespace remeasure::kernels
