// SPDX-License-Identifier: Apache-2.0
#include <Eigen/Core>
#include <limits>

#include "baselines/attention/neighborhood_dense.h"
#include "kernels/attention/neighborhood_reference.h"
#include "kernels/parallel_tasks.h"

namespace remeasure::baselines {
namespace {

using Rows = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Strided = Eigen::Map<const Rows, 0, Eigen::OuterStride<>>;

/// Rows of one batch entry and head: [tokens, dim].
template <class Float>
auto head_of(const NeighborhoodShape& shape, Float* data, int matrix) {
  const Eigen::Index stride = static_cast<Eigen::Index>(shape.heads) * shape.dim,
                     tokens = static_cast<Eigen::Index>(shape.tokens());
  using Plain = std::conditional_t<std::is_const_v<Float>, const Rows, Rows>;
  Float* begin = data + (matrix / shape.heads) * tokens * stride +
                 static_cast<Eigen::Index>(matrix % shape.heads) * shape.dim;
  return Eigen::Map<Plain, 0, Eigen::OuterStride<>>(begin, tokens, shape.dim, Eigen::OuterStride<>(stride));
}

template <class Scores>
void softmax(Scores&& scores) {
  const float largest = scores.maxCoeff();
  scores = (scores.array() - largest).exp().matrix();
  scores /= scores.sum();
}

void check(const char* what, const NeighborhoodShape& shape, std::span<const float> query,
           std::span<const float> key, std::span<const float> value, std::span<float> output) {
  kernels::check_neighborhood(what, shape);
  kernels::check_neighborhood_sizes(what, shape, {query.size(), key.size(), value.size(), output.size()}, 0,
                                    0);
}

}  // namespace

void neighborhood_gathered_eigen(const NeighborhoodShape& shape, float scale, std::span<const float> query,
                                 std::span<const float> key, std::span<const float> value,
                                 std::span<float> output, int threads) {
  check("neighborhood_gathered_eigen", shape, query, key, value, output);
  const int tokens = static_cast<int>(shape.tokens());
  kernels::for_each_row_block(
      shape.batch * shape.heads, tokens, threads, [&](int matrix, int first, int count) {
        const auto q = head_of(shape, query.data(), matrix), k = head_of(shape, key.data(), matrix),
                   v = head_of(shape, value.data(), matrix);
        auto out = head_of(shape, output.data(), matrix);
        Rows keys(static_cast<Eigen::Index>(shape.window()), shape.dim), values = keys;
        for (int token = first; token < first + count; ++token) {
          const std::vector<std::int64_t> seen = kernels::neighbours(shape, token);
          const auto size = static_cast<Eigen::Index>(seen.size());
          for (Eigen::Index i = 0; i < size; ++i) {
            keys.row(i) = k.row(seen[static_cast<std::size_t>(i)]);
            values.row(i) = v.row(seen[static_cast<std::size_t>(i)]);
          }
          Eigen::RowVectorXf weights = scale * (q.row(token) * keys.topRows(size).transpose());
          softmax(weights);
          out.row(token).noalias() = weights * values.topRows(size);
        }
      });
}

void neighborhood_masked_eigen(const NeighborhoodShape& shape, float scale, std::span<const float> query,
                               std::span<const float> key, std::span<const float> value,
                               std::span<float> output, int threads) {
  check("neighborhood_masked_eigen", shape, query, key, value, output);
  const int tokens = static_cast<int>(shape.tokens());
  kernels::for_each_row_block(
      shape.batch * shape.heads, tokens, threads, [&](int matrix, int first, int count) {
        const auto q = head_of(shape, query.data(), matrix), k = head_of(shape, key.data(), matrix),
                   v = head_of(shape, value.data(), matrix);
        Rows scores = scale * (q.middleRows(first, count) * k.transpose());
        Rows masked = Rows::Constant(count, tokens, -std::numeric_limits<float>::infinity());
        for (int row = 0; row < count; ++row) {
          for (const std::int64_t other : kernels::neighbours(shape, first + row))
            masked(row, other) = scores(row, other);
          softmax(masked.row(row));
        }
        head_of(shape, output.data(), matrix).middleRows(first, count).noalias() = masked * v;
      });
}

}  // namespace remeasure::baselines
