// SPDX-License-Identifier: Apache-2.0
#include "kernels/science/bessel_series.h"

#include <cfloat>
#include <cmath>

namespace remeasure::kernels {

BesselOperations bessel_series_operations(double v, double x) {
  if (!(v >= 0 && x >= 0)) return {};
  // x^2/4 is 2 and the logarithm of the result a function; the first term is 4 with exp, log and lgamma.
  BesselOperations work{2, 1};
  double term = v == 0 ? 1 : 0;
  if (x != 0) {
    work.flops += 4;
    work.special += 3;
    term = std::exp(v * std::log(0.5 * x) - std::lgamma(v + 1));
  }
  double sum = term;
  for (double k = 1; k < 1e6 && sum <= DBL_MAX && term > 0; k += 1) {
    const double ratio = 0.25 * x * x / (k * (k + v));
    term *= ratio;
    sum += term;
    work.flops += ratio < 1 ? 6 : 5;  // ratio: 3; term, sum; the test against the sum where terms fall
    if (ratio < 1 && term < kNegligibleTerm * sum) return work;
    work.flops += 1;  // k
  }
  return work;
}

}  // namespace remeasure::kernels
