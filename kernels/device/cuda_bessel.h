// SPDX-License-Identifier: Apache-2.0
//
// CUDA's modified Bessel functions of order 0 and 1 on the host, for kernel sources; under nvcc they are built in. Apart from
// cuda_math.h, since few kernels need them. Like CUDA's they overflow to infinity (above 713), where libstdc++ may throw.
#pragma once

#ifndef __CUDACC__

#include <cmath>
#include <limits>

inline double cyl_bessel_i0(double x) {
  return std::abs(x) > 713.98 ? std::numeric_limits<double>::infinity() : std::cyl_bessel_i(0.0, std::abs(x));
}
inline double cyl_bessel_i1(double x) {
  const double size = std::abs(x);
  const double value = size > 713.98 ? std::numeric_limits<double>::infinity() : std::cyl_bessel_i(1.0, size);
  return x < 0 ? -value : value;
}

#endif
