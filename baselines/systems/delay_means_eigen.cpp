// SPDX-License-Identifier: Apache-2.0
#include <Eigen/Core>

#include "baselines/systems/delay_means.h"
#include "kernels/parallel_tasks.h"

namespace remeasure::baselines {

void eigen_delay_means(const kernels::DelayShape& s, std::span<const float> delay, std::span<float> mean,
                       std::span<float> row, std::span<float> column) {
  using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  const Eigen::Index n = s.ranks, cells = s.cells();
  const int of_rank = s.transfers() / s.ranks;
  const float part = 1.0f / static_cast<float>(of_rank);
  kernels::for_each_row_block(s.windows, 1, 0, [&](int window, int, int) {
    const Eigen::Index w = window;
    const Eigen::Map<const Matrix> delays(delay.data() + w * s.collectives * cells, s.collectives, cells);
    Eigen::Map<Eigen::RowVectorXf>(mean.data() + w * cells, cells) = delays.colwise().mean();
    const Eigen::Map<const Matrix> of_window(mean.data() + w * cells, n, n);
    Eigen::Map<Eigen::VectorXf>(row.data() + w * n, n) = of_window.rowwise().sum() * part;
    Eigen::Map<Eigen::RowVectorXf>(column.data() + w * n, n) = of_window.colwise().sum() * part;
  });
}

}  // namespace remeasure::baselines
