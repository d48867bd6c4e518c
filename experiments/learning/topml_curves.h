// SPDX-License-Identifier: Apache-2.0
//
// The curve cases of topml: simulated risks beside the exact ones, with their checks and controls.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "bench/trial.h"
#include "experiments/learning/double_descent.h"

namespace remeasure::experiments::double_descent {

using namespace bench;
using datasets::RegressionChoice;

inline std::vector<int> curve_sizes(Size size) {
  if (size == Size::smoke)
    return {0, 2, 4, 8, 12, 16, 18, 20, 22, 23, 24, 25, 26, 28, 32, 40, 48, 56, 64, 80, 96};
  return {0,   1,   2,   4,   8,   16,  24,  32,  48,  64,   80,   96,   104,  112,
          116, 120, 124, 126, 127, 128, 129, 130, 132, 136,  140,  144,  152,  160,
          176, 192, 224, 256, 320, 384, 512, 640, 768, 1024, 1280, 1536, 1792, 2048};
}

inline LinearRegression open_problem(Trial& t, const RegressionChoice& choice, std::uint64_t seed) {
  return datasets::read_linear_regression(
      *t.open(datasets::linear_regression_definition, datasets::linear_regression(choice, seed)).reader);
}

struct CurveCase {
  RegressionChoice choice;
  int trials = 0;
};

inline void add_curve(Trial& t, const LinearRegression& problem, const std::vector<CurvePoint>& curve,
                      const std::vector<CurvePoint>& ridge) {
  const int n = problem.samples;
  const bool isotropic = shape_of(problem).isotropic;
  reports::Curve exact{.label = "exact", .reference = true}, mean{.label = "mean, 1 s.e."},
      median{.label = "median near p = n"}, control{.label = "ridge, best penalty"};
  reports::Table table{.name = "risk",
                       .title = "Test error against the number of features",
                       .columns = {"p", "mean", "s.e.", "exact", "median"},
                       .rows = {}};
  for (const CurvePoint& point : curve) {
    const auto formula = isotropic ? exact_risk(problem, point.p) : std::nullopt;
    const bool near =
        std::abs(point.p - n) < 8;  // the variance is infinite for |p - n| <= 3: never averaged here
    (near ? median : mean).x.push_back(point.p);
    (near ? median : mean).y.push_back(near ? point.median : point.mean);
    if (!near) mean.error.push_back(point.error);
    if (formula && !near) {
      exact.x.push_back(point.p);
      exact.y.push_back(*formula);
    }
    table.rows.push_back({fmt::format("{}", point.p), near ? "-" : fmt::format("{:.4f}", point.mean),
                          near ? "-" : fmt::format("{:.4f}", point.error),
                          formula ? fmt::format("{:.4f}", *formula) : "-",
                          fmt::format("{:.4f}", point.median)});
  }
  for (const CurvePoint& point : ridge) {
    control.x.push_back(point.p);
    control.y.push_back(point.mean);
    control.error.push_back(point.error);
  }
  reports::Plot plot{.name = "double-descent",
                     .title = fmt::format("Test error, n = {}", n),
                     .x_label = "features p",
                     .y_label = "test error",
                     .log_y = true};
  for (reports::Curve* curve_part : {&exact, &mean, &median, &control}) {
    if (!curve_part->x.empty()) plot.curves.push_back(std::move(*curve_part));
  }
  t.plot(std::move(plot));
  if (!ridge.empty() && problem.noise < 1) t.table(std::move(table));  // the other cases have their plots
}

struct Extremes {
  CurvePoint peak, best_under, best_over;
};
inline Extremes extremes_of(const std::vector<CurvePoint>& curve, int n) {
  Extremes e{.peak = curve.front(), .best_under = curve.front(), .best_over = curve.back()};
  for (const CurvePoint& point : curve) {
    if (point.median > e.peak.median) e.peak = point;
    if (point.p <= n - 8 && point.mean < e.best_under.mean) e.best_under = point;
    if (point.p >= n + 8 && point.mean < e.best_over.mean) e.best_over = point;
  }
  return e;
}

inline void run_curve(const CurveCase& c, Trial& t) {
  const int n = c.choice.samples;
  const LinearRegression problem = open_problem(t, c.choice, t.seed());
  const std::vector<CurvePoint> curve = simulate(problem, curve_sizes(t.size()), c.trials);
  const Extremes e = extremes_of(curve, n);
  const bool random = c.choice.order == "random" && c.choice.spectrum == "isotropic";

  std::vector<CurvePoint> ridge;
  if (random) {
    const int step = n / 8;
    ridge = simulate_ridge(problem, {n - 2 * step, n - step, n - 1, n, n + 1, n + step, n + 2 * step},
                           std::min(c.trials, 200));
    double largest_ratio = 1;
    for (std::size_t i = 1; i < ridge.size(); ++i) {
      largest_ratio =
          std::max({largest_ratio, ridge[i].mean / ridge[i - 1].mean, ridge[i - 1].mean / ridge[i].mean});
    }
    t.check("ridge with the best penalty has no peak", largest_ratio < 1.3,
            fmt::format("neighbours around p = n differ by at most {:.3f}x; limit 1.3x", largest_ratio));
  }
  add_curve(t, problem, curve, ridge);

  const bool at_n = std::abs(e.peak.p - n) <= 1;
  const CurvePoint& last = curve.back();
  t.metric(
      {.name = "peak at p", .value = static_cast<double>(e.peak.p), .unit = "features", .tolerance = 0.05});
  t.metric({.name = "best test error, p < n",
            .value = e.best_under.mean,
            .unit = "",
            .error = e.best_under.error,
            .tolerance = 0.02});
  t.metric({.name = "best test error, p > n",
            .value = e.best_over.mean,
            .unit = "",
            .error = e.best_over.error,
            .tolerance = 0.02});
  t.check("the median error peaks at p in {n-1, n, n+1}", at_n,
          fmt::format("largest median {:.3g} at p = {}, n = {}", e.peak.median, e.peak.p, n));
  t.claim(
      "double-descent", at_n && last.mean < e.peak.median,
      fmt::format("{}: {:.3g} at p = {}, then {:.3g}", c.choice.spectrum == "dct" ? "dct" : c.choice.order,
                  e.peak.median, e.peak.p, last.mean));

  if (c.choice.spectrum == "isotropic") {
    double worst = 0;
    int worst_p = 0;
    for (const CurvePoint& point : curve) {
      if (std::abs(point.p - n) < 8 || point.p == 0) continue;
      const double deviation = std::fabs(point.mean - *exact_risk(problem, point.p)) / point.error;
      if (deviation > worst) worst = deviation, worst_p = point.p;
    }
    const std::string detail =
        fmt::format("largest deviation {:.2f} s.e. at p = {}; limit 4, |p - n| >= 8, {} trials", worst,
                    worst_p, c.trials);
    t.check("mean error within 4 s.e. of the exact formula", worst < 4, detail);
    t.claim("exact-risk", worst < 4, fmt::format("at most {:.2f} s.e. off (p = {})", worst, worst_p));
  }
  if (!random) return;

  const double margin = (e.best_under.mean - last.mean) / std::hypot(last.error, e.best_under.error);
  const std::string detail =
      fmt::format("noise {}: {:.4f} at p = {}, best below n {:.4f} at p = {}: {:.1f} s.e.", c.choice.noise,
                  last.mean, last.p, e.best_under.mean, e.best_under.p, margin);
  if (c.choice.noise > 1) {
    t.check("control: with four times more noise than signal the best small model wins", margin < -4, detail);
    return;
  }
  t.check("the interpolator of all features beats every p <= n - 8", margin > 4, detail);
  t.claim("over-beats-under", margin > 4, detail);

  const InterpolatorFacts under = interpolator_facts(problem, n / 2, 8),
                          over = interpolator_facts(problem, n + 8, 40),
                          far = interpolator_facts(problem, problem.features, 40);
  t.check("interpolation above n only",
          over.train_error < 1e-10 && under.smallest_train_error > c.choice.noise * 0.25,
          fmt::format("training error {:.1e} at p = {}, at least {:.3f} at p = {}", over.train_error, n + 8,
                      under.smallest_train_error, n / 2));
  t.check("estimates lie in the row space and shrink as p grows",
          std::max(over.outside_row_space, far.outside_row_space) < 1e-10 && far.norm < over.norm,
          fmt::format("outside {:.1e}; mean squared norm {:.3f} at p = {}, {:.3f} at p = {}",
                      over.outside_row_space, over.norm, n + 8, far.norm, problem.features));
  const CurvePoint& cost = far.null_vector_cost;
  t.check("control: a unit vector of the null space costs its squared norm",
          std::fabs(cost.mean - 1) < 4 * cost.error && cost.mean > 0.5,
          fmt::format("{:.3f} +- {:.3f}; expected 1", cost.mean, cost.error));
}

/// What noise alone costs the interpolator of all features, for three spectra.
inline void run_noise(const CurveCase& c, Trial& t) {
  std::vector<double> variance;
  std::optional<double> theory;
  reports::Table table{.name = "noise",
                       .title = "Error of the interpolator of pure noise of variance 1",
                       .columns = {"spectrum", "measured", "s.e.", "k*/n + n/R"},
                       .rows = {}};
  for (const char* spectrum : {"benign", "isotropic", "steep"}) {
    RegressionChoice choice = c.choice;
    choice.spectrum = spectrum;
    const LinearRegression problem = open_problem(t, choice, t.seed());
    const CurvePoint point = simulate(problem, {choice.features}, c.trials).front();
    variance.push_back(point.mean - choice.noise);
    const auto bound = benign_variance(problem.variance, choice.samples);
    if (variance.size() == 1) theory = bound;
    table.rows.push_back({spectrum, fmt::format("{:.4f}", variance.back()),
                          fmt::format("{:.4f}", point.error),
                          bound ? fmt::format("{:.4f}", *bound) : "no k*"});
    t.metric({.name = fmt::format("noise error, {}", spectrum),
              .value = variance.back(),
              .unit = "",
              .error = point.error,
              .tolerance = 0.1});
  }
  t.table(std::move(table));
  const bool holds =
      theory && variance[0] < 3 * *theory && variance[0] > *theory / 3 && variance[2] > 3 * variance[0];
  const std::string detail = fmt::format("benign spectrum {:.3f} of the noise (theory {:.3f}), steep {:.3f}",
                                         variance[0], theory.value_or(0), variance[2]);
  t.check("noise is absorbed by many small eigenvalues, and by nothing else", holds, detail);
  t.claim("harmless-noise", holds, detail);
}

}  // namespace remeasure::experiments::double_descent
