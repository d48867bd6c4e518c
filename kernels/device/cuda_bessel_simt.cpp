// SPDX-License-Identifier: Apache-2.0
#include "kernels/device/cuda_bessel.h"

#include <cmath>
#include <limits>

double cyl_bessel_i0(double x) {
  return std::abs(x) > 713.98 ? std::numeric_limits<double>::infinity() : std::cyl_bessel_i(0.0, std::abs(x));
}

double cyl_bessel_i1(double x) {
  const double size = std::abs(x);
  const double value = size > 713.98 ? std::numeric_limits<double>::infinity() : std::cyl_bessel_i(1.0, size);
  return x < 0 ? -value : value;
}
