// SPDX-License-Identifier: Apache-2.0
//
// A binomial number as a function of (seed, element): the same on a CPU, on Simt and on a GPU but for the
// last bits of log.
#pragma once

#include <cmath>
#include <cstdint>

#include "kernels/device/philox.h"
#include "kernels/device/qualifiers.h"

namespace remeasure::kernels {

namespace detail {

/// log k! - ((k + 1/2) log(k + 1) - (k + 1) + log(2 pi) / 2)
RM_HOST_DEVICE inline double stirling_tail(double k) {
  // The series errs by 6e-4 / (k + 1)^7; below 10 the recurrence takes it up to where that is nothing.
  double correction = 0;
  while (k < 10) {
    correction += (k + 1.5) * std::log((k + 2) / (k + 1)) - 1;
    k += 1;
  }
  const double inverse = 1 / (k + 1), square = inverse * inverse;
  return correction + inverse * (1.0 / 12 - square * (1.0 / 360 - square / 1260));
}

/// Sequential search from 0: about `shots` p steps.
RM_HOST_DEVICE inline int binomial_by_search(int shots, double p, std::uint64_t seed, std::uint64_t element) {
  const double ratio = p / (1 - p), none = std::exp(shots * std::log1p(-p));
  for (std::uint64_t attempt = 0;; ++attempt) {
    const Philox4 random = philox(seed, element, attempt);
    double left = uniform_double(random.word[0], random.word[1]), probability = none;
    // Beyond 150 the sum of at most 10 expected ones has nothing but rounding left: drawn again.
    for (int k = 0; k <= shots && k < 150; ++k) {
      if (left <= probability) return k;
      left -= probability;
      probability *= ratio * (shots - k) / (k + 1);
    }
  }
}

/// Hormann, "The generation of binomial random variates" (J. Stat. Comput. Simul. 46, 1993), algorithm BTRS:
/// transformed rejection, 1.15 to 1.5 attempts each.
RM_HOST_DEVICE inline int binomial_by_rejection(int shots, double p, std::uint64_t seed,
                                                std::uint64_t element) {
  const double n = shots, deviation = std::sqrt(n * p * (1 - p)), ratio = p / (1 - p);
  const double b = 1.15 + 2.53 * deviation, a = -0.0873 + 0.0248 * b + 0.01 * p, centre = n * p + 0.5;
  const double alpha = (2.83 + 5.1 / b) * deviation, inner = 0.92 - 4.2 / b, mode = std::floor((n + 1) * p);
  const double at_mode = (mode + 0.5) * std::log((mode + 1) / (ratio * (n - mode + 1))) +
                         stirling_tail(mode) + stirling_tail(n - mode);
  for (std::uint64_t attempt = 0;; ++attempt) {
    const Philox4 random = philox(seed, element, attempt);
    const double u = uniform_double(random.word[0], random.word[1]) - 0.5,
                 v = uniform_double(random.word[2], random.word[3]);
    const double edge = 0.5 - std::fabs(u), k = std::floor((2 * a / edge + b) * u + centre);
    if (edge >= 0.07 && v <= inner) return static_cast<int>(k);
    if (k < 0 || k > n) continue;
    const double bound = at_mode + (n + 1) * std::log((n - mode + 1) / (n - k + 1)) +
                         (k + 0.5) * std::log(ratio * (n - k + 1) / (k + 1)) - stirling_tail(k) -
                         stirling_tail(n - k);
    if (std::log(v * alpha / (a / (edge * edge) + b)) <= bound) return static_cast<int>(k);
  }
}

}  // namespace detail

/// Successes of `shots` trials with probability `p`, which is taken as 0 or 1 beyond these.
RM_HOST_DEVICE inline int binomial_draw(int shots, double p, std::uint64_t seed, std::uint64_t element) {
  if (!(p > 0)) return 0;
  if (p >= 1) return shots;
  const double smaller = p <= 0.5 ? p : 1 - p;
  const int count = shots * smaller < 10 ? detail::binomial_by_search(shots, smaller, seed, element)
                                         : detail::binomial_by_rejection(shots, smaller, seed, element);
  return p <= 0.5 ? count : shots - count;
}

}  // namespace remeasure::kernels
