// SPDX-License-Identifier: Apache-2.0
#include "kernels/science/vmf_fit.h"

#include <testing/catch.h>
#include <cmath>
#include <limits>
#include <numbers>

#include "kernels/science/log_bessel_oracle.h"
#include "kernels/science/log_bessel_reference.h"

using namespace remeasure::kernels;

namespace {
double log_i(double v, double x) {
  return log_iv_reference(v, x);
}
}  // namespace

TEST_CASE("A fit in three dimensions inverts the Langevin function", "[cpu]") {
  for (const double kappa : {0.3, 2.0, 10.0, 60.0}) {
    const double langevin = 1 / std::tanh(kappa) - 1 / kappa;
    const VmfFit fit = vmf_fit(3, langevin, log_i);
    INFO("kappa = " << kappa);
    CHECK(fit.converged);
    CHECK(std::abs(fit.kappa - kappa) <= 1e-11 * kappa);
  }
}

TEST_CASE("A fit recovers the concentration in thousands of dimensions", "[cpu]") {
  for (const double d : {2048.0, 8192.0, 32768.0}) {
    for (const double r : {0.2, 0.5, 0.9}) {
      const VmfFit fit = vmf_fit(d, r, log_i);
      INFO("d = " << d << ", R = " << r);
      CHECK(fit.converged);
      CHECK(fit.iterations <= 10);
      CHECK(fit.residual <= 1e-10);
      CHECK(std::abs(vmf_mean_resultant(d, fit.kappa, log_iv_oracle) - r) <= 1e-10);
    }
  }
}

TEST_CASE("A fit with a function that overflows says that it failed", "[cpu]") {
  const auto overflows = [](double v, double x) { return std::log(std::exp(log_iv_reference(v, x))); };
  CHECK_FALSE(vmf_fit(32768, 0.5, overflows).converged);
  CHECK(vmf_fit(16, 0.5, overflows).converged);
}

TEST_CASE("The log-likelihood is largest at the fit", "[cpu]") {
  const double d = 2048, r = 0.5;
  const VmfFit fit = vmf_fit(d, r, log_i);
  const double best = vmf_log_likelihood(d, 100, r, fit.kappa, log_i);
  CHECK(best > vmf_log_likelihood(d, 100, r, fit.kappa * 1.01, log_i));
  CHECK(best > vmf_log_likelihood(d, 100, r, fit.kappa * 0.99, log_i));
  // On the sphere of three dimensions the density is kappa / (4 pi sinh kappa) exp(kappa cos).
  const double kappa = 2,
               expected = std::log(kappa / (4 * std::numbers::pi * std::sinh(kappa))) + kappa * 0.4;
  CHECK(std::abs(vmf_log_likelihood(3, 1, 0.4, kappa, log_i) - expected) < 1e-14);
}

TEST_CASE("A fit refuses lengths outside (0, 1)", "[cpu]") {
  REQUIRE_THROWS_WITH(vmf_fit(10, 1.0, log_i), Catch::Matchers::ContainsSubstring("between 0 and 1"));
  REQUIRE_THROWS_AS(vmf_fit(10, 0.0, log_i), std::invalid_argument);
  REQUIRE_THROWS_AS(vmf_fit(1, 0.5, log_i), std::invalid_argument);
}
