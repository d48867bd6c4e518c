// SPDX-License-Identifier: Apache-2.0
#include <type_traits>
#include <utility>

#include "baselines/convolution/convolution.h"
#include "baselines/matmul/matmul.h"
#include "kernels/convolution/im2col.h"

namespace remeasure::baselines {
namespace {

template <class Element>
constexpr MatmulType type_of() {
  if constexpr (std::is_same_v<Element, half>)
    return MatmulType::f16;
  else if constexpr (std::is_same_v<Element, bfloat16>)
    return MatmulType::bf16;
  else
    return MatmulType::tf32;
}

/// The products in cuBLAS's order of columns. With P pixels, I taps and channels, K outputs of a group, all
/// arrays have the channels contiguous: patches are a matrix [I, P], weights [I, K], outputs [K, P] with the
/// channels of all groups between two pixels. A pointwise convolution's patches are its input, whose pixels
/// also lie all groups apart.
MatmulProblem problem_of(MatmulType type, const ConvolutionShape& s, ConvolutionPass pass) {
  const int pixels = static_cast<int>(s.out_pixels()), inner = s.inner(), outputs = s.group_out();
  const int patch_row = s.pointwise() ? s.in_channels : inner;
  const std::int64_t patch_stride = s.pointwise() ? inner : static_cast<std::int64_t>(inner) * pixels,
                     weights_stride = static_cast<std::int64_t>(inner) * outputs;
  MatmulProblem p{.type = type, .batch = s.groups};
  switch (pass) {
    case ConvolutionPass::forward:  // outputs[K, P] = weights[I, K]^T patches[I, P]
      p.transpose_a = true;
      p.rows = outputs, p.columns = pixels, p.inner = inner;
      p.lda = inner, p.ldb = patch_row, p.ldc = s.out_channels;
      p.stride_a = weights_stride, p.stride_b = patch_stride, p.stride_c = outputs;
      break;
    case ConvolutionPass::backward_data:  // patches[I, P] = weights[I, K] outputs[K, P]
      p.rows = inner, p.columns = pixels, p.inner = outputs;
      p.lda = inner, p.ldb = s.out_channels, p.ldc = patch_row;
      p.stride_a = weights_stride, p.stride_b = outputs, p.stride_c = patch_stride;
      break;
    case ConvolutionPass::backward_weights:  // weights[I, K] = patches[I, P] outputs[K, P]^T
      p.transpose_b = true;
      p.rows = inner, p.columns = outputs, p.inner = pixels;
      p.lda = patch_row, p.ldb = s.out_channels, p.ldc = inner;
      p.stride_a = patch_stride, p.stride_b = outputs, p.stride_c = weights_stride;
      break;
  }
  return p;
}

}  // namespace

template <class Element>
struct ConvolutionCublas<Element>::State {
  State(Stream<Cuda>& on, const ConvolutionShape& of, ConvolutionPass of_pass)
      : stream(on),
        shape(of),
        pass(of_pass),
        library(on),
        matmul(library, problem_of(type_of<Element>(), of, of_pass)) {
    if (shape.pointwise()) return;
    patches = DeviceBuffer<Cuda, Element>(on.device(), kernels::patch_elements(of), MemoryUse::workspace,
                                          "patches");
  }

  Stream<Cuda>& stream;
  ConvolutionShape shape;
  ConvolutionPass pass;
  MatmulLibrary library;
  Matmul matmul;
  DeviceBuffer<Cuda, Element> patches;
};

template <class Element>
ConvolutionCublas<Element>::ConvolutionCublas(Stream<Cuda>& stream, const ConvolutionShape& shape,
                                              ConvolutionPass pass) {
  kernels::check_convolution("ConvolutionCublas", shape);
  state_ = std::make_unique<State>(stream, shape, pass);
}
template <class Element>
ConvolutionCublas<Element>::~ConvolutionCublas() = default;

template <class Element>
void ConvolutionCublas<Element>::operator()(DeviceSpan<Cuda, const Element> first,
                                            DeviceSpan<Cuda, const Element> second,
                                            DeviceSpan<Cuda, Element> result) {
  State& s = *state_;
  const ConvolutionSizes sizes = sizes_of(s.shape, s.pass);
  kernels::check_sizes("ConvolutionCublas", {{"the first operand", first.size(), sizes.first},
                                             {"the second operand", second.size(), sizes.second},
                                             {"the result", result.size(), sizes.result}});
  const bool gathered = !s.shape.pointwise();
  if (gathered && s.pass != ConvolutionPass::backward_data)
    kernels::im2col<Cuda, Element>(s.stream, s.shape, first, s.patches);
  switch (s.pass) {
    case ConvolutionPass::forward:
      s.matmul(second.data(), gathered ? s.patches.data() : first.data(), result.data());
      break;
    case ConvolutionPass::backward_data:
      s.matmul(second.data(), first.data(), gathered ? s.patches.data() : result.data());
      if (gathered) kernels::col2im<Cuda, Element>(s.stream, s.shape, std::as_const(s.patches), result);
      break;
    case ConvolutionPass::backward_weights:
      s.matmul(gathered ? s.patches.data() : first.data(), second.data(), result.data());
      break;
  }
}

template <class Element>
std::string ConvolutionCublas<Element>::setting() const {
  return state_->matmul.setting();
}

template class ConvolutionCublas<half>;
template class ConvolutionCublas<bfloat16>;
template class ConvolutionCublas<float>;

}  // namespace remeasure::baselines
