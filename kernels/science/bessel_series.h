// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/device/device.h"
#include "kernels/science/log_bessel.h"

namespace remeasure::kernels {

inline constexpr double kNegligibleTerm = 1.1e-16;  ///< of the sum: bessel_series ends before it

/// out = ln(I_v(x)) from the unscaled power series, logarithm taken after.  v, x, out: [n]
///
/// What a GPU user writes who needs a general order, since no CUDA library has one; a baseline, with the
/// limits of its kind: +inf where I_v(x) > 1.8e308 (x above 713), -inf where (x/2)^v / Gamma(v+1) underflows.
/// NaN for v or x < 0.
template <class Target>
void bessel_series(Stream<Target>& stream, DeviceSpan<Target, const double> v,
                   DeviceSpan<Target, const double> x, DeviceSpan<Target, double> out);

/// out = ln(I_0(x)) or ln(I_1(x)) from CUDA's cyl_bessel_i0 and cyl_bessel_i1: all that the vendor's library
/// has. x, out: [n] +inf for x above 713. Throws std::invalid_argument for another order.
template <class Target>
void bessel_order_0_1(Stream<Target>& stream, int order, DeviceSpan<Target, const double> x,
                      DeviceSpan<Target, double> out);

/// What bessel_series does for one point. The number of terms depends on it, so the series is walked here.
BesselOperations bessel_series_operations(double v, double x);

}  // namespace remeasure::kernels
