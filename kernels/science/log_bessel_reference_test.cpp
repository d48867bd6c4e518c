// SPDX-License-Identifier: Apache-2.0
#include "kernels/science/log_bessel_reference.h"

#include <testing/catch.h>
#include <algorithm>
#include <boost/multiprecision/cpp_int.hpp>
#include <cmath>
#include <limits>
#include <numbers>
#include <vector>

#include "kernels/science/log_bessel_coefficients.h"
#include "kernels/science/log_bessel_oracle.h"

using namespace remeasure::kernels;

namespace {

using Exact = boost::multiprecision::cpp_rational;
using Polynomial = std::vector<Exact>;  // by power of t

/// u_{k+1} from u_k by the recurrence as it is printed, on whole polynomials with unlimited integers.
Polynomial next_uniform(const Polynomial& u) {
  Polynomial next(u.size() + 3);
  for (std::size_t p = 0; p < u.size(); ++p) {
    const Exact power = static_cast<unsigned>(p);
    if (p > 0) {
      next[p + 1] += u[p] * power / 2;  // t^2 u' / 2
      next[p + 3] -= u[p] * power / 2;  // -t^4 u' / 2
    }
    next[p + 1] += u[p] / (8 * (power + 1));      // int u / 8
    next[p + 3] -= 5 * u[p] / (8 * (power + 3));  // -5 int s^2 u / 8
  }
  return next;
}

/// A double as a rational number, exactly.
Exact exact(double value) {
  int exponent = 0;
  const double mantissa = std::frexp(value, &exponent);
  const boost::multiprecision::cpp_int one = 1;
  const Exact digits = static_cast<long long>(std::ldexp(mantissa, 53));
  return exponent >= 53 ? digits * Exact(one << (exponent - 53)) : digits / Exact(one << (53 - exponent));
}

double error(double value, double expected) {
  return std::abs(value - expected) / std::max(1.0, std::abs(expected));
}

}  // namespace

TEST_CASE("The table of u_k is the recurrence in exact arithmetic, rounded to nearest", "[cpu]") {
  Polynomial u = {1};
  for (int k = 1; k <= kUniformOrder; ++k) {
    u = next_uniform(u);
    for (std::size_t power = 0; power < u.size(); ++power) {
      const int j = (static_cast<int>(power) - k) / 2;
      const bool stored = static_cast<int>(power) >= k && (static_cast<int>(power) - k) % 2 == 0 && j <= k;
      INFO("k = " << k << ", power " << power);
      if (!stored) {
        CHECK(u[power] == 0);
        continue;
      }
      const double value = kUniformTable.values[uniform_offset(k) + j];
      const Exact distance = abs(u[power] - exact(value));
      CHECK(distance <= abs(u[power] - exact(std::nextafter(value, 1e300))));
      CHECK(distance <= abs(u[power] - exact(std::nextafter(value, -1e300))));
    }
  }
  // DLMF 10.41.10 prints the first of them.
  CHECK(kUniformTable.values[uniform_offset(1)] == 3.0 / 24);
  CHECK(kUniformTable.values[uniform_offset(2) + 2] == 385.0 / 1152);
  CHECK(kUniformTable.values[uniform_offset(3) + 1] == -369603.0 / 414720);
}

TEST_CASE("The oracle has the values of an independent program", "[cpu]") {
  // mpmath 1.3, 40 digits: log(besseli(v, x)), log(besselk(v, x)).
  struct Known {
    double v, x, log_i, log_k;
  };
  const Known kKnown[] = {{0, 1, 0.235914358507178649, -0.865064398906788097},
                          {0, 20, 17.5896104282442743, -21.2781760955863408},
                          {0.5, 1, -0.0643519910735317988, -0.774208647355272568},
                          {10, 1, -22.0131785779730418, 19.0124222996263129},
                          {10, 1000, 995.577284280649977, -1003.1782366127795},
                          {1000, 1, -6605.27510929789003, 6597.6742063383477},
                          {1000, 20, -3609.4431903736112, 3601.84208795385871},
                          {1000, 1000, 528.293887093656641, -536.241363190353686}};
  for (const Known& known : kKnown) {
    INFO("v = " << known.v << ", x = " << known.x);
    CHECK(error(log_iv_oracle(known.v, known.x), known.log_i) <= 3e-16);
    CHECK(error(log_kv_oracle(known.v, known.x), known.log_k) <= 3e-16);
  }
}

TEST_CASE("A finer trapezoid doesn't move the oracle, a coarser one does", "[cpu]") {
  for (const double v : {0.0, 0.01, 0.7, 12.0, 300.0, 9e3}) {
    for (const double x : {1e-2, 0.5, 30.0, 700.0, 9e3}) {
      INFO("v = " << v << ", x = " << x);
      CHECK(error(log_kv_oracle(v, x, 3), log_kv_oracle(v, x)) <= 2.3e-16);
    }
  }
  // A step of (x^2+v^2)^(-1/4)/8 alone, without the bound of 1/8, is 1.25 at (0, 0.01), ten times as coarse.
  CHECK(error(log_kv_oracle(0, 0.01, 0.1), log_kv_oracle(0, 0.01)) > 1e-6);
}

TEST_CASE("The oracle refuses what it can't compute", "[cpu]") {
  REQUIRE_THROWS_WITH(log_iv_oracle(-1, 1), Catch::Matchers::ContainsSubstring("v = -1"));
  REQUIRE_THROWS_AS(log_kv_oracle(1, 0), std::domain_error);
  REQUIRE_THROWS_AS(log_kv_oracle(1, std::numeric_limits<double>::infinity()), std::domain_error);
}

TEST_CASE("Each branch is accurate inside its region, with v near its bounds and in the middle", "[cpu]") {
  struct Case {
    BesselBranch branch;
    double v, x, limit_i, limit_k;
  };
  // 8 eps hypot(v, x) is what rounding v eta costs; the fallback of K has Simpson's error instead.
  const Case kCases[] = {
      {BesselBranch::mu3, 0.0, 1500, 1e-15, 1e-15},   {BesselBranch::mu3, 1.3, 9e4, 1e-15, 1e-15},
      {BesselBranch::mu20, 0.0, 31, 1e-15, 1e-15},    {BesselBranch::mu20, 5.0, 200, 1e-15, 1e-15},
      {BesselBranch::u4, 200, 100, 3e-15, 3e-15},     {BesselBranch::u4, 5000, 200, 1e-15, 1e-15},
      {BesselBranch::u6, 60, 10, 2e-15, 2e-15},       {BesselBranch::u6, 150, 140, 2e-15, 2e-15},
      {BesselBranch::u9, 21, 5, 4e-15, 4e-15},        {BesselBranch::u13, 12.7, 3, 4e-15, 4e-15},
      {BesselBranch::u13, 0.75, 20, 5e-15, 5e-15},    {BesselBranch::fallback, 0.0, 0.5, 1e-15, 1e-9},
      {BesselBranch::fallback, 0.3, 29, 1e-15, 1e-9}, {BesselBranch::fallback, 12.0, 15, 3e-15, 1e-11},
  };
  for (const Case& c : kCases) {
    INFO(to_string(c.branch) << " at v = " << c.v << ", x = " << c.x);
    CHECK(bessel_branch(BranchTable::full, MuGuard::paper, c.v, c.x) == c.branch);
    CHECK(error(log_iv_reference(c.v, c.x), log_iv_oracle(c.v, c.x)) <= c.limit_i);
    CHECK(error(log_kv_reference(c.v, c.x), log_kv_oracle(c.v, c.x)) <= c.limit_k);
  }
}

TEST_CASE("Simpson's rule with 600 intervals has the error of its order", "[cpu]") {
  // 16 times smaller for twice the nodes: the 6e-10 of K's fallback are the rule's, not a slip of ours.
  for (const double x : {0.1, 0.5, 5.0}) {
    const double exact_value = log_kv_oracle(0.01, x);
    const double coarse = std::abs(log_kv_branch(BesselBranch::fallback, 0.01, x, 600) - exact_value);
    const double fine = std::abs(log_kv_branch(BesselBranch::fallback, 0.01, x, 1200) - exact_value);
    INFO("x = " << x << ", errors " << coarse << " and " << fine);
    CHECK(coarse > 1e-11);
    CHECK(coarse < 1e-9);
    CHECK(coarse / fine > 12);
    CHECK(coarse / fine < 20);
  }
}

TEST_CASE("The guard removes the loss of the large-argument expansions at large orders", "[cpu]") {
  // The thresholds send this point to 20 terms of size 3^k / k!.
  const double v = 164.433, x = 4576.83, exact_value = log_iv_oracle(v, x);
  CHECK(bessel_branch(BranchTable::reduced, MuGuard::paper, v, x) == BesselBranch::mu20);
  CHECK(std::abs(log_iv_reference(v, x, {BranchTable::reduced, MuGuard::paper}) - exact_value) > 1e-9);
  CHECK(bessel_branch(BranchTable::reduced, MuGuard::guarded, v, x) == BesselBranch::u13);
  CHECK(std::abs(log_iv_reference(v, x, {BranchTable::reduced, MuGuard::guarded}) - exact_value) < 2e-12);
}

TEST_CASE("Single precision is accurate to single precision", "[cpu]") {
  for (const auto& [v, x] :
       {std::pair{3.0f, 100.0f}, {500.0f, 400.0f}, {25.0f, 3.0f}, {2.0f, 5.0f}, {0.0f, 40.0f}}) {
    INFO("v = " << v << ", x = " << x);
    CHECK(error(log_iv_reference(v, x), log_iv_oracle(v, x)) <= 3e-6);
    CHECK(error(log_kv_reference(v, x), log_kv_oracle(v, x)) <= 3e-6);
    CHECK(error(log_iv_reference(v, x), log_iv_oracle(v, x)) >= 1e-10);
  }
}

TEST_CASE("Threads change no bit of the reference", "[cpu]") {
  std::vector<double> v, x;
  for (int i = 0; i < 101; ++i) {
    v.push_back(i * 0.7);
    x.push_back(1 + i * 1.1);
  }
  std::vector<double> one(v.size()), three(v.size());
  log_kv_reference<double>(v, x, one, {}, 1);
  log_kv_reference<double>(v, x, three, {}, 3);
  CHECK(one == three);
  REQUIRE_THROWS_AS(log_iv_reference<double>(v, x, std::span(one).first(3)), std::invalid_argument);
}
