// SPDX-License-Identifier: Apache-2.0
//
// Convolutions by plain loops: forward, backward data, backward weights; any stride, padding and groups; both
// layouts. In double the oracle; in float a method to time. Sums run over taps and channels in one order,
// whatever the number of threads, so results have the same bits everywhere.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "kernels/convolution/epilogue.h"
#include "kernels/convolution/tensor4.h"

namespace remeasure::kernels {

/// output = activation(sum + bias + residual). Empty spans are left out. bias: [out_channels]; residual: as
/// the output.
template <class Scalar>
struct ReferenceEpilogue {
  std::span<const Scalar> bias = {};
  std::span<const Scalar> residual = {};
  Activation activation = Activation::none;
};

/// The function itself, and its derivative at the value before it. Scalar: float or double.
template <class Scalar>
Scalar activated(Activation activation, Scalar value);
template <class Scalar>
Scalar activation_slope(Activation activation, Scalar value);

/// `threads`: 0 = all. Throws std::invalid_argument for a shape or sizes that don't fit.
template <class Scalar>
void convolution_forward_reference(const ConvolutionShape& shape, Layout layout,
                                   std::span<const Scalar> input, std::span<const Scalar> weights,
                                   std::span<Scalar> output, const ReferenceEpilogue<Scalar>& epilogue = {},
                                   int threads = 0);

/// input_gradient = what d(output) = output_gradient makes of d(input); without an epilogue.
template <class Scalar>
void convolution_backward_data_reference(const ConvolutionShape& shape, Layout layout,
                                         std::span<const Scalar> output_gradient,
                                         std::span<const Scalar> weights, std::span<Scalar> input_gradient,
                                         int threads = 0);

template <class Scalar>
void convolution_backward_weights_reference(const ConvolutionShape& shape, Layout layout,
                                            std::span<const Scalar> input,
                                            std::span<const Scalar> output_gradient,
                                            std::span<Scalar> weights_gradient, int threads = 0);

/// Some outputs only, by their indices in the layout, without an epilogue: for large problems of which a
/// sample is compared. Straight from the definition, so also the check of the loops above.
template <class Scalar>
std::vector<Scalar> convolution_outputs_reference(const ConvolutionShape& shape, Layout layout,
                                                  std::span<const Scalar> input,
                                                  std::span<const Scalar> weights,
                                                  std::span<const std::size_t> indices);

/// Sum of |input| |weights| under each output, the scale that an output's rounding error is relative to.
template <class Scalar>
std::vector<Scalar> convolution_scale_reference(const ConvolutionShape& shape, Layout layout,
                                                std::span<const Scalar> input,
                                                std::span<const Scalar> weights, int threads = 0);

}  // namespace remeasure::kernels
