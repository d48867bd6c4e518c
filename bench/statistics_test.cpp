// SPDX-License-Identifier: Apache-2.0
#include "bench/statistics.h"

#include <testing/catch.h>

#include <cmath>
#include <limits>
#include <random>

using namespace remeasure::bench;
using Values = std::vector<double>;

TEST_CASE("median of odd, even, tied and single samples", "[cpu]") {
  CHECK(median(Values{3, 1, 2}) == 2);
  CHECK(median(Values{4, 1, 3, 2}) == 2.5);
  CHECK(median(Values{5, 5, 5, 1}) == 5);
  CHECK(median(Values{7}) == 7);
}

TEST_CASE("quantiles are R's type 7", "[cpu]") {
  const Values sample{10, 20, 30, 40, 50};  // quantile(c(10,20,30,40,50), c(.1,.25,.9)) gives 14, 20, 46
  CHECK(std::abs(quantile(sample, 0.1) - 14) < 1e-12);
  CHECK(quantile(sample, 0.25) == 20);
  CHECK(std::abs(quantile(sample, 0.9) - 46) < 1e-12);
  CHECK(quantile(sample, 0) == 10);
  CHECK(quantile(sample, 1) == 50);
  CHECK_THROWS_AS(quantile(sample, 1.5), std::invalid_argument);
}

TEST_CASE("median absolute deviation of a textbook sample", "[cpu]") {
  CHECK(median_absolute_deviation(Values{1, 1, 2, 2, 4, 6, 9}) == 1);
  CHECK(median_absolute_deviation(Values{3, 3, 3}) == 0);
}

TEST_CASE("empty samples, NaN and Inf are rejected", "[cpu]") {
  const double nan = std::numeric_limits<double>::quiet_NaN(),
               infinity = std::numeric_limits<double>::infinity();
  CHECK_THROWS_AS(median(Values{}), std::invalid_argument);
  CHECK_THROWS_AS(median(Values{1, nan}), std::invalid_argument);
  CHECK_THROWS_AS(median_interval(Values{1, infinity}), std::invalid_argument);
  CHECK_THROWS_AS(relative_width(Values{nan}), std::invalid_argument);
  CHECK_THROWS_AS(ratio_of_medians(Values{1}, Values{nan}, 1), std::invalid_argument);
  CHECK_THROWS_AS(ratio_of_medians(Values{1}, Values{0}, 1), std::invalid_argument);
}

TEST_CASE("interval of the median uses the order statistics of the binomial table", "[cpu]") {
  // Conover, Practical Nonparametric Statistics: n = 10 gives ranks 2 and 9 (97.9 %), n = 20 ranks 6 and 15
  // (95.9 %), n = 6 the range (96.9 %).
  const auto ranks = [](std::size_t n) {
    Values sample;
    for (std::size_t i = n; i >= 1; --i) sample.push_back(static_cast<double>(i));
    return median_interval(sample);
  };
  CHECK(ranks(10).low == 2);
  CHECK(ranks(10).high == 9);
  CHECK(std::abs(ranks(10).coverage - 0.978515625) < 1e-9);
  CHECK(ranks(20).low == 6);
  CHECK(ranks(20).high == 15);
  CHECK(ranks(6).low == 1);
  CHECK(ranks(6).high == 6);
  CHECK(std::abs(ranks(6).coverage - 0.96875) < 1e-9);
  CHECK(ranks(1000).low == 469);
  CHECK(ranks(1000).high == 532);
}

TEST_CASE("too few samples for 95 % give the range, and say what it is worth", "[cpu]") {
  CHECK(median_interval(Values{4}).coverage == 0);
  const auto three = median_interval(Values{1, 2, 3});
  CHECK(three.low == 1);
  CHECK(three.high == 3);
  CHECK(std::abs(three.coverage - 0.75) < 1e-12);
  CHECK(std::isinf(relative_width(Values{4})));
}

TEST_CASE("constant samples have an interval of no width", "[cpu]") {
  CHECK(relative_width(Values(20, 3.5)) == 0);
  const auto constant = estimate(Values(20, 3.5));
  CHECK(constant.median == 3.5);
  CHECK(constant.low == 3.5);
  CHECK(constant.high == 3.5);
}

TEST_CASE("the 95 % interval covers the true median in 95 % of the experiments", "[cpu]") {
  std::mt19937_64 random(1);
  std::exponential_distribution<double> skewed(std::log(2.0));  // median 1
  int covered = 0;
  for (int experiment = 0; experiment < 2000; ++experiment) {
    Values sample(25);
    for (double& value : sample) value = skewed(random);
    const auto interval = median_interval(sample);
    covered += interval.low <= 1 && 1 <= interval.high;
  }
  CHECK(covered > 2000 * 0.94);
  CHECK(covered < 2000 * 0.98);
}

TEST_CASE("ratio of medians: value, reproducible interval, coverage", "[cpu]") {
  const auto exact = ratio_of_medians(Values(12, 6.0), Values(9, 2.0), 1);
  CHECK(exact.median == 3);
  CHECK(exact.low == 3);
  CHECK(exact.high == 3);

  std::mt19937_64 random(2);
  std::lognormal_distribution<double> noise(0, 0.05);
  int covered = 0;
  for (int experiment = 0; experiment < 200; ++experiment) {
    Values base(30), variant(30);
    for (double& value : base) value = 2 * noise(random);
    for (double& value : variant) value = noise(random);
    const auto ratio = ratio_of_medians(base, variant, 7, 400);
    covered += ratio.low <= 2 && 2 <= ratio.high;
    const auto again = ratio_of_medians(base, variant, 7, 400);
    REQUIRE(again.low == ratio.low);
    REQUIRE(again.high == ratio.high);
  }
  CHECK(covered > 200 * 0.90);
}

TEST_CASE("a power law is found exactly where there is one, with an error where there isn't", "[cpu]") {
  const std::vector<double> x = {1, 2, 4, 8};
  const PowerLaw cubic = fit_power_law(x, std::vector<double>{5, 40, 320, 2560});
  CHECK(std::abs(cubic.exponent - 3) < 1e-12);
  CHECK(cubic.error < 1e-12);
  // ln y = {0, 0.2, -0.2, 0} above 2 ln x: worked out by hand with ln x = {0, 1, 2, 3} ln 2.
  std::vector<double> noisy;
  for (const auto& [size, off] : {std::pair{1.0, 0.0}, {2.0, 0.2}, {4.0, -0.2}, {8.0, 0.0}})
    noisy.push_back(size * size * std::exp(off));
  const PowerLaw law = fit_power_law(x, noisy);
  CHECK(std::abs(law.exponent - (2 - 0.04 / std::log(2.0))) < 1e-12);
  CHECK(std::abs(law.error - std::sqrt((0.08 - 5 * 0.04 * 0.04) / 2 / 5) / std::log(2.0)) < 1e-12);
  CHECK(fit_power_law(std::vector<double>{1, 2}, std::vector<double>{1, 2}).error == 0);
  CHECK_THROWS_AS(fit_power_law(std::vector<double>{2, 2}, std::vector<double>{1, 2}), std::invalid_argument);
  CHECK_THROWS_AS(fit_power_law(std::vector<double>{1, 0}, std::vector<double>{1, 2}), std::invalid_argument);
  CHECK_THROWS_AS(fit_power_law(x, std::vector<double>{1, 2}), std::invalid_argument);
}
