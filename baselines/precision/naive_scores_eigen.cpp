// SPDX-License-Identifier: Apache-2.0
#define EIGEN_DONT_PARALLELIZE  // the threads are for_each_row_block's, one per candidate

#include <Eigen/Core>

#include "baselines/precision/naive_scores.h"
#include "kernels/parallel_tasks.h"

namespace remeasure::baselines {

using namespace kernels;

std::vector<float> naive_scores_eigen(const LayerProduct& layer, Operand varied,
                                      std::span<const float> fixed_values,
                                      std::span<const TwinQuantizer<float>> candidates, int first,
                                      int count) {
  using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  using Rows = Eigen::Map<const Matrix>;
  using Part = Eigen::Map<const Matrix, 0, Eigen::OuterStride<>>;
  if (count == 0) count = layer.columns;
  const Eigen::Index rows = layer.rows, inner = layer.inner, columns = layer.columns;
  std::vector<float> scores(candidates.size());
  for_each_row_block(static_cast<int>(candidates.size()), 1, 0, [&](int index, int, int) {
    const TwinQuantizer<float>& candidate = candidates[static_cast<std::size_t>(index)];
    Matrix y;
    double score = 0;
    const std::vector<float> values =
        quantized(varied == Operand::a ? layer.a : layer.b, std::span(&candidate, 1));
    const float* a = varied == Operand::a ? values.data() : fixed_values.data();
    const float* b = varied == Operand::a ? fixed_values.data() : values.data();
    for (Eigen::Index m = 0; m < layer.matrices; ++m) {
      y.noalias() = Rows(a + m * rows * inner, rows, inner) *
                    Rows(b + (m * columns + first) * inner, count, inner).transpose();
      const Part exact(layer.y.data() + m * rows * columns + first, rows, count,
                       Eigen::OuterStride<>(columns));
      const Part gradient(layer.gradient.data() + m * rows * columns + first, rows, count,
                          Eigen::OuterStride<>(columns));
      score += static_cast<double>(((y - exact).array() * gradient.array()).square().sum());
    }
    scores[static_cast<std::size_t>(index)] = static_cast<float>(score);
  });
  return scores;
}

}  // namespace remeasure::baselines
