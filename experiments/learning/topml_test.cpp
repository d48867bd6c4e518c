// SPDX-License-Identifier: Apache-2.0
//
// The statistics behind topml: the pilot's numbers, and that each check of the experiment can fail.
#include <testing/catch.h>
#include <unistd.h>
#include <filesystem>

#include "experiments/learning/double_descent.h"

using namespace remeasure;
using namespace remeasure::experiments;

namespace {

LinearRegression problem_of(datasets::RegressionChoice choice, std::uint64_t seed = 1) {
  choice.trials = 1;
  const std::filesystem::path root =
      std::filesystem::temp_directory_path() / ("remeasure-topml-" + std::to_string(::getpid()));
  datasets::Store store(root);
  const LinearRegression problem = datasets::read_linear_regression(
      *store.open(datasets::linear_regression_definition, datasets::linear_regression(choice, seed)).reader);
  std::filesystem::remove_all(root);
  return problem;
}

double mean_at(const std::vector<CurvePoint>& curve, int p) {
  for (const CurvePoint& point : curve) {
    if (point.p == p) return point.mean;
  }
  throw std::out_of_range("no such p in the curve");
}

}  // namespace

TEST_CASE("the exact risk gives the values of the pilot", "[cpu]") {
  // n = 24, D = 96, |beta| = 1, noise 0.04, features in use carry p / D of the power.
  const auto formula = [](int p) { return *exact_risk(p, 24, p / 96.0, 1 - p / 96.0 + 0.04); };
  const std::vector<std::pair<int, double>> pilot{{4, 1.209},  {12, 1.913}, {16, 2.870}, {32, 3.213},
                                                  {48, 1.353}, {64, 1.020}, {96, 0.804}};
  for (const auto& [p, value] : pilot) {
    INFO("p " << p);
    CHECK(std::fabs(formula(p) - value) < 6e-4);
  }
  CHECK(std::fabs(formula(0) - 1.04) < 1e-12);
  for (const int p : {23, 24, 25}) CHECK_FALSE(exact_risk(p, 24, 0.5, 0.5));
  CHECK(exact_risk(22, 24, 0.5, 0.5));
  CHECK(exact_risk(26, 24, 0.5, 0.5));
}

TEST_CASE("the simulated risk follows the exact one and peaks at p = n", "[cpu]") {
  const LinearRegression problem = problem_of({});
  const std::vector<int> sizes{4, 8, 12, 16, 22, 23, 24, 25, 26, 32, 48, 64, 96};
  const std::vector<CurvePoint> curve = simulate(problem, sizes, 200);
  CurvePoint peak = curve.front();
  for (const CurvePoint& point : curve) {
    if (point.median > peak.median) peak = point;
    if (std::abs(point.p - 24) < 8) continue;
    INFO("p " << point.p << " mean " << point.mean << " +- " << point.error);
    CHECK(std::fabs(point.mean - *exact_risk(problem, point.p)) < 4 * point.error);
    // Negative control: the formula without the unmodelled signal in c isn't met below n.
    if (point.p <= 12)
      CHECK(std::fabs(point.mean - *exact_risk(point.p, 24, 0, problem.noise)) > 4 * point.error);
  }
  CHECK(std::abs(peak.p - 24) <= 1);
  CHECK(peak.median > 5);
}

TEST_CASE("over beats under at little noise, and the verdict flips at much", "[cpu]") {
  datasets::RegressionChoice choice;
  const std::vector<int> sizes{0, 2, 4, 8, 12, 16, 96};
  for (const double noise : {0.04, 4.0}) {
    choice.noise = noise;
    const std::vector<CurvePoint> curve = simulate(problem_of(choice), sizes, 200);
    CurvePoint under = curve.front();
    for (const CurvePoint& point : curve) {
      if (point.p <= 16 && point.mean < under.mean) under = point;
    }
    const double margin = (under.mean - mean_at(curve, 96)) / std::hypot(curve.back().error, under.error);
    CHECK((noise < 1 ? margin > 4 : margin < -4));
    CHECK(std::fabs(curve.front().mean - (1 + noise)) < 1e-6);
  }
}

TEST_CASE("interpolators interpolate, lie in the row space, and shrink; below n they don't", "[cpu]") {
  const LinearRegression problem = problem_of({});
  const InterpolatorFacts under = interpolator_facts(problem, 12, 20),
                          over = interpolator_facts(problem, 32, 100),
                          far = interpolator_facts(problem, 96, 100);
  CHECK(under.smallest_train_error > 0.04 * 0.25);
  CHECK(over.train_error < 1e-10);
  CHECK(far.train_error < 1e-10);
  CHECK(over.outside_row_space < 1e-10);
  CHECK(far.norm < over.norm);
  // Another interpolator, a unit vector of the null space away: its risk is higher by 1 on average.
  CHECK(std::fabs(far.null_vector_cost.mean - 1) < 4 * far.null_vector_cost.error);
  CHECK(far.null_vector_cost.mean - 4 * far.null_vector_cost.error > 0.5);
}

TEST_CASE("the best ridge has no peak where least squares has one", "[cpu]") {
  const LinearRegression problem = problem_of({});
  const std::vector<int> sizes{18, 21, 23, 24, 25, 27, 30};
  const std::vector<CurvePoint> ridge = simulate_ridge(problem, sizes, 200),
                                plain = simulate(problem, sizes, 200);
  const auto ratio = [](const std::vector<CurvePoint>& curve) {
    double largest = 1;
    for (std::size_t i = 1; i < curve.size(); ++i) {
      largest =
          std::max({largest, curve[i].median / curve[i - 1].median, curve[i - 1].median / curve[i].median});
    }
    return largest;
  };
  CHECK(ratio(ridge) < 1.3);
  CHECK(ratio(plain) > 1.3);  // the check can fail
}

TEST_CASE("noise is harmless for the benign spectrum alone", "[cpu]") {
  datasets::RegressionChoice choice{
      .samples = 64, .features = 1024, .noise = 1, .signal = "none", .order = "natural"};
  const auto cost = [&](const char* spectrum) {
    choice.spectrum = spectrum;
    return simulate(problem_of(choice), {1024}, 24).front().mean - 1;
  };
  choice.spectrum = "benign";
  const auto theory = benign_variance(problem_of(choice).variance, 64);
  REQUIRE(theory);
  CHECK(std::fabs(*theory - (8.0 / 64 + 64.0 / 1016)) < 1e-6);
  const double benign = cost("benign");
  CHECK(benign < 3 * *theory);
  CHECK(benign > *theory / 3);
  CHECK(cost("steep") > 3 * benign);
  choice.spectrum = "steep";
  CHECK_FALSE(benign_variance(problem_of(choice).variance, 64));
}

TEST_CASE("aligned features in order favour the small model, reversed ones the interpolator", "[cpu]") {
  datasets::RegressionChoice choice{.signal = "decaying", .order = "natural"};
  const std::vector<int> sizes{0, 4, 8, 12, 16, 96};
  const auto aligned = simulate(problem_of(choice), sizes, 100);
  CHECK(mean_at(aligned, 8) < mean_at(aligned, 96));
  choice.order = "reversed";
  const auto reversed = simulate(problem_of(choice), sizes, 100);
  CHECK(mean_at(reversed, 0) > mean_at(reversed, 96));
  CHECK(mean_at(reversed, 12) > mean_at(reversed, 96));
}
