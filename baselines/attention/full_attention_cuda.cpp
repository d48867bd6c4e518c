// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "baselines/attention/full_attention.h"
#include "baselines/matmul/matmul.h"
#include "kernels/attention/row_softmax.h"

namespace remeasure::baselines {
namespace {

/// Row-major c[rows, columns] = alpha * a[rows, inner] * b of every head. cuBLAS is column-major, where the
/// same memory holds c^T = b^T a^T; `b_transposed`: b is [columns, inner] instead of [inner, columns].
MatmulProblem row_major(MatmulType type, const AttentionShape& shape, int rows, int columns, int inner,
                        double alpha, bool b_transposed) {
  const auto stride = [](int x, int y) { return static_cast<std::int64_t>(x) * y; };
  return {.type = type,
          .transpose_a = b_transposed,
          .rows = columns,
          .columns = rows,
          .inner = inner,
          .stride_a = stride(columns, inner),
          .stride_b = stride(rows, inner),
          .stride_c = stride(rows, columns),
          .batch = static_cast<int>(shape.matrices()),
          .alpha = alpha};
}

}  // namespace

template <class Element>
struct FullAttentionCublas<Element>::State {
  static constexpr MatmulType kType = sizeof(Element) == 2 ? MatmulType::bf16 : MatmulType::tf32;

  State(Stream<Cuda>& s, const AttentionShape& sh, float scale)
      : stream(s),
        shape(sh),
        library(s),
        scores(library, row_major(kType, sh, sh.tokens, sh.tokens, sh.dim, static_cast<double>(scale), true)),
        product(library, row_major(kType, sh, sh.tokens, sh.dim, sh.tokens, 1.0, false)) {}

  Stream<Cuda>& stream;
  AttentionShape shape;
  MatmulLibrary library;
  Matmul scores, product;
};

template <class Element>
FullAttentionCublas<Element>::FullAttentionCublas(Stream<Cuda>& stream, const AttentionShape& shape,
                                                  float scale)
    : state_(std::make_unique<State>(stream, shape, scale)) {}
template <class Element>
FullAttentionCublas<Element>::~FullAttentionCublas() = default;

template <class Element>
void FullAttentionCublas<Element>::scores(DeviceSpan<Cuda, const Element> query,
                                          DeviceSpan<Cuda, const Element> key,
                                          DeviceSpan<Cuda, Element> scores) {
  state_->scores(key.data(), query.data(), scores.data());
}

template <class Element>
void FullAttentionCublas<Element>::softmax(DeviceSpan<Cuda, const Element> scores,
                                           DeviceSpan<Cuda, Element> weights) {
  kernels::row_softmax<Cuda, Element>(state_->stream, state_->shape.rows(), state_->shape.tokens, scores,
                                      weights);
}

template <class Element>
void FullAttentionCublas<Element>::product(DeviceSpan<Cuda, const Element> weights,
                                           DeviceSpan<Cuda, const Element> value,
                                           DeviceSpan<Cuda, Element> out) {
  state_->product(value.data(), weights.data(), out.data());
}

template <class Element>
std::string FullAttentionCublas<Element>::setting() const {
  std::string text;
  for (const auto& [name, matmul] :
       {std::pair{"Q K^T", &state_->scores}, std::pair{"P V", &state_->product}}) {
    if (!matmul->setting().empty())
      text += fmt::format("{}{}: {}", text.empty() ? "" : "; ", name, matmul->setting());
  }
  return text;
}

template class FullAttentionCublas<bfloat16>;
template class FullAttentionCublas<float>;

}  // namespace remeasure::baselines
