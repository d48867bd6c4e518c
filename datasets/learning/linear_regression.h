// SPDX-License-Identifier: Apache-2.0
//
// Linear regression with more features than samples: y = beta . x + xi, of which a learner sees the first p
// features of an order. Each trial is a new sample of the same problem.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "datasets/dataset.h"

namespace remeasure::datasets {

/// "linear_regression": parameters samples (n), features (D), trials (stored), noise (variance of xi,
/// relative to the signal's variance sum_j v_j beta_j^2 = 1), and
///   spectrum  variances v_j of the features: isotropic (1); dct (DCT coefficients of a smooth signal: 1 / (1
///   + (j/8)^2));
///             benign (8 of 1, the rest 0.01: many small, comparable ones); steep (0.9^j)
///   signal    random (beta uniform on the sphere), decaying (beta_j^2 ~ j^-2), none (beta = 0: y is noise
///   alone) order     natural, reversed, random: how features enter
extern const Definition linear_regression_definition;

struct RegressionChoice {
  int samples = 24, features = 96, trials = 8;
  double noise = 0.04;
  std::string spectrum = "isotropic", signal = "random", order = "random";
};
Parameters linear_regression(const RegressionChoice& choice, std::uint64_t seed);

/// A problem with its stored trials, features in the order in which they enter.
struct LinearRegression {
  int samples = 0, features = 0, trials = 0;
  double noise = 0;  ///< variance of xi
  std::uint64_t seed = 0;
  std::vector<float> beta;          ///< [feature]
  std::vector<float> variance;      ///< [feature]
  std::vector<std::int32_t> order;  ///< [feature]: its place in the file
  std::vector<float> x;             ///< [trial, feature, sample]
  std::vector<float> y;             ///< [trial, sample]
};
LinearRegression read_linear_regression(Reader& reader);

/// Any trial of the problem, stored or not: x [feature, sample] and y [sample] as the generator would have
/// written them. So a thousand trials need no gigabyte on disk.
void regression_trial(const LinearRegression& problem, std::uint64_t trial, std::span<float> x,
                      std::span<float> y);

/// The problem with `trials` trials, beyond the stored ones where needed.
LinearRegression with_trials(const LinearRegression& problem, int trials);

}  // namespace remeasure::datasets
