// SPDX-License-Identifier: Apache-2.0
#include "kernels/science/log_bessel_oracle.h"

#include <algorithm>
#include <boost/math/special_functions/gamma.hpp>
#include <boost/multiprecision/cpp_bin_float.hpp>
#include <cmath>
#include <stdexcept>
#include <string>

namespace remeasure::kernels {
namespace {

// Not __float128: clang has neither its literals nor libquadmath's header, and other processors lack the
// type.
using Quad = boost::multiprecision::cpp_bin_float_quad;

constexpr double kNegligible = 1e-26;  // of the sum; a double resolves 1e-16
constexpr double kLogNegligible = 60;  // ln 1e-26

void check(double v, double x) {
  if (!(v >= 0 && x > 0) || std::isinf(v) || std::isinf(x)) {
    throw std::domain_error("log Bessel oracle: v = " + std::to_string(v) + ", x = " + std::to_string(x) +
                            "; needs finite v >= 0 and x > 0");
  }
}

}  // namespace

double log_iv_oracle(double v, double x) {
  check(v, x);
  const Quad order = v;
  const Quad quarter = Quad(x) * Quad(x) / 4;
  // t_{k} / t_{k-1} = (x^2/4) / (k (k+v)) is 1 near this k; hypot(v,x) - v = x^2 / (hypot + v) doesn't
  // cancel.
  const double peak = std::floor(x / (std::hypot(v, x) + v) * x / 2);
  Quad sum = 1, term = 1;
  for (double k = peak + 1;; ++k) {
    term *= quarter / (Quad(k) * (Quad(k) + order));
    sum += term;
    if (term < kNegligible) break;
  }
  term = 1;
  for (double k = peak; k >= 1; --k) {
    term *= Quad(k) * (Quad(k) + order) / quarter;
    sum += term;
    if (term < kNegligible) break;
  }
  const Quad log_half = log(Quad(x) / 2);
  const Quad log_peak = 2 * Quad(peak) * log_half - boost::math::lgamma(Quad(peak) + 1) -
                        boost::math::lgamma(Quad(peak) + order + 1);
  return static_cast<double>(order * log_half + log_peak + log(sum));
}

double log_kv_oracle(double v, double x) {
  return log_kv_oracle(v, x, 1);
}

double log_kv_oracle(double v, double x, double refinement) {
  check(v, x);
  // On the whole line the integrand is exp(-x cosh t + vt) / 2 with its peak at sinh t = v/x and there a
  // width of (x^2 + v^2)^(-1/4). The rule's error falls like exp(-pi^2 / step) for the strip |Im t| < pi/2 in
  // which the integrand is bounded, and like exp(-2 (pi width / step)^2) for the peak; a step of at most 1/8
  // is needed for the first, even where the peak is much wider (small x and v).
  const double root = std::hypot(v, x);
  const double width = 1 / std::sqrt(root);
  const Quad step = Quad(std::min(width / 4, 0.125) / refinement);
  const Quad middle = log((Quad(v) + sqrt(Quad(v) * Quad(v) + Quad(x) * Quad(x))) / Quad(x));
  const Quad growth = exp(step);
  const Quad half_x = Quad(x) / 2;
  const Quad exponential = exp(middle);
  const Quad top = -half_x * (exponential + 1 / exponential) + Quad(v) * middle;
  Quad sum = 1;
  for (const int direction : {1, -1}) {
    const Quad factor = direction > 0 ? growth : 1 / growth;
    Quad e = exponential;
    Quad slope = 0;  // v (t - middle)
    for (;;) {
      e *= factor;
      slope += direction * Quad(v) * step;
      const Quad exponent = -half_x * (e + 1 / e) + Quad(v) * middle + slope - top;
      if (exponent < -kLogNegligible) break;
      sum += exp(exponent);
    }
  }
  return static_cast<double>(top + log(sum * step / 2));
}

}  // namespace remeasure::kernels
