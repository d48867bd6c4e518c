// SPDX-License-Identifier: Apache-2.0
#include <Eigen/Core>
#include <stdexcept>
#include <string>

#include "baselines/science/mean_resultant.h"

namespace remeasure::baselines {

void eigen_mean_resultant(std::size_t rows, std::size_t columns, std::span<const float> features,
                          std::span<double> mean, std::span<double> length) {
  if (rows == 0 || features.size() != rows * columns || mean.size() != columns || length.size() != 1) {
    throw std::invalid_argument("eigen_mean_resultant: " + std::to_string(rows) + " rows of " +
                                std::to_string(columns) + ", but " + std::to_string(features.size()) +
                                " features, mean of " + std::to_string(mean.size()) + ", length of " +
                                std::to_string(length.size()));
  }
  const auto d = static_cast<Eigen::Index>(columns);
  Eigen::Map<Eigen::RowVectorXd> sum(mean.data(), d);
  sum.setZero();
  // Row by row: colwise().sum() of a row-major matrix would stride over it once per column.
  for (std::size_t row = 0; row < rows; ++row) {
    sum += Eigen::Map<const Eigen::RowVectorXf>(features.data() + row * columns, d).cast<double>();
  }
  sum /= static_cast<double>(rows);
  length[0] = sum.norm();
}

}  // namespace remeasure::baselines
