// SPDX-License-Identifier: Apache-2.0
//
// Which expression computes a point (v, x). Plesner, Sorensen, Hauberg, "Accurate Computation of the
// Logarithm of Modified Bessel Functions on GPUs" (ICS 2024, arXiv 2409.08729): a table of thresholds of
// which the first match wins. The numbers are the paper's, as verified through two independent public ports.
// Shared by kernel and reference.
#pragma once

#include <cmath>
#include <cstddef>
#include <string_view>

#include "kernels/device/qualifiers.h"

namespace remeasure::kernels {

/// The expressions, in the order in which the table tries them.
enum class BesselBranch : unsigned char {
  mu3,   ///< expansion for large x, 3 terms
  mu20,  ///< the same, 20 terms
  u4,    ///< uniform expansion for large v, 4 polynomials
  u6,
  u9,
  u13,
  fallback,  ///< power series for I, Rothwell's integral for K
};
inline constexpr std::size_t kBesselBranches = 7;

/// `full`: all seven (the paper's CPU code). `reduced`: mu20, U13 and fallback (its GPU code, so that warps
/// diverge less).
enum class BranchTable : unsigned char { full, reduced };

/// Where the expansions for large x may be used. `paper`: its thresholds alone. `guarded`: also v^2 < 2x
/// (mu20) and v^2 < 0.002x (mu3), as a public port does: the terms grow like (v^2/2x)^k / k!, which the
/// thresholds alone allow to reach 2.5^k / k!, so that the sum loses up to nine digits where v is large.
enum class MuGuard : unsigned char { paper, guarded };

/// Branch of a point with v >= 0 and x > 0 (NaN and edges are handled before). Logarithms are taken only
/// where they can matter: for x <= 59.6925 never.
RM_HOST_DEVICE inline BesselBranch bessel_branch(BranchTable table, MuGuard guard, double v, double x) {
  const bool full = table == BranchTable::full;
  const bool guarded = guard == MuGuard::guarded;
  if (full && (x > 1400 && v < 3.05) && (!guarded || v * v < 0.002 * x)) return BesselBranch::mu3;
  if (x > 59.6925) {
    const double ln_x = std::log(x);
    const double ln_v = std::log(v);  // -inf for v = 0, which compares as it should
    if (full && v > 3.1 && 0.6229 * ln_x - 3.2318 > ln_v && (!guarded || v * v < 0.002 * x))
      return BesselBranch::mu3;
    if (0.5113 * ln_x + 0.7939 > ln_v && (!guarded || v * v < 2 * x)) return BesselBranch::mu20;
  }
  if (x > 30 && v < 15.3919 && (!guarded || v * v < 2 * x)) return BesselBranch::mu20;
  if (full) {
    if ((x > 274.2377 && v > 0.3) || v > 163.6993) return BesselBranch::u4;
    if ((x > 84.4153 && v > 0.46) || v > 56.9971) return BesselBranch::u6;
    if ((x > 35.9074 && v > 0.6) || v > 20.1534) return BesselBranch::u9;
  }
  if ((x > 19.6931 && v > 0.7) || v > 12.6964) return BesselBranch::u13;
  return BesselBranch::fallback;
}

/// The fallback's region is v <= 12.6964, x <= 30; these follow from it and must be kept if a threshold
/// moves.
inline constexpr int kFallbackTerms =
    43;  ///< of the power series: the tail is below 2^-53 of the sum for x <= 30
inline constexpr int kSimpsonIntervals = 600;  ///< of Rothwell's integral
inline constexpr int kRothwellPower = 8;       ///< n in beta = 2n / (2v + 1)

constexpr std::string_view to_string(BesselBranch branch) {
  constexpr std::string_view kNames[kBesselBranches] = {"mu3", "mu20", "u4", "u6", "u9", "u13", "fallback"};
  return kNames[static_cast<std::size_t>(branch)];
}

}  // namespace remeasure::kernels
