// SPDX-License-Identifier: Apache-2.0
#include "kernels/science/log_bessel.h"

#include "kernels/science/log_bessel_coefficients.h"

namespace remeasure::kernels {

std::size_t log_bessel_bucket_workspace(std::size_t n) {
  return n + 2 * kBesselBranches;
}

std::size_t log_bessel_constant_bytes() {
  return sizeof(UniformTable);
}

namespace {

/// The counts below are of log_bessel.cu as written, expressions that don't change in a loop taken out of it;
/// the test "log_bessel_operations is what the kernels do" holds them against the engine's.
BesselOperations operator+(BesselOperations a, BesselOperations b) {
  return {a.flops + b.flops, a.special + b.special};
}

/// bessel_branch: two logarithms where they can matter, and the lines in them that are reached. What
/// MuGuard::guarded adds is left out: up to three products.
BesselOperations choice(const LogBesselOptions& options, BesselBranch branch, double v, double x) {
  if (x <= 59.6925 || (branch == BesselBranch::mu3 && v < 3.05)) return {};
  const bool mu3_line = options.table == BranchTable::full && v > 3.1,
             mu20_line = branch != BesselBranch::mu3;
  return {2.0 * (mu3_line ? 1 : 0) + 2.0 * (mu20_line ? 1 : 0), 2};
}

/// 1/x, 2v; a term: two sums, three products and an FMA, one product fewer where 1/j is 1; then 4, and ln|S|
/// and ln x.
BesselOperations large_argument(int terms) {
  return {2 + 7.0 * terms - 1 + 4, 2};
}

/// z, r, w, step and t^2 are 8; polynomial k: k FMA, a sum, a product. Then z / (1 + r), v eta, and 4 for the
/// prefactor, with their logarithms and log1p.
BesselOperations uniform(int order) {
  return {8 + order * (order + 1.0) + 2.0 * order + 2 + 2 + 4, 3};
}

/// x^2/4; a term of A/B is 3 and an FMA; prefactor and quotient.
BesselOperations power_series() {
  return {2 + 5.0 * (kFallbackTerms - 1) + 6, 3};
}

/// A node: log u, three exponentials, log and log1p; 17 operations. Each of the 32 lanes also has 5 before
/// the nodes, the sum over the warp in 5 steps, and 8 after it with lgamma and two logarithms.
BesselOperations rothwell() {
  return {17.0 * kSimpsonIntervals + 32 * (5 + 5 + 8), 6.0 * kSimpsonIntervals + 32 * 3};
}

BesselOperations expansion(BesselBranch branch) {
  switch (branch) {
    case BesselBranch::mu3:
      return large_argument(3);
    case BesselBranch::mu20:
      return large_argument(20);
    case BesselBranch::u4:
      return uniform(4);
    case BesselBranch::u6:
      return uniform(6);
    case BesselBranch::u9:
      return uniform(9);
    default:
      return uniform(13);
  }
}

BesselOperations operations(const LogBesselOptions& options, double v, double x, BesselOperations fallback) {
  if (!(v >= 0 && x > 0)) return {};
  const BesselBranch branch = bessel_branch(options.table, options.guard, v, x);
  return choice(options, branch, v, x) + (branch == BesselBranch::fallback ? fallback : expansion(branch));
}

}  // namespace

BesselOperations log_iv_operations(const LogBesselOptions& options, double v, double x) {
  return operations(options, v, x, power_series());
}

BesselOperations log_kv_operations(const LogBesselOptions& options, double v, double x) {
  return operations(options, v, x, rothwell());
}

}  // namespace remeasure::kernels
