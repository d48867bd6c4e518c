// SPDX-License-Identifier: Apache-2.0
#include "kernels/learning/minnorm_sweep_reference.h"

#include <fmt/format.h>

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "kernels/parallel_tasks.h"

namespace remeasure::kernels {
namespace {

template <class Scalar>
using Matrix = Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic>;
template <class Scalar>
using Vector = Eigen::Matrix<Scalar, Eigen::Dynamic, 1>;
using FloatMap = Eigen::Map<const Eigen::MatrixXf>;
using FloatVectorMap = Eigen::Map<const Eigen::VectorXf>;

/// One trial: x is [n, D] column-major, which is [feature, sample].
struct TrialView {
  FloatMap x;
  FloatVectorMap y;
};

TrialView trial_of(const SweepShape& s, const SweepHostData& data, int t) {
  const auto n = static_cast<std::size_t>(s.samples), features = static_cast<std::size_t>(s.features);
  const auto at = static_cast<std::size_t>(t);
  return {FloatMap(data.x.data() + at * n * features, s.samples, s.features),
          FloatVectorMap(data.y.data() + at * n, s.samples)};
}

template <class Scalar, class Estimate>
Scalar risk_of(const SweepShape& s, const Vector<Scalar>& beta, const Vector<Scalar>& variance,
               const Estimate& estimate) {
  const Eigen::Index p = estimate.size(), rest = beta.size() - p;
  return (variance.head(p).array() * (beta.head(p) - estimate).array().square()).sum() +
         (variance.tail(rest).array() * beta.tail(rest).array().square()).sum() +
         static_cast<Scalar>(s.noise);
}

template <class Decomposition>
Eigen::VectorXd solve_by(const Eigen::MatrixXd& x, const Eigen::VectorXd& y) {
  return Decomposition(x).solve(y);
}

Eigen::VectorXd estimate_in_double(const TrialView& trial, int p) {
  const Eigen::MatrixXd x = trial.x.leftCols(p).cast<double>();
  return solve_by<Eigen::CompleteOrthogonalDecomposition<Eigen::MatrixXd>>(x, trial.y.cast<double>());
}

template <class Scalar>
void sweep_trial(const SweepShape& s, std::span<const int> sizes, const TrialView& trial,
                 const Vector<Scalar>& beta, const Vector<Scalar>& variance, std::span<Scalar> risk) {
  const Matrix<Scalar> x = trial.x.cast<Scalar>();
  const Vector<Scalar> y = trial.y.cast<Scalar>();
  const int n = s.samples;
  int under = 0;  // the largest p <= n that the common factor serves
  for (const int p : sizes) {
    if (p <= n && !s.in_double(p)) under = p;
  }
  Matrix<Scalar> gram = Matrix<Scalar>::Zero(under, under);
  gram.template selfadjointView<Eigen::Lower>().rankUpdate(x.leftCols(under).transpose());
  const Eigen::LLT<Matrix<Scalar>> factor(gram);
  Vector<Scalar> z = x.leftCols(under).transpose() * y;
  if (under > 0) factor.matrixL().solveInPlace(z);

  Matrix<Scalar> k = Matrix<Scalar>::Zero(n, n);
  int grown = 0;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    const int p = sizes[i];
    if (s.in_double(p)) {
      const Eigen::VectorXd estimate = estimate_in_double(trial, p);
      risk[i] = static_cast<Scalar>(
          risk_of<double>(s, beta.template cast<double>(), variance.template cast<double>(), estimate));
    } else if (p <= n) {
      Vector<Scalar> estimate = z.head(p);
      if (p > 0) {
        factor.matrixLLT()
            .topLeftCorner(p, p)
            .template triangularView<Eigen::Lower>()
            .transpose()
            .solveInPlace(estimate);
      }
      risk[i] = risk_of<Scalar>(s, beta, variance, estimate);
    } else {
      k.template selfadjointView<Eigen::Lower>().rankUpdate(x.middleCols(grown, p - grown));
      grown = p;
      const Eigen::LLT<Matrix<Scalar>> snapshot(k);
      const Vector<Scalar> alpha = snapshot.solve(y);
      const Vector<Scalar> estimate = x.leftCols(p).transpose() * alpha;
      risk[i] = risk_of<Scalar>(s, beta, variance, estimate);
    }
  }
}

void require(bool good, const std::string& what) {
  if (!good) throw std::invalid_argument("minnorm_sweep: " + what);
}

}  // namespace

void check_sweep(const SweepShape& s, std::span<const int> sizes, std::size_t x, std::size_t y,
                 std::size_t beta, std::size_t variance, std::size_t risk) {
  require(s.trials >= 1 && s.trials <= 65535 && s.features >= 1,
          fmt::format("{} trials, {} features; expected 1 to 65535 trials and at least 1 feature", s.trials,
                      s.features));
  require(s.samples >= 1 && s.samples <= kSweepMaxSamples,
          fmt::format("{} samples; expected 1 to {}", s.samples, kSweepMaxSamples));
  require(std::isfinite(s.noise) && s.noise >= 0,
          fmt::format("noise {}; a variance isn't negative", s.noise));
  require(!sizes.empty() && sizes.size() <= static_cast<std::size_t>(kSweepMaxSizes),
          fmt::format("{} sizes; expected 1 to {}", sizes.size(), kSweepMaxSizes));
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    require(sizes[i] >= 0 && sizes[i] <= s.features && (i == 0 || sizes[i] > sizes[i - 1]),
            fmt::format("size {} at place {}; expected strictly increasing from 0 to {}", sizes[i], i,
                        s.features));
  }
  const auto n = static_cast<std::size_t>(s.samples), features = static_cast<std::size_t>(s.features);
  const auto trials = static_cast<std::size_t>(s.trials);
  require(
      x == trials * features * n && y == trials * n && beta == features && variance == features &&
          risk == trials * sizes.size(),
      fmt::format("x, y, beta, variance, risk have {}, {}, {}, {}, {} elements; expected {}, {}, {}, {}, {}",
                  x, y, beta, variance, risk, trials * features * n, trials * n, features, features,
                  trials * sizes.size()));
}

double minnorm_sweep_flops(const SweepShape& s, std::span<const int> sizes) {
  const double n = s.samples;
  double flops = 0;
  for (const int size : sizes) {
    const double p = size;
    flops += p > n ? n * n * p + n * n * n / 3 : p * p * n + p * p * p / 3;
  }
  return s.trials * flops;
}

double minnorm_nested_flops(const SweepShape& s, std::span<const int> sizes) {
  const double n = s.samples;
  double below = 0, largest = 0, flops = 0;
  for (const int size : sizes) {
    if (size <= s.samples)
      below = size;
    else
      largest = size, flops += n * n * n / 3;
  }
  return s.trials * (flops + n * n * largest + below * below * n + below * below * below / 3);
}

double minnorm_sweep_bytes(const SweepShape& s, std::span<const int> sizes) {
  const double n = s.samples, features = s.features;
  return s.trials * (4 * n * features + 4 * n + 4 * static_cast<double>(sizes.size())) + 8 * features;
}

template <class Scalar>
void minnorm_sweep_reference(const SweepShape& shape, std::span<const int> sizes, const SweepHostData& data,
                             std::span<Scalar> risk, int threads) {
  check_sweep(shape, sizes, data.x.size(), data.y.size(), data.beta.size(), data.variance.size(),
              risk.size());
  const Vector<Scalar> beta = FloatVectorMap(data.beta.data(), shape.features).cast<Scalar>();
  const Vector<Scalar> variance = FloatVectorMap(data.variance.data(), shape.features).cast<Scalar>();
  for_each_row_block(shape.trials, 1, threads, [&](int t, int, int) {
    sweep_trial<Scalar>(shape, sizes, trial_of(shape, data, t), beta, variance,
                        risk.subspan(static_cast<std::size_t>(t) * sizes.size(), sizes.size()));
  });
}
template void minnorm_sweep_reference(const SweepShape&, std::span<const int>, const SweepHostData&,
                                      std::span<float>, int);
template void minnorm_sweep_reference(const SweepShape&, std::span<const int>, const SweepHostData&,
                                      std::span<double>, int);

std::vector<double> minnorm_estimate(std::span<const float> x, std::span<const float> y, int p) {
  const auto n = static_cast<Eigen::Index>(y.size());
  const Eigen::MatrixXd features = FloatMap(x.data(), n, p).cast<double>();
  const Eigen::VectorXd response = FloatVectorMap(y.data(), n).cast<double>();
  std::vector<double> estimate(static_cast<std::size_t>(p));
  if (p == 0) return estimate;
  Eigen::Map<Eigen::VectorXd> out(estimate.data(), p);
  if (std::min<Eigen::Index>(n, p) <= 32) {
    out = Eigen::JacobiSVD<Eigen::MatrixXd>(features, Eigen::ComputeThinU | Eigen::ComputeThinV)
              .solve(response);
  } else {
    out = solve_by<Eigen::CompleteOrthogonalDecomposition<Eigen::MatrixXd>>(features, response);
  }
  return estimate;
}

double estimate_risk(const SweepShape& shape, std::span<const float> beta, std::span<const float> variance,
                     std::span<const double> estimate) {
  double risk = shape.noise;
  for (std::size_t j = 0; j < beta.size(); ++j) {
    const double difference = static_cast<double>(beta[j]) - (j < estimate.size() ? estimate[j] : 0);
    risk += static_cast<double>(variance[j]) * difference * difference;
  }
  return risk;
}

SweepOracle minnorm_sweep_oracle(const SweepShape& shape, std::span<const int> sizes,
                                 const SweepHostData& data, int trials) {
  const auto n = static_cast<std::size_t>(shape.samples), features = static_cast<std::size_t>(shape.features);
  const std::size_t count = static_cast<std::size_t>(trials) * sizes.size();
  SweepOracle oracle{std::vector<double>(count), std::vector<double>(count)};
  const std::vector<double> nothing;
  const double signal = estimate_risk(shape, data.beta, data.variance, nothing);
  for_each_row_block(static_cast<int>(count), 1, 0, [&](int problem, int, int) {
    const auto i = static_cast<std::size_t>(problem);
    const std::size_t t = i / sizes.size();
    const std::vector<double> estimate = minnorm_estimate(data.x.subspan(t * n * features, n * features),
                                                          data.y.subspan(t * n, n), sizes[i % sizes.size()]);
    oracle.risk[i] = estimate_risk(shape, data.beta, data.variance, estimate);
    oracle.scale[i] = signal;
    for (std::size_t j = 0; j < estimate.size(); ++j) {
      oracle.scale[i] += static_cast<double>(data.variance[j]) * estimate[j] * estimate[j];
    }
  });
  return oracle;
}

}  // namespace remeasure::kernels
