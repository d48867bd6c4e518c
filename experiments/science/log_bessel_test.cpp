// SPDX-License-Identifier: Apache-2.0
//
// What must hold without a GPU, with controls that must fail.
#include <testing/catch.h>
#include <cmath>
#include <numbers>

#include "datasets/random.h"
#include "experiments/science/log_bessel_points.h"
#include "kernels/science/vmf_fit.h"

using namespace remeasure;
using namespace remeasure::experiments::log_bessel_points;
using kernels::BranchTable;
using kernels::log_iv_branch;
using kernels::log_iv_oracle;
using kernels::log_iv_reference;
using kernels::log_kv_oracle;
using kernels::log_kv_reference;
using kernels::MuGuard;

namespace {

constexpr std::size_t kPoints = 500;

/// As in the dataset: uniform, or log-uniform.
BesselPoints points_in(const std::string& name) {
  const datasets::BesselRegion& region = datasets::bessel_region(name);
  const datasets::Philox random(7);
  BesselPoints points;
  const auto value = [&](double u) {
    return region.logarithmic ? region.low * std::pow(region.high / region.low, u)
                              : region.low + u * (region.high - region.low);
  };
  for (std::size_t i = 0; i < kPoints; ++i) {
    points.v.push_back(value(random.uniform(2 * i)));
    points.x.push_back(value(random.uniform(2 * i + 1)));
  }
  return points;
}

std::vector<double> values_of(Function function, const BesselPoints& points, LogBesselTable table = {}) {
  std::vector<double> out(points.v.size());
  evaluate(function, points.v, points.x, out, table);
  return out;
}

/// ln(I_v K_{v+1} + I_{v+1} K_v) + ln x: 0 but for rounding.
double wronskian_error(double v, double x) {
  const double a = log_iv_reference(v, x) + log_kv_reference(v + 1, x);
  const double b = log_iv_reference(v + 1, x) + log_kv_reference(v, x);
  return std::abs(std::max(a, b) + std::log1p(std::exp(-std::abs(a - b))) + std::log(x));
}

double jump(Function function, double v1, double x1, double v2, double x2) {
  const auto value = [&](double v, double x) {
    return function == Function::i ? log_iv_reference(v, x) : log_kv_reference(v, x);
  };
  const auto exact = [&](double v, double x) {
    return function == Function::i ? log_iv_oracle(v, x) : log_kv_oracle(v, x);
  };
  const double step = (value(v2, x2) - value(v1, x1)) - (exact(v2, x2) - exact(v1, x1));
  return std::abs(step) / std::max(1.0, std::abs(exact(v1, x1)));
}

}  // namespace

TEST_CASE("Errors over the small and the large region are near machine precision", "[cpu]") {
  for (const char* region : {"small", "large"}) {
    const BesselPoints points = points_in(region);
    for (const Function function : {Function::i, Function::k}) {
      const Reference reference = reference_at(function, points, kPoints);
      const auto errors = errors_by_branch(points, reference, values_of(function, points), {});
      INFO(region << (function == Function::i ? " I" : " K"));
      CHECK(bench::median(errors.at("all")) <= (function == Function::i ? 1e-15 : 1e-14));
      // v eta, of size hypot(v, x), is rounded a few times; where ln I crosses 0 this is all there is.
      for (std::size_t i = 0; i < kPoints; ++i) {
        const double v = points.v[i], x = points.x[i];
        const bool fallback = kernels::bessel_branch(BranchTable::full, MuGuard::paper, v, x) ==
                              kernels::BesselBranch::fallback;
        const bool expanded_far = x > 59 && v * v > 2 * x;  // may be a large-argument branch at a large order
        const double limit = (function == Function::k && fallback ? 1e-9 : 1.2e-13) +
                             (expanded_far ? 1e-12 : 0) +
                             1e-15 * std::hypot(v, x) / std::max(1.0, std::abs(reference.values[i]));
        INFO("v = " << v << ", x = " << x);
        CHECK(errors.at("all")[i] <= limit);
      }
    }
  }
}

TEST_CASE("Half-integer orders agree with their closed forms", "[cpu]") {
  for (const double x : {0.01, 0.3, 1.0, 5.0, 19.0, 29.0, 31.0, 100.0, 1e3, 1e5}) {
    const double log_i =
        0.5 * std::log(2 / (std::numbers::pi * x)) + x + std::log1p(-std::exp(-2 * x)) - std::numbers::ln2;
    const double log_k = 0.5 * std::log(std::numbers::pi / (2 * x)) - x;
    INFO("x = " << x);
    CHECK(scaled_error(log_iv_reference(0.5, x), log_i) <= 1e-14);
    const bool fallback =
        kernels::bessel_branch(BranchTable::full, MuGuard::paper, 0.5, x) == kernels::BesselBranch::fallback;
    CHECK(scaled_error(log_kv_reference(0.5, x), log_k) <=
          (fallback ? 1e-10 : 1e-14));  // Simpson's error in the fallback
  }
}

TEST_CASE("The Wronskian is -ln x in every branch", "[cpu]") {
  for (const char* region : {"small", "large", "mixed"}) {
    const BesselPoints points = points_in(region);
    for (std::size_t i = 0; i < kPoints; ++i) {
      const double v = points.v[i], x = points.x[i], log_i = log_iv_reference(v, x);
      double limit = 2e-14 * std::max(1.0, std::abs(log_i)) + 2e-13 + 1e-15 * std::hypot(v, x);
      const kernels::BesselBranch branch = kernels::bessel_branch(BranchTable::full, MuGuard::paper, v, x);
      if (branch <= kernels::BesselBranch::mu20) {
        const bool safe = kernels::bessel_branch(BranchTable::full, MuGuard::guarded, v, x) == branch;
        limit = safe ? 1e-11 + 1e-15 * std::hypot(v, x) : 3e-7;  // the loss that the guards prevent
      }
      // Order v + 1 may still fall back, or not any more.
      if (branch == kernels::BesselBranch::fallback) limit = 2e-9;
      INFO(region << ", " << to_string(branch) << " v = " << v << ", x = " << x);
      CHECK(wronskian_error(v, x) <= limit);
    }
  }
}

TEST_CASE("All outputs are finite on the mixed region, where std::cyl_bessel fails on 30 % and more",
          "[cpu]") {
  const BesselPoints points = points_in("mixed");
  for (const Function function : {Function::i, Function::k}) {
    const std::vector<double> out = values_of(function, points);
    for (const double value : out) REQUIRE(std::isfinite(value));
    const Answers control = answers_of(baselines::bessel_libraries()[0], function, points, out);
    REQUIRE(control.library->name == "std");
    CHECK(control.failing >= 0.3);
    CHECK(control.failing < 0.9);
    CHECK(control.wrong < 0.01);
  }
}

TEST_CASE("No threshold makes a visible jump", "[cpu]") {
  constexpr double kStep = 1e-9;
  const std::pair<double, double> kAtOrder[] = {{163.6993, 100}, {56.9971, 40},  {20.1534, 14},
                                                {12.6964, 9},    {12.6964, 0.5}, {15.3919, 31},
                                                {15.3919, 55},   {3.05, 1500},   {3.05, 5e4}};
  const std::pair<double, double> kAtArgument[] = {
      {5, 19.6931}, {0.8, 35.9074}, {16, 35.9074}, {16, 30},        {5, 30},
      {0, 30},      {0.4, 30},      {40, 84.4153}, {100, 274.2377}, {2, 1400}};
  for (const Function function : {Function::i, Function::k}) {
    const auto limit = [&](double v, double x) {
      const bool integral = function == Function::k && v < 12.7 && x <= 30.1;
      return integral ? 1e-9 : 1e-11;
    };
    for (const auto& [v, x] : kAtOrder) {
      INFO((function == Function::i ? "I" : "K") << " across v = " << v << " at x = " << x);
      CHECK(jump(function, v * (1 - kStep), x, v * (1 + kStep), x) <= limit(v, x));
    }
    for (const auto& [v, x] : kAtArgument) {
      INFO((function == Function::i ? "I" : "K") << " across x = " << x << " at v = " << v);
      CHECK(jump(function, v, x * (1 - kStep), v, x * (1 + kStep)) <= limit(v, x));
    }
    for (double x = 70; x < 1e5; x *= 1.7) {  // the curved edges of the large-argument branches
      const double v20 = std::exp(0.5113 * std::log(x) + 0.7939);
      CHECK(jump(function, v20 * (1 - kStep), x, v20 * (1 + kStep), x) <= 1e-11);
      const double v3 = std::exp(0.6229 * std::log(x) - 3.2318);
      if (v3 > 3.1) CHECK(jump(function, v3 * (1 - kStep), x, v3 * (1 + kStep), x) <= 1e-11);
    }
  }
}

TEST_CASE("Three terms of the large-argument expansion everywhere are wrong", "[cpu]") {
  const BesselPoints points = points_in("small");
  const Reference reference = reference_at(Function::i, points, kPoints);
  double worst = 0;
  for (std::size_t i = 0; i < kPoints; ++i) {
    const double value = log_iv_branch(kernels::BesselBranch::mu3, points.v[i], points.x[i]);
    worst = std::max(worst, scaled_error(value, reference.values[i]));
  }
  CHECK(worst > 1e-6);
}

TEST_CASE("The reduced table agrees with the full one", "[cpu]") {
  for (const char* region : {"small", "large", "mixed"}) {
    const BesselPoints points = points_in(region);
    for (const Function function : {Function::i, Function::k}) {
      const auto full = values_of(function, points),
                 reduced = values_of(function, points, {BranchTable::reduced, MuGuard::paper});
      for (std::size_t i = 0; i < kPoints; ++i) {
        const double v = points.v[i], x = points.x[i];
        const bool mu3 =
            kernels::bessel_branch(BranchTable::full, MuGuard::paper, v, x) == kernels::BesselBranch::mu3;
        INFO(region << " v = " << v << ", x = " << x);
        CHECK(scaled_error(reduced[i], full[i]) <= (mu3 ? 1e-8 : 1e-12));
      }
    }
  }
}

TEST_CASE("A library that fails or lies is seen", "[cpu]") {
  const BesselPoints points{.v = {1, 2, 3, 4}, .x = {5, 6, 7, 8}};
  const std::vector<double> expected = values_of(Function::i, points);
  const auto liar = [](std::span<const double> v, std::span<const double> x, std::span<double> out) {
    kernels::log_iv_reference<double>(v, x, out);
    out[1] = std::numeric_limits<double>::infinity();
    out[2] += 1e-3;
  };
  const baselines::BesselLibrary library{.name = "liar",
                                         .what = "",
                                         .log_iv = liar,
                                         .log_kv = nullptr,
                                         .missing = "",
                                         .can_hold_i = nullptr,
                                         .can_hold_k = nullptr};
  const Answers answers = answers_of(library, Function::i, points, expected);
  CHECK(answers.failing == 0.25);
  CHECK(answers.wrong == 0.25);
  CHECK(answers.right == std::vector<char>{1, 0, 0, 1});
}

TEST_CASE("Sub-boxes divide a region and keep every point that fits", "[cpu]") {
  for (const char* region : {"small", "large", "mixed"}) {
    const BesselPoints points = points_in(region);
    const auto boxes = sub_boxes(datasets::bessel_region(region), points, kPoints);
    CHECK(boxes.size() == 50);
    std::size_t total = 0;
    for (const auto& box : boxes) total += box.size();
    CHECK(total == kPoints);
    for (const auto& box : sub_boxes(datasets::bessel_region(region), points, 3)) CHECK(box.size() <= 3);
  }
}
