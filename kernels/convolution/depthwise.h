// SPDX-License-Identifier: Apache-2.0
//
// Depthwise convolution: each channel by itself, kernel 3, 5 or 7, stride 1 or 2. nhwc: half, bfloat16 or
// float, an even number of channels; nchw: float. Sums in f32. Weights: [channels, kernel, kernel] in both
// layouts (a Tensor4 with one channel). All bitwise deterministic.
#pragma once

#include <cstddef>

#include "kernels/convolution/device_epilogue.h"
#include "kernels/convolution/tensor4.h"
#include "kernels/device/device.h"
#include "kernels/device/float16.h"

namespace remeasure::kernels {

/// output = activation(conv(input, weights) + bias + residual).
template <class Target, class Element>
void depthwise_forward(Stream<Target>& stream, const ConvolutionShape& shape, Layout layout,
                       DeviceSpan<Target, const Element> input, DeviceSpan<Target, const Element> weights,
                       DeviceSpan<Target, Element> output,
                       const DeviceEpilogue<Target, Element>& epilogue = {});

/// input_gradient of output_gradient.
template <class Target, class Element>
void depthwise_backward_data(Stream<Target>& stream, const ConvolutionShape& shape, Layout layout,
                             DeviceSpan<Target, const Element> output_gradient,
                             DeviceSpan<Target, const Element> weights,
                             DeviceSpan<Target, Element> input_gradient);

/// weights_gradient; sums over slices of the pixels, then over the slices in order, by a second kernel.
/// `workspace`: at least depthwise_workspace(shape, layout) floats.
template <class Target, class Element>
void depthwise_backward_weights(Stream<Target>& stream, const ConvolutionShape& shape, Layout layout,
                                DeviceSpan<Target, const Element> input,
                                DeviceSpan<Target, const Element> output_gradient,
                                DeviceSpan<Target, Element> weights_gradient,
                                DeviceSpan<Target, float> workspace);
/// Floats of workspace for backward weights.
std::size_t depthwise_workspace(const ConvolutionShape& shape, Layout layout);

/// Throws std::invalid_argument unless the kernels take this shape.
void check_depthwise(const char* what, const ConvolutionShape& shape, Layout layout,
                     std::size_t element_bytes);

ConvolutionWork depthwise_forward_work(const ConvolutionShape& shape, Layout layout,
                                       std::size_t element_bytes, const EpilogueParts& parts = {});
ConvolutionWork depthwise_backward_data_work(const ConvolutionShape& shape, Layout layout,
                                             std::size_t element_bytes);
ConvolutionWork depthwise_backward_weights_work(const ConvolutionShape& shape, Layout layout,
                                                std::size_t element_bytes);

}  // namespace remeasure::kernels
