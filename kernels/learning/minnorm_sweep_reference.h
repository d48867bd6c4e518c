// SPDX-License-Identifier: Apache-2.0
//
// The sweep in plain Eigen, a template on the scalar: `double` makes the curves, `float` is timed. And the
// oracle, which shares nothing with it: the pseudo-inverse by an orthogonal decomposition of X itself, for
// each problem alone.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/learning/minnorm_sweep.h"

namespace remeasure::kernels {

/// The same arrays as SweepData, on the host.
struct SweepHostData {
  std::span<const float> x, y, beta, variance;
};

/// The nested sweep: one Cholesky factorisation for all p <= n, whose leading blocks are those of the smaller
/// p; for p > n the kernel matrix K_p = K_p' + X_(p' to p) X_(p' to p)^T grows by the new features. Within
/// `double_band` of n: QR of X in double. `threads`: 0 = all.
template <class Scalar>
void minnorm_sweep_reference(const SweepShape& shape, std::span<const int> sizes, const SweepHostData& data,
                             std::span<Scalar> risk, int threads = 0);

/// beta_hat of one problem by the SVD (min(n, p) <= 32) or a complete orthogonal decomposition of X in
/// double. x: [feature, sample], y: [sample].
std::vector<double> minnorm_estimate(std::span<const float> x, std::span<const float> y, int p);

/// Risk of an estimate whose features beyond its length are 0.
double estimate_risk(const SweepShape& shape, std::span<const float> beta, std::span<const float> variance,
                     std::span<const double> estimate);

struct SweepOracle {
  std::vector<double> risk;   ///< [trial, size]
  std::vector<double> scale;  ///< signal + |beta_hat|^2_v + noise: the size of the terms that make up a risk
};
SweepOracle minnorm_sweep_oracle(const SweepShape& shape, std::span<const int> sizes,
                                 const SweepHostData& data, int trials);

}  // namespace remeasure::kernels
