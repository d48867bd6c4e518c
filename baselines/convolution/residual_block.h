// SPDX-License-Identifier: Apache-2.0
//
// Residual blocks as libraries run them: a layer at a time, over the whole batch, the tensors between them in
// memory. Definitions and shapes in kernels/convolution/residual_block.h.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "baselines/convolution/convolution.h"
#include "kernels/convolution/convfirst_block.h"
#include "kernels/convolution/residual_block.h"

namespace remeasure::baselines {

using kernels::Block;
using kernels::BlockShape;
using kernels::BlockWeights;

/// Eigen, all cores (`threads` 0): convolutions in groups as products of patches, depthwise ones as arrays
/// along the channels, dense layers as products. workspace: unfused_workspace(block, shape) values.
void residual_block_eigen(Block block, const BlockShape& shape, const BlockWeights<float>& weights,
                          std::span<const float> x, std::span<float> workspace, std::span<float> y,
                          int threads = 0);

/// cuDNN's convolutions (bias and activation fused), cublasLt's dense layers (bias, gelu, residual fused),
/// and a kernel for ConvNeXt's norm: three or four launches a block. Only where the CUDA toolkit is.
template <class Element>
class ResidualBlockVendor {
 public:
  static std::string why_not() { return ConvolutionCudnn<Element>::why_not(); }

  ResidualBlockVendor(Stream<Cuda>& stream, Block block, const BlockShape& shape);
  ~ResidualBlockVendor();
  ResidualBlockVendor(const ResidualBlockVendor&) = delete;
  ResidualBlockVendor& operator=(const ResidualBlockVendor&) = delete;

  /// cublasLt takes its biases as Element.
  struct DenseBiases {
    DeviceSpan<Cuda, const Element> expand, project;
  };
  /// workspace as above. The first call tries all algorithms: to be made before anything is timed.
  void operator()(DeviceSpan<Cuda, const Element> x,
                  const kernels::DeviceBlockWeights<Cuda, Element>& weights, const DenseBiases& biases,
                  DeviceSpan<Cuda, Element> workspace, DeviceSpan<Cuda, Element> y);
  std::string setting() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace remeasure::baselines
