// SPDX-License-Identifier: Apache-2.0
//
// The parts of ConvolutionEigen that have a file of their own.
#pragma once

#include "baselines/convolution/convolution.h"

namespace remeasure::baselines::eigen {

/// Operands and result of a pass, as ConvolutionEigen takes them.
struct Operands {
  const float* first;
  const float* second;
  float* result;
};

/// By Eigen::Tensor: image patches contracted with the weights; nhwc, one group.
void tensor(const ConvolutionShape& shape, ConvolutionPass pass, const Operands& operands);

/// Depthwise, by Eigen::Array: a tap at a time over the channels of a pixel (nhwc) or a row of a plane
/// (nchw).
void depthwise(const ConvolutionShape& shape, Layout layout, ConvolutionPass pass, const Operands& operands);

}  // namespace remeasure::baselines::eigen
