// SPDX-License-Identifier: Apache-2.0
//
// Convolution as a matrix product whose patches are never written: channels last (nhwc), on tensor cores,
// sums in f32. Element: half, bfloat16, or float (as TF32: operands rounded to 11 bits). Group channels, in
// and out, are multiples of 16 bytes of elements (8 of half and bfloat16, 4 of float): pad a picture's three
// channels. Weights: [out_channels, kernel, kernel, in_channels / groups]. All bitwise deterministic.
#pragma once

#include <cstddef>

#include "kernels/convolution/device_epilogue.h"
#include "kernels/convolution/tensor4.h"
#include "kernels/device/device.h"
#include "kernels/device/float16.h"

namespace remeasure::kernels {

/// output = activation(conv(input, weights) + bias + residual).
template <class Target, class Element>
void implicit_gemm_forward(Stream<Target>& stream, const ConvolutionShape& shape,
                           DeviceSpan<Target, const Element> input, DeviceSpan<Target, const Element> weights,
                           DeviceSpan<Target, Element> output,
                           const DeviceEpilogue<Target, Element>& epilogue = {});

/// input_gradient of output_gradient. With stride s the input falls into s * s phases, each with the taps
/// that reach it: no product with a zero between pixels.
template <class Target, class Element>
void implicit_gemm_backward_data(Stream<Target>& stream, const ConvolutionShape& shape,
                                 DeviceSpan<Target, const Element> output_gradient,
                                 DeviceSpan<Target, const Element> weights,
                                 DeviceSpan<Target, Element> input_gradient);

/// weights_gradient, in the order of the weights. Pixels are split into slices; their sums are added in order
/// by a second kernel. `workspace`: at least implicit_gemm_workspace(shape, sizeof(Element)) floats.
template <class Target, class Element>
void implicit_gemm_backward_weights(Stream<Target>& stream, const ConvolutionShape& shape,
                                    DeviceSpan<Target, const Element> input,
                                    DeviceSpan<Target, const Element> output_gradient,
                                    DeviceSpan<Target, Element> weights_gradient,
                                    DeviceSpan<Target, float> workspace);
/// Floats of workspace for backward weights; 0 where one slice is enough.
std::size_t implicit_gemm_workspace(const ConvolutionShape& shape, std::size_t element_bytes);

/// result[i] = sum over slices of sums[slice][i], in a fixed order: the second stage of every gradient of
/// weights.
template <class Target, class Element>
void sum_weight_slices(Stream<Target>& stream, int slices, DeviceSpan<Target, const float> sums,
                       DeviceSpan<Target, Element> result);

/// Throws std::invalid_argument unless the kernels take these channels.
void check_implicit_gemm(const char* what, const ConvolutionShape& shape, std::size_t element_bytes);

ConvolutionWork implicit_gemm_forward_work(const ConvolutionShape& shape, std::size_t element_bytes,
                                           const EpilogueParts& parts = {});
ConvolutionWork implicit_gemm_backward_data_work(const ConvolutionShape& shape, std::size_t element_bytes);
ConvolutionWork implicit_gemm_backward_weights_work(const ConvolutionShape& shape, std::size_t element_bytes);

}  // namespace remeasure::kernels
