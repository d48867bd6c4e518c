// SPDX-License-Identifier: Apache-2.0
//
// What a user of today runs for a convolution: Eigen on the CPU, cuDNN on the GPU, and the matrix product of
// patches on cuBLAS beside it. One object is one pass of one shape; its operands by pass:
//
//   forward           input, weights                  -> output
//   backward_data     output gradient, weights        -> input gradient
//   backward_weights  input, output gradient          -> weights gradient
//
//   ConvolutionEigen forward(shape, Layout::nhwc, ConvolutionPass::forward);
//   forward(input, weights, output);                 // the first call chooses the method
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "baselines/matmul/without_cudnn.h"
#include "kernels/convolution/device_epilogue.h"
#include "kernels/convolution/tensor4.h"
#include "kernels/device/device.h"
#include "kernels/device/float16.h"

namespace remeasure::baselines {

using kernels::ConvolutionShape;
using kernels::EpilogueParts;
using kernels::Layout;

enum class ConvolutionPass { forward, backward_data, backward_weights };

/// Sizes of the two operands and the result of a pass.
struct ConvolutionSizes {
  std::size_t first = 0, second = 0, result = 0;
};
ConvolutionSizes sizes_of(const ConvolutionShape& shape, ConvolutionPass pass);

/// float on all cores: the faster of a contraction of Eigen::Tensor and of the matrix product of patches
/// (Eigen::Map), timed once on the problem itself. Depthwise: Eigen arrays along the channels (nhwc) or the
/// rows of a plane (nchw), where either of them would multiply matrices of one column.
class ConvolutionEigen {
 public:
  ConvolutionEigen(const ConvolutionShape& shape, Layout layout, ConvolutionPass pass);
  ~ConvolutionEigen();
  ConvolutionEigen(const ConvolutionEigen&) = delete;
  ConvolutionEigen& operator=(const ConvolutionEigen&) = delete;

  /// The first call tries the methods: to be made before anything is timed.
  void operator()(std::span<const float> first, std::span<const float> second, std::span<float> result);
  /// The method in use and what it was chosen over; empty before the first call.
  std::string setting() const;
  /// What there is for the shape; and one of them instead of the fastest.
  std::vector<std::string> methods() const;
  void choose(std::size_t method);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Arguments of a fused forward pass of cuDNN besides its operands; nullptr where there is none.
template <class Element>
struct CudnnEpilogueData {
  const float* bias = nullptr;
  const Element* residual = nullptr;
};

/// cuDNN's graph API: forward (with bias, residual and activation fused, where asked for), backward data,
/// backward weights; groups; every plan that the heuristics (modes A and B, and the fallback list) give is
/// timed on the problem, the fastest is kept. Element: half, bfloat16, float (as TF32). Only where the CUDA
/// toolkit is.
template <class Element>
class ConvolutionCudnn {
 public:
  /// Why it can't be used here, see baselines/matmul/without_cudnn.h; empty if it can.
  static std::string why_not() { return without_cudnn(); }

  /// Throws DeviceError where no engine takes the shape. `parts`: forward only.
  ConvolutionCudnn(Stream<Cuda>& stream, const ConvolutionShape& shape, Layout layout, ConvolutionPass pass,
                   const EpilogueParts& parts = {});
  ~ConvolutionCudnn();
  ConvolutionCudnn(const ConvolutionCudnn&) = delete;
  ConvolutionCudnn& operator=(const ConvolutionCudnn&) = delete;

  /// The first call tries all plans: to be made before anything is timed.
  void operator()(DeviceSpan<Cuda, const Element> first, DeviceSpan<Cuda, const Element> second,
                  DeviceSpan<Cuda, Element> result, const CudnnEpilogueData<Element>& data = {});
  /// The plan in use; empty before the first call.
  std::string setting() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Patches to memory (kernels/convolution/im2col.h), then cuBLAS's fastest product; nhwc. A pointwise
/// convolution is the product alone. Groups are a strided batch. Only where the CUDA toolkit is.
template <class Element>
class ConvolutionCublas {
 public:
  ConvolutionCublas(Stream<Cuda>& stream, const ConvolutionShape& shape, ConvolutionPass pass);
  ~ConvolutionCublas();
  ConvolutionCublas(const ConvolutionCublas&) = delete;
  ConvolutionCublas& operator=(const ConvolutionCublas&) = delete;

  /// The first call tries all algorithms: to be made before anything is timed.
  void operator()(DeviceSpan<Cuda, const Element> first, DeviceSpan<Cuda, const Element> second,
                  DeviceSpan<Cuda, Element> result);
  std::string setting() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace remeasure::baselines
