// SPDX-License-Identifier: Apache-2.0
#define EIGEN_DONT_PARALLELIZE  // the threads are for_each_row_block's, one per head
#include <Eigen/Core>

#include "baselines/attention/full_attention.h"
#include "kernels/parallel_tasks.h"

namespace remeasure::baselines {

template <class Scalar>
void full_attention_eigen(const AttentionShape& shape, double scale, std::span<const float> query,
                          std::span<const float> key, std::span<const float> value, std::span<Scalar> out,
                          int threads) {
  using Matrix = Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  using FloatMatrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  const auto size = static_cast<std::size_t>(shape.tokens) * static_cast<std::size_t>(shape.dim);
  const auto head_of = [&](std::span<const float> tensor, int matrix) {
    return Eigen::Map<const FloatMatrix>(tensor.data() + static_cast<std::size_t>(matrix) * size,
                                         shape.tokens, shape.dim)
        .template cast<Scalar>();
  };
  kernels::for_each_row_block(shape.matrices(), shape.tokens, threads, [&](int matrix, int first, int count) {
    const Matrix q = head_of(query, matrix).middleRows(first, count);
    const Matrix k = head_of(key, matrix);
    const Matrix v = head_of(value, matrix);
    Matrix scores = static_cast<Scalar>(scale) * q * k.transpose();
    for (Eigen::Index row = 0; row < count; ++row) {
      auto of_row = scores.row(row).array();
      of_row = (of_row - of_row.maxCoeff()).exp();
      of_row /= of_row.sum();
    }
    Eigen::Map<Matrix>(out.data() + static_cast<std::size_t>(matrix) * size, shape.tokens, shape.dim)
        .middleRows(first, count)
        .noalias() = scores * v;
  });
}

template void full_attention_eigen(const AttentionShape&, double, std::span<const float>,
                                   std::span<const float>, std::span<const float>, std::span<float>, int);
template void full_attention_eigen(const AttentionShape&, double, std::span<const float>,
                                   std::span<const float>, std::span<const float>, std::span<double>, int);

}  // namespace remeasure::baselines
