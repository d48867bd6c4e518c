// SPDX-License-Identifier: Apache-2.0
#include <Eigen/Dense>

#include "baselines/learning/least_squares.h"
#include "kernels/parallel_tasks.h"

namespace remeasure::baselines {
namespace {

using Eigen::MatrixXf;
using Eigen::VectorXf;

VectorXf by_cholesky(const Eigen::Ref<const MatrixXf>& x, const VectorXf& y) {
  const Eigen::Index n = x.rows(), p = x.cols();
  if (p <= n) {
    MatrixXf gram = MatrixXf::Zero(p, p);
    gram.selfadjointView<Eigen::Lower>().rankUpdate(x.transpose());
    return gram.selfadjointView<Eigen::Lower>().llt().solve(x.transpose() * y);
  }
  MatrixXf gram = MatrixXf::Zero(n, n);
  gram.selfadjointView<Eigen::Lower>().rankUpdate(x);
  return x.transpose() * gram.selfadjointView<Eigen::Lower>().llt().solve(y);
}

template <class Matrix, class Vector>
Vector by_orthogonal(const Matrix& x, const Vector& y) {
  return Eigen::CompleteOrthogonalDecomposition<Matrix>(x).solve(y);
}

}  // namespace

void least_squares_eigen(const SweepShape& shape, std::span<const int> sizes, std::span<const float> x,
                         std::span<const float> y, std::span<const float> beta,
                         std::span<const float> variance, EigenSolver solver, std::span<float> risk,
                         int threads) {
  kernels::check_sweep(shape, sizes, x.size(), y.size(), beta.size(), variance.size(), risk.size());
  const Eigen::Map<const VectorXf> truth(beta.data(), shape.features),
      weight(variance.data(), shape.features);
  const auto n = static_cast<std::size_t>(shape.samples), features = static_cast<std::size_t>(shape.features);
  kernels::for_each_row_block(static_cast<int>(risk.size()), 1, threads, [&](int problem, int, int) {
    const auto i = static_cast<std::size_t>(problem);
    const std::size_t t = i / sizes.size();
    const int p = sizes[i % sizes.size()];
    const Eigen::Map<const MatrixXf> all(x.data() + t * n * features, shape.samples, shape.features);
    const VectorXf response = Eigen::Map<const VectorXf>(y.data() + t * n, shape.samples);
    VectorXf error = truth;
    if (p > 0) {
      if (solver == EigenSolver::orthogonal) {
        error.head(p) -= by_orthogonal<MatrixXf, VectorXf>(all.leftCols(p), response);
      } else if (shape.in_double(p)) {
        error.head(p) -= by_orthogonal<Eigen::MatrixXd, Eigen::VectorXd>(all.leftCols(p).cast<double>(),
                                                                         response.cast<double>())
                             .cast<float>();
      } else {
        error.head(p) -= by_cholesky(all.leftCols(p), response);
      }
    }
    risk[i] = (weight.array() * error.array().square()).sum() + static_cast<float>(shape.noise);
  });
}

}  // namespace remeasure::baselines
