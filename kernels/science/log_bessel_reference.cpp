// SPDX-License-Identifier: Apache-2.0
#include "kernels/science/log_bessel_reference.h"

#include <math.h>  // lgamma_r: std::lgamma writes the global signgam, which is a race between threads
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numbers>
#include <stdexcept>
#include <thread>
#include <vector>

#include "kernels/science/log_bessel_coefficients.h"

namespace remeasure::kernels {
namespace {

enum class Kind { i, k };

double log_gamma(double a) {
  int sign = 0;
  return ::lgamma_r(a, &sign);
}
float log_gamma(float a) {
  int sign = 0;
  return ::lgammaf_r(a, &sign);
}

/// S = 1 + sum_k prod_{j<=k} s (4v^2 - (2j-1)^2) / (8jx), s = -1 for I and +1 for K. The difference of
/// squares is taken as a product, each factor over x or 8j: exact where v is half an odd number, and no
/// overflow for v, x near the limit.
template <class Scalar>
Scalar mu_log_sum(Kind kind, Scalar v, Scalar x, int terms) {
  Scalar sum = 1, product = 1;
  for (int j = 1; j <= terms; ++j) {
    const Scalar odd = static_cast<Scalar>(2 * j - 1);
    const Scalar factor = ((2 * v - odd) / x) * ((2 * v + odd) / static_cast<Scalar>(8 * j));
    product *= kind == Kind::i ? -factor : factor;
    sum += product;
  }
  return std::log(std::abs(sum));
}

template <class Scalar>
Scalar mu_branch(Kind kind, Scalar v, Scalar x, int terms) {
  const Scalar log_sum = mu_log_sum(kind, v, x, terms);
  const Scalar pi = std::numbers::pi_v<Scalar>;
  // The halves before the products: 2 pi x overflows first.
  if (kind == Kind::i) return x - (std::log(2 * pi) + std::log(x)) / 2 + log_sum;
  return (std::log(pi / 2) - std::log(x)) / 2 - x + log_sum;
}

/// S = 1 + sum_{k<=order} (s/v)^k u_k(t), s = +1 for I and -1 for K; then the prefactor with
/// eta = r + ln(z / (1 + r)), z = x/v, r = sqrt(1 + z^2), t = 1/r.
template <class Scalar>
Scalar uniform_branch(Kind kind, Scalar v, Scalar x, int order) {
  const Scalar z = x / v;
  const Scalar r = std::sqrt(1 + z * z);
  const Scalar t = 1 / r;
  const Scalar t_squared = t * t;
  const Scalar step = (kind == Kind::i ? t : -t) / v;
  Scalar sum = 0;
  for (int k = order; k >= 1; --k) {
    Scalar polynomial = 0;
    for (int j = k; j >= 0; --j) {
      const auto index = static_cast<std::size_t>(uniform_offset(k) + j);
      polynomial = polynomial * t_squared + static_cast<Scalar>(kUniformTable.values[index]);
    }
    sum = (sum + polynomial) * step;
  }
  // z underflows long before ln x - ln v does.
  const bool tiny = z < std::numeric_limits<Scalar>::min();
  const Scalar log_ratio = tiny ? std::log(x) - std::log(v) - std::log(1 + r) : std::log(z / (1 + r));
  const Scalar v_eta = v * (r + log_ratio);
  const Scalar pi = std::numbers::pi_v<Scalar>;
  if (kind == Kind::i)
    return v_eta - (std::log(2 * pi) + std::log(v)) / 2 - std::log(r) / 2 + std::log1p(sum);
  return (std::log(pi / 2) - std::log(v)) / 2 - v_eta - std::log(r) / 2 + std::log1p(sum);
}

/// ln I by its power series: a_k = 2k ln(x/2) - ln k! - lgamma(k+v+1), incrementally, anchored at the largest
/// term.
template <class Scalar>
Scalar power_series(Scalar v, Scalar x, int terms) {
  std::vector<Scalar> more;
  std::array<Scalar, kFallbackTerms> few;
  if (terms > kFallbackTerms) more.resize(static_cast<std::size_t>(terms));
  const std::span<Scalar> a = terms > kFallbackTerms
                                  ? std::span<Scalar>(more)
                                  : std::span<Scalar>(few).first(static_cast<std::size_t>(terms));
  const Scalar log_half = std::log(x) - std::numbers::ln2_v<Scalar>;
  const Scalar scale = x < 1 ? Scalar{0} : 4 / (x * x);
  a[0] = -log_gamma(v + 1);
  Scalar largest = a[0];
  for (std::size_t k = 1; k < a.size(); ++k) {
    const Scalar index = static_cast<Scalar>(k);
    const Scalar ratio = index * (index + v);
    a[k] = a[k - 1] - (x < 1 ? std::log(ratio) - 2 * log_half : std::log(ratio * scale));
    largest = std::max(largest, a[k]);
  }
  Scalar sum = 0;
  for (const Scalar term : a) sum += std::exp(term - largest);
  return v * log_half + largest + std::log(sum);
}

/// ln K by Rothwell's integral int_0^1 (g + h) du, composite Simpson, anchored at the largest value.
template <class Scalar>
Scalar rothwell(Scalar v, Scalar x, int intervals) {
  const Scalar beta = static_cast<Scalar>(2 * kRothwellPower) / (2 * v + 1);
  const Scalar log_beta = std::log(beta);
  std::vector<Scalar> logs(2 * static_cast<std::size_t>(intervals));
  Scalar largest = -std::numeric_limits<Scalar>::infinity();
  for (int i = 1; i <= intervals; ++i) {  // both integrands vanish at u = 0
    const Scalar u = static_cast<Scalar>(i) / static_cast<Scalar>(intervals);
    const Scalar log_u = std::log(u);
    const Scalar power = std::exp(beta * log_u);
    const Scalar g = log_beta - power + (v - Scalar{0.5}) * std::log(2 * x + power) +
                     static_cast<Scalar>(kRothwellPower - 1) * log_u;
    const Scalar h = -1 / u - (2 * v + 1) * log_u + (v - Scalar{0.5}) * std::log(2 * x * u + 1);
    const auto at = 2 * static_cast<std::size_t>(i - 1);
    logs[at] = g;
    logs[at + 1] = h;
    largest = std::max({largest, g, h});
  }
  Scalar sum = 0;
  for (int i = 1; i <= intervals; ++i) {
    const Scalar weight = static_cast<Scalar>(i == intervals ? 1 : (i % 2 == 1 ? 4 : 2));
    const auto at = 2 * static_cast<std::size_t>(i - 1);
    sum += weight * (std::exp(logs[at] - largest) + std::exp(logs[at + 1] - largest));
  }
  const Scalar log_integral = largest + std::log(sum / static_cast<Scalar>(3 * intervals));
  return std::log(std::numbers::pi_v<Scalar>) / 2 - log_gamma(v + Scalar{0.5}) -
         v * (std::numbers::ln2_v<Scalar> + std::log(x)) - x + log_integral;
}

template <class Scalar>
Scalar evaluate(Kind kind, BesselBranch branch, Scalar v, Scalar x, int terms) {
  const auto or_given = [&](int usual) { return terms > 0 ? terms : usual; };
  switch (branch) {
    case BesselBranch::mu3:
      return mu_branch(kind, v, x, or_given(3));
    case BesselBranch::mu20:
      return mu_branch(kind, v, x, or_given(20));
    case BesselBranch::u4:
      return uniform_branch(kind, v, x, or_given(4));
    case BesselBranch::u6:
      return uniform_branch(kind, v, x, or_given(6));
    case BesselBranch::u9:
      return uniform_branch(kind, v, x, or_given(9));
    case BesselBranch::u13:
      return uniform_branch(kind, v, x, or_given(13));
    case BesselBranch::fallback:
      break;
  }
  return kind == Kind::i ? power_series(v, x, or_given(kFallbackTerms))
                         : rothwell(v, x, or_given(kSimpsonIntervals));
}

template <class Scalar>
Scalar at_point(Kind kind, Scalar v, Scalar x, LogBesselTable table) {
  constexpr Scalar kInfinity = std::numeric_limits<Scalar>::infinity();
  if (!(v >= 0 && x >= 0) || std::isinf(v) || std::isinf(x)) return std::numeric_limits<Scalar>::quiet_NaN();
  if (x == 0) return kind == Kind::k ? kInfinity : (v == 0 ? Scalar{0} : -kInfinity);
  const BesselBranch branch =
      bessel_branch(table.table, table.guard, static_cast<double>(v), static_cast<double>(x));
  return evaluate(kind, branch, v, x, 0);
}

template <class Scalar>
void at_points(Kind kind, std::span<const Scalar> v, std::span<const Scalar> x, std::span<Scalar> out,
               LogBesselTable table, int threads) {
  if (v.size() != x.size() || v.size() != out.size() || threads < 1) {
    throw std::invalid_argument(
        "log_bessel: v, x and out must have one size, and threads must be at least 1");
  }
  const auto part = [&](std::size_t first, std::size_t last) {
    for (std::size_t i = first; i < last; ++i) out[i] = at_point(kind, v[i], x[i], table);
  };
  const std::size_t n = v.size(), workers = static_cast<std::size_t>(threads);
  std::vector<std::jthread> others;
  for (std::size_t worker = 1; worker < workers; ++worker) {
    others.emplace_back(part, n * worker / workers, n * (worker + 1) / workers);
  }
  part(0, n / workers);
}

}  // namespace

template <class Scalar>
Scalar log_iv_reference(Scalar v, Scalar x, LogBesselTable table) {
  return at_point(Kind::i, v, x, table);
}
template <class Scalar>
Scalar log_kv_reference(Scalar v, Scalar x, LogBesselTable table) {
  return at_point(Kind::k, v, x, table);
}
template <class Scalar>
void log_iv_reference(std::span<const Scalar> v, std::span<const Scalar> x, std::span<Scalar> out,
                      LogBesselTable table, int threads) {
  at_points(Kind::i, v, x, out, table, threads);
}
template <class Scalar>
void log_kv_reference(std::span<const Scalar> v, std::span<const Scalar> x, std::span<Scalar> out,
                      LogBesselTable table, int threads) {
  at_points(Kind::k, v, x, out, table, threads);
}
template <class Scalar>
Scalar log_iv_branch(BesselBranch branch, Scalar v, Scalar x, int terms) {
  return evaluate(Kind::i, branch, v, x, terms);
}
template <class Scalar>
Scalar log_kv_branch(BesselBranch branch, Scalar v, Scalar x, int terms) {
  return evaluate(Kind::k, branch, v, x, terms);
}

#define RM_INSTANTIATE(Scalar)                                                                        \
  template Scalar log_iv_reference(Scalar, Scalar, LogBesselTable);                                   \
  template Scalar log_kv_reference(Scalar, Scalar, LogBesselTable);                                   \
  template void log_iv_reference(std::span<const Scalar>, std::span<const Scalar>, std::span<Scalar>, \
                                 LogBesselTable, int);                                                \
  template void log_kv_reference(std::span<const Scalar>, std::span<const Scalar>, std::span<Scalar>, \
                                 LogBesselTable, int);                                                \
  template Scalar log_iv_branch(BesselBranch, Scalar, Scalar, int);                                   \
  template Scalar log_kv_branch(BesselBranch, Scalar, Scalar, int);
RM_INSTANTIATE(float)
RM_INSTANTIATE(double)
#undef RM_INSTANTIATE

}  // namespace remeasure::kernels
