// SPDX-License-Identifier: Apache-2.0
//
// What a convolution does with its sums before it stores them: output = activation(sum + bias + residual),
// the order of a residual network and of cuDNN's fused graph.
#pragma once

namespace remeasure::kernels {

/// gelu_tanh: x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))), Hendrycks and Gimpel, arXiv 1606.08415.
enum class Activation { none, relu, gelu_tanh };
const char* to_string(Activation activation);

}  // namespace remeasure::kernels
