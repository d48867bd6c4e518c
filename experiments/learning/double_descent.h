// SPDX-License-Identifier: Apache-2.0
//
// The statistics of the double-descent curves: exact risks, simulated ones, the controls. Header only, so
// that the experiment and its test share it.
#pragma once

#include <fmt/format.h>

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <optional>
#include <span>
#include <vector>

#include "datasets/learning/linear_regression.h"
#include "datasets/random.h"
#include "kernels/learning/minnorm_sweep_reference.h"
#include "kernels/parallel_tasks.h"

namespace remeasure::experiments {

using datasets::LinearRegression;

/// Expected risk for isotropic Gaussian features (Belkin, Hsu, Xu 2020; Hastie et al. 2022): a = |beta_S|^2
/// is the power of the features in use, c that of the others plus the noise. Empty where the mean doesn't
/// exist (|p - n| <= 1).
inline std::optional<double> exact_risk(int p, int n, double a, double c) {
  const double pd = p, nd = n;
  if (p <= n - 2) return c * (1 + pd / (nd - pd - 1));
  if (p >= n + 2) return a * (1 - nd / pd) + c * (1 + nd / (pd - nd - 1));
  return std::nullopt;
}

inline double power_of_first(const LinearRegression& problem, int p) {
  double power = 0;
  for (std::size_t j = 0; j < static_cast<std::size_t>(p); ++j) {
    power += static_cast<double>(problem.variance[j]) * static_cast<double>(problem.beta[j]) *
             static_cast<double>(problem.beta[j]);
  }
  return power;
}

inline std::optional<double> exact_risk(const LinearRegression& problem, int p) {
  const double a = power_of_first(problem, p);
  return exact_risk(p, problem.samples, a, power_of_first(problem, problem.features) - a + problem.noise);
}

struct CurvePoint {
  int p = 0;
  double mean = 0, error = 0, median = 0;  ///< error: one standard error of the mean
};

inline CurvePoint summary_of(int p, std::vector<double> samples) {
  CurvePoint point{.p = p};
  const auto count = static_cast<double>(samples.size());
  for (const double x : samples) point.mean += x / count;
  double squares = 0;
  for (const double x : samples) squares += (x - point.mean) * (x - point.mean);
  const auto [least, most] = std::minmax_element(samples.begin(), samples.end());
  point.error =
      *least == *most ? 0 : std::sqrt(squares / (count - 1) / count);  // p = 0 has no spread but rounding's
  const auto middle = samples.begin() + static_cast<std::ptrdiff_t>(samples.size() / 2);
  std::nth_element(samples.begin(), middle, samples.end());
  point.median = *middle;
  if (samples.size() % 2 == 0) point.median = (point.median + *std::max_element(samples.begin(), middle)) / 2;
  return point;
}

inline kernels::SweepShape shape_of(const LinearRegression& problem) {
  const bool isotropic =
      std::all_of(problem.variance.begin(), problem.variance.end(), [](float v) { return v == 1.0f; });
  return {.trials = problem.trials,
          .samples = problem.samples,
          .features = problem.features,
          .noise = problem.noise,
          .isotropic = isotropic};
}

/// Means over trials of the exact test error of each estimate (no test set is needed): the double reference,
/// on trials that are generated on the way.
inline std::vector<CurvePoint> simulate(const LinearRegression& problem, const std::vector<int>& sizes,
                                        int trials) {
  constexpr int kBatch = 16;
  const auto n = static_cast<std::size_t>(problem.samples),
             features = static_cast<std::size_t>(problem.features);
  std::vector<std::vector<double>> samples(sizes.size());
  std::vector<float> x, y;
  for (int first = 0; first < trials; first += kBatch) {
    kernels::SweepShape shape = shape_of(problem);
    shape.trials = std::min(kBatch, trials - first);
    shape.double_band = 1;  // in double the Gram matrix is good enough elsewhere
    const auto count = static_cast<std::size_t>(shape.trials);
    x.resize(count * features * n);
    y.resize(count * n);
    kernels::for_each_row_block(shape.trials, 1, 0, [&](int t, int, int) {
      const auto at = static_cast<std::size_t>(t);
      datasets::regression_trial(problem, static_cast<std::uint64_t>(first + t),
                                 std::span(x).subspan(at * features * n, features * n),
                                 std::span(y).subspan(at * n, n));
    });
    std::vector<double> risk(count * sizes.size());
    kernels::minnorm_sweep_reference<double>(shape, sizes, {x, y, problem.beta, problem.variance}, risk);
    for (std::size_t i = 0; i < risk.size(); ++i) samples[i % sizes.size()].push_back(risk[i]);
  }
  std::vector<CurvePoint> curve;
  for (std::size_t i = 0; i < sizes.size(); ++i) curve.push_back(summary_of(sizes[i], std::move(samples[i])));
  return curve;
}

/// One trial of a problem as Eigen matrices in double: x [n, D].
struct DenseTrial {
  Eigen::MatrixXd x;
  Eigen::VectorXd y, beta;
};
inline DenseTrial dense_trial(const LinearRegression& problem, int trial) {
  std::vector<float> x(static_cast<std::size_t>(problem.samples) *
                       static_cast<std::size_t>(problem.features));
  std::vector<float> y(static_cast<std::size_t>(problem.samples));
  datasets::regression_trial(problem, static_cast<std::uint64_t>(trial), x, y);
  return {Eigen::Map<const Eigen::MatrixXf>(x.data(), problem.samples, problem.features).cast<double>(),
          Eigen::Map<const Eigen::VectorXf>(y.data(), problem.samples).cast<double>(),
          Eigen::Map<const Eigen::VectorXf>(problem.beta.data(), problem.features).cast<double>()};
}

/// Ridge with the best penalty for isotropic features, lambda = c p / a (Hastie et al., 2022): the control
/// without a peak.
inline std::vector<CurvePoint> simulate_ridge(const LinearRegression& problem, const std::vector<int>& sizes,
                                              int trials) {
  std::vector<std::vector<double>> samples(sizes.size(),
                                           std::vector<double>(static_cast<std::size_t>(trials)));
  kernels::for_each_row_block(trials, 1, 0, [&](int t, int, int) {
    const DenseTrial trial = dense_trial(problem, t);
    for (std::size_t i = 0; i < sizes.size(); ++i) {
      const int p = sizes[i];
      const double a = power_of_first(problem, p),
                   c = power_of_first(problem, problem.features) - a + problem.noise;
      const Eigen::MatrixXd x = trial.x.leftCols(p);
      Eigen::MatrixXd k = Eigen::MatrixXd::Identity(problem.samples, problem.samples) * (c * p / a);
      k.selfadjointView<Eigen::Lower>().rankUpdate(x);
      Eigen::VectorXd error = trial.beta;
      error.head(p) -= x.transpose() * k.selfadjointView<Eigen::Lower>().llt().solve(trial.y);
      samples[i][static_cast<std::size_t>(t)] = error.squaredNorm() + problem.noise;
    }
  });
  std::vector<CurvePoint> curve;
  for (std::size_t i = 0; i < sizes.size(); ++i) curve.push_back(summary_of(sizes[i], std::move(samples[i])));
  return curve;
}

/// What an interpolator is, for one p and averaged over trials (isotropic features).
struct InterpolatorFacts {
  double train_error = 0;  ///< largest mean squared error on the training data
  double smallest_train_error = 1e300;
  double outside_row_space = 0;  ///< largest |(I - P_row) beta_hat|
  double norm = 0;               ///< mean |beta_hat|^2
  CurvePoint null_vector_cost;   ///< risk with a random unit vector of the null space added, minus the risk
};
inline InterpolatorFacts interpolator_facts(const LinearRegression& problem, int p, int trials) {
  InterpolatorFacts facts;
  std::vector<double> costs;
  for (int t = 0; t < trials; ++t) {
    const DenseTrial trial = dense_trial(problem, t);
    const Eigen::MatrixXd x = trial.x.leftCols(p);
    const std::vector<float> x32 = [&] {
      const Eigen::MatrixXf f = x.cast<float>();
      return std::vector<float>(f.data(), f.data() + f.size());
    }();
    const Eigen::VectorXf y32 = trial.y.cast<float>();
    const std::vector<double> solved =
        kernels::minnorm_estimate(x32, std::span(y32.data(), static_cast<std::size_t>(y32.size())), p);
    const Eigen::VectorXd estimate = Eigen::Map<const Eigen::VectorXd>(solved.data(), p);
    const double train = (trial.y - x * estimate).squaredNorm() / problem.samples;
    facts.train_error = std::max(facts.train_error, train);
    facts.smallest_train_error = std::min(facts.smallest_train_error, train);
    facts.norm += estimate.squaredNorm() / trials;
    if (p <= problem.samples) continue;
    const Eigen::MatrixXd row_space = Eigen::HouseholderQR<Eigen::MatrixXd>(x.transpose()).householderQ() *
                                      Eigen::MatrixXd::Identity(p, problem.samples);
    const auto beyond = [&](const Eigen::VectorXd& v) -> Eigen::VectorXd {
      return v - row_space * (row_space.transpose() * v);
    };
    facts.outside_row_space = std::max(facts.outside_row_space, beyond(estimate).norm());
    const datasets::Philox random(problem.seed, (std::uint64_t{1} << 40) + static_cast<std::uint64_t>(t));
    Eigen::VectorXd direction(p);
    for (int j = 0; j < p; ++j) direction[j] = random.normal(static_cast<std::uint64_t>(j));
    direction = beyond(direction).normalized();
    const Eigen::VectorXd beta = trial.beta.head(p);
    costs.push_back((beta - estimate - direction).squaredNorm() - (beta - estimate).squaredNorm());
  }
  if (!costs.empty()) facts.null_vector_cost = summary_of(p, std::move(costs));
  return facts;
}

/// sigma^2 (k / n + n / R_k) of Bartlett, Long, Lugosi, Tsigler (2020) for noise variance 1, b = 1: k is the
/// first index with r_k = sum_{i>k} v_i / v_{k+1} >= n. Empty where there is none below n: then noise isn't
/// absorbed.
inline std::optional<double> benign_variance(std::span<const float> variance, int n) {
  std::vector<double> v(variance.begin(), variance.end());
  std::sort(v.begin(), v.end(), std::greater<>());
  for (std::size_t k = 0; k < std::min(v.size(), static_cast<std::size_t>(n)); ++k) {
    double sum = 0, squares = 0;
    for (std::size_t i = k; i < v.size(); ++i) sum += v[i], squares += v[i] * v[i];
    if (sum / v[k] >= n) return static_cast<double>(k) / n + n * squares / (sum * sum);
  }
  return std::nullopt;
}

}  // namespace remeasure::experiments
