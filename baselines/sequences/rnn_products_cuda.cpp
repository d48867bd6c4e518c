// SPDX-License-Identifier: Apache-2.0
//
// The products of a recurrent layer by cublasLt. Row-major [rows, columns] is column-major [columns, rows].
#include <optional>
#include <type_traits>

#include "baselines/matmul/matmul.h"
#include "baselines/sequences/rnn_steps.h"

namespace remeasure::baselines {

template <class Element>
struct CublasRnnProducts<Element>::State {
  State(Stream<Cuda>& stream, const RnnShape& shape, DeviceSpan<Cuda, const Element> of,
        std::size_t head_stride)
      : library(stream), weights(of) {
    const MatmulType type = std::is_same_v<Element, float> ? MatmulType::f32 : MatmulType::bf16;
    const int rows = shape.sizes().recurrent * shape.dim, hidden = shape.heads * shape.dim;
    const auto stride = static_cast<std::int64_t>(head_stride);
    const std::int64_t of_head = static_cast<std::int64_t>(rows) * shape.dim;
    forward.emplace(library, MatmulProblem{.type = type,
                                           .transpose_a = true,
                                           .rows = rows,
                                           .columns = shape.batch,
                                           .inner = shape.dim,
                                           .ldb = hidden,
                                           .stride_a = of_head,
                                           .stride_b = shape.dim,
                                           .stride_c = stride,
                                           .batch = shape.heads});
    backward.emplace(library, MatmulProblem{.type = type,
                                            .rows = shape.dim,
                                            .columns = shape.batch,
                                            .inner = rows,
                                            .stride_a = of_head,
                                            .stride_b = stride,
                                            .stride_c = static_cast<std::int64_t>(shape.batch) * shape.dim,
                                            .batch = shape.heads});
    gradient.emplace(library, MatmulProblem{.type = type,
                                            .transpose_b = true,
                                            .rows = shape.dim,
                                            .columns = rows,
                                            .inner = shape.steps * shape.batch,
                                            .lda = hidden,
                                            .stride_a = shape.dim,
                                            .stride_b = stride,
                                            .stride_c = of_head,
                                            .batch = shape.heads});
  }

  MatmulLibrary library;
  DeviceSpan<Cuda, const Element> weights;
  std::optional<Matmul> forward, backward, gradient;
};

template <class Element>
CublasRnnProducts<Element>::CublasRnnProducts(Stream<Cuda>& stream, const RnnShape& shape,
                                              DeviceSpan<Cuda, const Element> weights,
                                              std::size_t head_stride)
    : state_(std::make_unique<State>(stream, shape, weights, head_stride)) {
  kernels::check_rnn_shape(shape);
  kernels::check_rnn_array("weights", weights.size(), shape.weights_size());
}
template <class Element>
CublasRnnProducts<Element>::~CublasRnnProducts() = default;

template <class Element>
void CublasRnnProducts<Element>::forward(const Element* h, Element* products) {
  (*state_->forward)(state_->weights.data(), h, products);
}
template <class Element>
void CublasRnnProducts<Element>::backward(const Element* dproducts, Element* dh) {
  (*state_->backward)(state_->weights.data(), dproducts, dh);
}
template <class Element>
void CublasRnnProducts<Element>::weights(const Element* dproducts, const Element* h, Element* dweights) {
  (*state_->gradient)(h, dproducts, dweights);
}
template <class Element>
std::string CublasRnnProducts<Element>::setting() const {
  return state_->forward->setting();
}

template class CublasRnnProducts<bfloat16>;
template class CublasRnnProducts<float>;

}  // namespace remeasure::baselines
