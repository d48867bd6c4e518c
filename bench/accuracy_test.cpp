// SPDX-License-Identifier: Apache-2.0
#include "bench/accuracy.h"

#include <testing/catch.h>

#include <cmath>
#include <limits>
#include <vector>

using namespace remeasure::bench;
using Values = std::vector<double>;

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr ErrorMetric kAll[] = {ErrorMetric::relative_l2, ErrorMetric::max_scaled, ErrorMetric::median_scaled,
                                ErrorMetric::mismatches};

double error(ErrorMetric metric, const Values& out, const Values& reference, const Values& scale = {}) {
  return error_of(metric, out, reference, scale).value;
}

}  // namespace

TEST_CASE("errors of hand-computed vectors", "[cpu]") {
  const Values reference{3, -4, 0}, out{3, -4.5, 0.1};
  CHECK(std::abs(error(ErrorMetric::relative_l2, out, reference) - std::sqrt(0.26) / 5) < 1e-15);
  CHECK(std::abs(error(ErrorMetric::max_scaled, out, reference) - 0.125) < 1e-15);
  CHECK(std::abs(error(ErrorMetric::median_scaled, out, reference) - 0.025) < 1e-15);
  CHECK(error(ErrorMetric::mismatches, out, reference) == 2.0 / 3);
  CHECK(error_of(ErrorMetric::max_scaled, out, reference).worst_index == 1);
  CHECK(std::abs(error(ErrorMetric::max_scaled, out, reference, {1, 10, 0.5}) - 0.2) < 1e-15);
}

TEST_CASE("an exact result has no error", "[cpu]") {
  const Values reference{1, -2, 1e300, kInfinity, 0};
  for (const ErrorMetric metric : kAll) CHECK(error(metric, reference, reference) == 0);
}

TEST_CASE("an output of zeros has error one, however small the reference", "[cpu]") {
  const Values reference{4e-6, -2e-6, 4e-6}, zeros(3, 0.0);
  CHECK(std::abs(error(ErrorMetric::relative_l2, zeros, reference) - 1) < 1e-15);
  CHECK(error(ErrorMetric::max_scaled, zeros, reference) == 1);
  CHECK(error(ErrorMetric::mismatches, zeros, reference) == 1);
}

TEST_CASE("NaN or Inf where the oracle is finite is an infinite error under every metric but the count",
          "[cpu]") {
  for (const double wrong : {kNan, kInfinity, -kInfinity}) {
    for (const ErrorMetric metric : kAll) {
      const double value = error(metric, {1, wrong, 3}, {1, 2, 3});
      if (metric == ErrorMetric::mismatches)
        CHECK(value == 1.0 / 3);
      else
        CHECK(std::isinf(value));
    }
  }
}

TEST_CASE("an infinite reference demands the same infinity", "[cpu]") {
  CHECK(error(ErrorMetric::max_scaled, {-kInfinity, 1}, {-kInfinity, 1}) == 0);
  CHECK(std::isinf(error(ErrorMetric::max_scaled, {kInfinity, 1}, {-kInfinity, 1})));
  CHECK(std::isinf(error(ErrorMetric::relative_l2, {-1e308, 1}, {-kInfinity, 1})));
}

TEST_CASE("huge and tiny values neither overflow nor vanish", "[cpu]") {
  CHECK(std::abs(error(ErrorMetric::relative_l2, {1.1e300, 1e300}, {1e300, 1e300}) - 0.1 / std::sqrt(2)) <
        1e-12);
  CHECK(std::abs(error(ErrorMetric::relative_l2, {1.1e-300, 1e-300}, {1e-300, 1e-300}) - 0.1 / std::sqrt(2)) <
        1e-12);
}

TEST_CASE("arguments that can't be judged are rejected", "[cpu]") {
  for (const ErrorMetric metric : kAll) {
    CHECK_THROWS_AS(error(metric, {1}, {1, 2}), std::invalid_argument);
    CHECK_THROWS_AS(error(metric, {}, {}), std::invalid_argument);
    CHECK_THROWS_AS(error(metric, {1}, {kNan}), std::invalid_argument);
    CHECK_THROWS_AS(error(metric, {1}, {1}, {0}), std::invalid_argument);
    CHECK_THROWS_AS(error(metric, {1}, {1}, {1, 1}), std::invalid_argument);
  }
  CHECK_THROWS_AS(error(ErrorMetric::max_scaled, {1}, {0}), std::invalid_argument);
  CHECK(error(ErrorMetric::max_scaled, {1}, {0}, {2}) == 0.5);
  CHECK(error(ErrorMetric::relative_l2, {1}, {0}, {2}) == 0.5);
}
