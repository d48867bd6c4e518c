// SPDX-License-Identifier: Apache-2.0
//
// I_v(x) by its power series, unscaled (DLMF 10.25.2): the straight port that the log-Bessel kernel is
// compared with. Plesner, Sorensen, Hauberg, ICS 2024 (arXiv 2409.08729), compares with third-party libraries
// of this kind.
//
//   term = sum = pow(x/2, v) / tgamma(v+1);
//   for (k = 1; term > eps sum || k < x/2; ++k) { term *= (x*x/4) / (k (k+v)); sum += term; }
//   out = ln sum
//
// Optimisation: none beyond exp and lgamma in place of pow and tgamma for the first term (tgamma alone
// overflows at 171). Launch: one thread per point, blocks of 128. Bytes: 24 per point; flops:
// bessel_series_operations, x/2 + 10 sqrt(x) terms. Limits: overflows and underflows as a double does.
#include "kernels/science/bessel_series.h"

#include <stdexcept>

#include "kernels/device/cuda_bessel.h"
#include "kernels/device/kernel.h"

namespace remeasure::kernels {
namespace {

__global__ void __launch_bounds__(128)
    bessel_series_kernel(int n, const double* __restrict__ v, const double* __restrict__ x,
                         double* __restrict__ out) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i >= n) return;
  const double order = v[i], argument = x[i];
  if (!(order >= 0 && argument >= 0)) {
    out[i] = nan("");
    return;
  }
  const double quarter = 0.25 * argument * argument;
  double term =
      argument == 0 ? (order == 0 ? 1.0 : 0.0) : exp(order * log(0.5 * argument) - lgamma(order + 1));
  double sum = term;
  for (double k = 1; k < 1e6 && sum <= DBL_MAX && term > 0; k += 1) {
    const double ratio = quarter / (k * (k + order));
    term *= ratio;
    sum += term;
    if (ratio < 1 && term < kNegligibleTerm * sum) break;
  }
  out[i] = log(sum);
}

template <int kOrder>
__global__ void __launch_bounds__(128)
    bessel_order_0_1_kernel(int n, const double* __restrict__ x, double* __restrict__ out) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i < n) out[i] = log(kOrder == 0 ? cyl_bessel_i0(x[i]) : cyl_bessel_i1(x[i]));
}

}  // namespace

template <class Target>
void bessel_series(Stream<Target>& stream, DeviceSpan<Target, const double> v,
                   DeviceSpan<Target, const double> x, DeviceSpan<Target, double> out) {
  if (v.size() != x.size() || v.size() != out.size() || v.size() >= (std::size_t{1} << 31)) {
    throw std::invalid_argument("bessel_series: v, x and out must have one size, below 2^31");
  }
  if (v.empty()) return;
  launch({.name = "bessel_series", .grid = blocks_for(v.size(), 128), .block = 128}, stream,
         bessel_series_kernel, static_cast<int>(v.size()), v.data(), x.data(), out.data());
}

template <class Target>
void bessel_order_0_1(Stream<Target>& stream, int order, DeviceSpan<Target, const double> x,
                      DeviceSpan<Target, double> out) {
  if ((order != 0 && order != 1) || x.size() != out.size() || x.size() >= (std::size_t{1} << 31)) {
    throw std::invalid_argument(
        "bessel_order_0_1: order must be 0 or 1, and x and out of one size, below 2^31");
  }
  if (x.empty()) return;
  launch({.name = "bessel_order_0_1", .grid = blocks_for(x.size(), 128), .block = 128}, stream,
         order == 0 ? bessel_order_0_1_kernel<0> : bessel_order_0_1_kernel<1>, static_cast<int>(x.size()),
         x.data(), out.data());
}

template void bessel_order_0_1(Stream<CompiledTarget>&, int, DeviceSpan<CompiledTarget, const double>,
                               DeviceSpan<CompiledTarget, double>);
template void bessel_series(Stream<CompiledTarget>&, DeviceSpan<CompiledTarget, const double>,
                            DeviceSpan<CompiledTarget, const double>, DeviceSpan<CompiledTarget, double>);

}  // namespace remeasure::kernels
