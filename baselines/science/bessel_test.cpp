// SPDX-License-Identifier: Apache-2.0
#include "baselines/science/bessel.h"

#include <testing/catch.h>
#include <cmath>
#include <limits>
#include <vector>

#include "baselines/science/mean_resultant.h"
#include "kernels/science/log_bessel_oracle.h"

using namespace remeasure::baselines;
using remeasure::kernels::log_iv_oracle;
using remeasure::kernels::log_kv_oracle;

TEST_CASE("Each library has both functions right where it can hold them", "[cpu]") {
  std::vector<double> v, x;
  for (const double order : {0.0, 0.5, 3.2, 17.0, 80.0}) {
    for (const double argument : {0.1, 2.0, 19.0, 140.0}) {
      v.push_back(order);
      x.push_back(argument);
    }
  }
  std::vector<double> out(v.size());
  for (const BesselLibrary& library : bessel_libraries()) {
    if (!library.missing.empty()) continue;
    library.log_iv(v, x, out);
    for (std::size_t i = 0; i < v.size(); ++i) {
      const double exact = log_iv_oracle(v[i], x[i]);
      REQUIRE(library.can_hold_i(x[i], exact));
      INFO(library.name << " I, v = " << v[i] << ", x = " << x[i]);
      CHECK(std::abs(out[i] - exact) <= 1e-12 * std::max(1.0, std::abs(exact)));
    }
    library.log_kv(v, x, out);
    for (std::size_t i = 0; i < v.size(); ++i) {
      const double exact = log_kv_oracle(v[i], x[i]);
      INFO(library.name << " K, v = " << v[i] << ", x = " << x[i]);
      CHECK(std::abs(out[i] - exact) <= 1e-9 * std::max(1.0, std::abs(exact)));
    }
  }
}

TEST_CASE("Unscaled libraries fail loudly outside the range of a double", "[cpu]") {
  const std::vector<double> v = {1.0, 3000.0, 9000.0}, x = {5000.0, 10.0, 8000.0};
  std::vector<double> out(v.size());
  for (const BesselLibrary& library : bessel_libraries()) {
    if (library.name == "gsl") continue;
    library.log_iv(v, x, out);
    for (std::size_t i = 0; i < v.size(); ++i) {
      INFO(library.name << ", v = " << v[i] << ", x = " << x[i]);
      CHECK_FALSE(std::isfinite(out[i]));
      CHECK_FALSE(library.can_hold_i(x[i], log_iv_oracle(v[i], x[i])));
    }
  }
}

TEST_CASE("A library answers a NaN with a NaN", "[cpu]") {
  const std::vector<double> v = {std::numeric_limits<double>::quiet_NaN()}, x = {1.0};
  std::vector<double> out(1);
  for (const BesselLibrary& library : bessel_libraries()) {
    if (!library.missing.empty()) continue;
    library.log_iv(v, x, out);
    CHECK(std::isnan(out[0]));
    library.log_kv(v, x, out);
    CHECK(std::isnan(out[0]));
  }
}

TEST_CASE("Eigen's array functions are right for orders 0 and 1 and refuse others", "[cpu]") {
  std::vector<double> x;
  for (int i = 1; i <= 37; ++i) x.push_back(0.3 * i * i);
  std::vector<double> out(x.size());
  for (const int order : {0, 1}) {
    eigen_log_iv(order, x, out);
    for (std::size_t i = 0; i < x.size(); ++i) {
      INFO("I, order " << order << ", x = " << x[i]);
      CHECK(std::abs(out[i] - log_iv_oracle(order, x[i])) <= 2e-15 * (1 + x[i]));
    }
    eigen_log_kv(order, x, out);
    for (std::size_t i = 0; i < x.size(); ++i) {
      INFO("K, order " << order << ", x = " << x[i]);
      CHECK(std::abs(out[i] - log_kv_oracle(order, x[i])) <= 2e-15 * (1 + x[i]));
    }
  }
  REQUIRE_THROWS_AS(eigen_log_iv(2, x, out), std::invalid_argument);
}

TEST_CASE("eigen_mean_resultant is the mean of the rows and its length", "[cpu]") {
  const std::vector<float> features = {1, 2, 3, 5, 6, 7};
  std::vector<double> mean(3), length(1);
  eigen_mean_resultant(2, 3, features, mean, length);
  CHECK(mean == std::vector<double>{3, 4, 5});
  CHECK(std::abs(length[0] - std::sqrt(50.0)) <= 1e-15);
  REQUIRE_THROWS_AS(eigen_mean_resultant(3, 3, features, mean, length), std::invalid_argument);
}
