// SPDX-License-Identifier: Apache-2.0
#include "kernels/science/log_bessel.h"

#include "kernels/science/log_bessel_coefficients.h"

namespace remeasure::kernels {

std::size_t log_bessel_bucket_workspace(std::size_t n) { return n + 2 * kBesselBranches; }

std::size_t log_bessel_constant_bytes() { return sizeof(UniformTable); }

LogBesselFlops log_bessel_flops(BesselBranch branch) {
  // Counted in log_bessel.cu. Choosing the branch: 2 logarithms, 2 FMA.
  constexpr double kChoice = 6;
  const auto mu = [](int terms) { return kChoice + 8.0 * terms + 9; };
  const auto uniform = [](int order) {
    // Order k: 2k FMA operations of its own polynomial, an addition and a product; then 18 for prefactor and logarithms.
    return kChoice + order * (order + 1.0) + 2.0 * order + 18;
  };
  const double series = kChoice + 5.0 * (kFallbackTerms - 1) + 12;
  const double node = 27;  // 6 library functions, 2 divisions, the rest products and sums
  const double integral = kChoice + node * kSimpsonIntervals + 12;
  switch (branch) {
    case BesselBranch::mu3: return {mu(3), mu(3)};
    case BesselBranch::mu20: return {mu(20), mu(20)};
    case BesselBranch::u4: return {uniform(4), uniform(4)};
    case BesselBranch::u6: return {uniform(6), uniform(6)};
    case BesselBranch::u9: return {uniform(9), uniform(9)};
    case BesselBranch::u13: return {uniform(13), uniform(13)};
    case BesselBranch::fallback: break;
  }
  return {series, integral};
}

}  // namespace remeasure::kernels
