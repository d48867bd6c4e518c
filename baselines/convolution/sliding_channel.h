// SPDX-License-Identifier: Apache-2.0
//
// What a user of today runs instead of a kernel for sliding-channel convolution: a dense product with zeros
// outside of the windows, or the composition of a framework, which stacks copies of the windows for a grouped
// product. Shapes and arrays as in kernels/convolution/sliding_channel.h; `dense` weights are [outputs,
// inputs].
#pragma once

#include <memory>
#include <span>
#include <string>

#include "kernels/convolution/sliding_channel.h"
#include "kernels/device/device.h"
#include "kernels/device/float16.h"

namespace remeasure::baselines {

using kernels::SlidingChannelShape;

/// Eigen, images in turn on `threads` threads (0 = all cores). Throw std::invalid_argument for sizes that
/// don't fit.
void sliding_dense_eigen(const SlidingChannelShape& shape, std::span<const float> x,
                         std::span<const float> dense, std::span<float> y, int threads = 0);
void sliding_dense_data_eigen(const SlidingChannelShape& shape, std::span<const float> dy,
                              std::span<const float> dense, std::span<float> dx, int threads = 0);
/// All of the dense gradient [outputs, inputs]; a part of the images on each thread.
void sliding_dense_weight_eigen(const SlidingChannelShape& shape, std::span<const float> x,
                                std::span<const float> dy, std::span<float> dense_gradient, int threads = 0);
/// A grouped 1x1 convolution of the same cost: inputs / window groups, w: [outputs, window]. The groups
/// divide the outputs.
void grouped_pointwise_eigen(const SlidingChannelShape& shape, std::span<const float> x,
                             std::span<const float> w, std::span<float> y, int threads = 0);

/// cuBLAS, the fastest algorithm of cublasLt for the problem (baselines/matmul). Element: float (multiplied
/// in f32, or in TF32) or bfloat16. The first call of each pass chooses: to be made before anything is timed.
/// Only where the CUDA toolkit is.
template <class Element>
class SlidingDenseCublas {
 public:
  SlidingDenseCublas(Stream<Cuda>& stream, const SlidingChannelShape& shape, bool tf32);
  ~SlidingDenseCublas();
  SlidingDenseCublas(const SlidingDenseCublas&) = delete;
  SlidingDenseCublas& operator=(const SlidingDenseCublas&) = delete;

  void forward(DeviceSpan<Cuda, const Element> x, DeviceSpan<Cuda, const Element> dense,
               DeviceSpan<Cuda, Element> y);
  void backward_data(DeviceSpan<Cuda, const Element> dy, DeviceSpan<Cuda, const Element> dense,
                     DeviceSpan<Cuda, Element> dx);
  /// A product for each image into `images` ([batch, outputs, inputs]), and their sum, a product with ones.
  void backward_weight(DeviceSpan<Cuda, const Element> x, DeviceSpan<Cuda, const Element> dy,
                       DeviceSpan<Cuda, const Element> ones, DeviceSpan<Cuda, Element> images,
                       DeviceSpan<Cuda, Element> dense_gradient);
  std::string setting() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// The framework's composition: kernels::stack_channels, then one product for each different window and
/// image, as a strided batch over the windows of an image or over the images of a window, whichever needs
/// fewer calls. Only where the CUDA toolkit is.
template <class Element>
class SlidingStackCublas {
 public:
  /// Why it can't do this shape: the windows must have equally many outputs. Empty if it can.
  static std::string why_not(const SlidingChannelShape& shape);
  SlidingStackCublas(Stream<Cuda>& stream, const SlidingChannelShape& shape, bool tf32);
  ~SlidingStackCublas();
  SlidingStackCublas(const SlidingStackCublas&) = delete;
  SlidingStackCublas& operator=(const SlidingStackCublas&) = delete;

  /// stack: [batch, cycle, window, pixels]
  void forward(DeviceSpan<Cuda, const Element> x, DeviceSpan<Cuda, const Element> w,
               DeviceSpan<Cuda, Element> stack, DeviceSpan<Cuda, Element> y);
  std::string setting() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

template <class Element>
std::string SlidingStackCublas<Element>::why_not(const SlidingChannelShape& shape) {
  if (shape.outputs % shape.cycle() == 0) return {};
  return std::to_string(shape.cycle()) + " windows don't have equally many of " +
         std::to_string(shape.outputs) + " outputs: no grouped convolution";
}

}  // namespace remeasure::baselines
