// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/device/device.h"
#include "kernels/science/log_bessel_branches.h"

namespace remeasure::kernels {

struct LogBesselOptions {
  BranchTable table = BranchTable::reduced;  ///< the paper's GPU code; `full` is its CPU code
  MuGuard guard = MuGuard::paper;
};

/// Elements of the workspace that turns the bucket pass on, for n points.
std::size_t log_bessel_bucket_workspace(std::size_t n);

/// out = ln I_v(x) and ln K_v(x), elementwise in f64.  v, x, out: [n]
///
/// v, x >= 0 and finite; else NaN. ln I_0(0) = 0, ln I_v(0) = -inf, ln K_v(0) = +inf. Bitwise deterministic.
/// With an empty workspace, points are evaluated as they lie. With one of log_bessel_bucket_workspace(n)
/// elements they are sorted by branch first (histogram and scatter), which pays where neighbours take
/// different branches. Throws std::invalid_argument for sizes that don't fit, or 2^31 points and more.
template <class Target>
void log_iv(Stream<Target>& stream, const LogBesselOptions& options, DeviceSpan<Target, const double> v,
            DeviceSpan<Target, const double> x, DeviceSpan<Target, double> out,
            DeviceSpan<Target, std::uint32_t> bucket_workspace = {});
template <class Target>
void log_kv(Stream<Target>& stream, const LogBesselOptions& options, DeviceSpan<Target, const double> v,
            DeviceSpan<Target, const double> x, DeviceSpan<Target, double> out,
            DeviceSpan<Target, std::uint32_t> bucket_workspace = {});

/// What one point costs: floating-point operations (an FMA is 2, a division or square root 1) and calls of
/// exp, log, log1p and lgamma, which aren't among them. Summed over the points of a case this is the
/// experiment's formula.
struct BesselOperations {
  double flops = 0;
  double special = 0;
};
BesselOperations log_iv_operations(const LogBesselOptions& options, double v, double x);
BesselOperations log_kv_operations(const LogBesselOptions& options, double v, double x);

/// Bytes of the constants that a launch reads: the memory table's "constants".
std::size_t log_bessel_constant_bytes();

}  // namespace remeasure::kernels
