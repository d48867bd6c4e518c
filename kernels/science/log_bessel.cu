// SPDX-License-Identifier: Apache-2.0
//
// ln I_v(x) and ln K_v(x) without overflow. Plesner, Sorensen, Hauberg, "Accurate Computation of the
// Logarithm of Modified Bessel Functions on GPUs", ICS 2024 (arXiv 2409.08729).
//
//   for (i = 0; i < n; ++i)
//     switch (bessel_branch(v[i], x[i])) {
//       case mu_K: S = sum_k prod_{j<=k} s (4v^2 - (2j-1)^2) / (8jx)               s = -1 for I, +1 for K
//                  out = s (0.5 ln(2 pi x) - x) + ln|S|         (K: 0.5 ln(pi / 2x) - x + ln|S|)
//       case U_K:  S = 1 + sum_k (s t / v)^k P_k(t^2)                              s = +1 for I, -1 for K
//                  out = s v eta - 0.5 ln(2 pi w) + ln S,  w = sqrt(v^2 + x^2), t = v/w, eta = w/v + ln(x /
//                  (v+w))
//       default:   I: v ln(x/2) - ln Gamma(v+1) + ln sum_k (x^2/4)^k / (k! (v+1)_k)
//                  K: Rothwell's integral int_0^1 (g + h) du by Simpson's rule
//     }
//
// Optimisation. Three branches instead of seven (BranchTable::reduced). Both large expansions are nested from
// their last term: mu20 has no division but 1/x, U13 is Horner in t^2 within Horner in t/v with all
// coefficients in constant memory, read by all lanes at once. One logarithm of w replaces those of v and of 1
// + z^2. The fallback only sees v < 12.7 and x <= 30, where no term of either sum leaves the range of a
// double (largest: e^120), so the paper's log-sum-exp is dropped: I is a ratio of two polynomials with one
// division in all, and a node of K needs no logarithm of a sum. A K fallback point is integrated by its whole
// warp: lanes vote, then take the points one after another, 600 nodes over 32 lanes. Optional bucket pass:
// points sorted by branch, so that warps are uniform.
//
// Launch: one thread per point, blocks of 128 (I) or 256 (K). Bytes: 24 per point (40 with the bucket pass,
// which also reads v and x twice). Flops: log_iv_operations, log_kv_operations. Limits: n < 2^31. K's
// fallback has Simpson's error, up to 6e-10 (v = 0, x = 0.5); and for v near 0 it needs x > 1e-20: the
// integrand rises at u = (2x)^(1/16), which must be several nodes from u = 0.
#include "kernels/science/log_bessel.h"

#include <stdexcept>
#include <string>

#include "kernels/device/kernel.h"
#include "kernels/science/log_bessel_coefficients.h"

namespace remeasure::kernels {
namespace {

enum class Kind : unsigned char { i, k };

__constant__ UniformTable kUniform = kUniformTable;

constexpr double kHalfLog2Pi = 0.91893853320467274178;     // ln(2 pi) / 2
constexpr double kHalfLogHalfPi = 0.22579135264472743236;  // ln(pi / 2) / 2
constexpr double kHalfLogPi = 0.57236494292470008707;      // ln(pi) / 2
constexpr double kLog2 = 0.69314718055994530942;

/// 1 + f_j (1 + f_{j+1} (1 + ...)) of terms in all, f_j = s (2v - (2j-1)) (2v + (2j-1)) / (8jx): factors, not
/// the difference of squares, so that it is exact for half-integer v and doesn't overflow. A recursion rather
/// than a loop: then 1/j is a constant for every compiler. `scale` is s / 8x.
template <int j, int kTerms>
__device__ double mu_sum(double two_v, double scale) {
  if constexpr (j > kTerms) {
    return 1;
  } else {
    constexpr double kOdd = 2 * j - 1, kInverse = 1.0 / j;
    const double factor = ((two_v - kOdd) * scale) * ((two_v + kOdd) * kInverse);
    return fma(factor, mu_sum<j + 1, kTerms>(two_v, scale), 1.0);
  }
}

template <Kind kKind, int kTerms>
__device__ double mu_log_sum(double v, double x) {
  const double scale = (kKind == Kind::i ? -0.125 : 0.125) / x;
  return log(fabs(mu_sum<1, kTerms>(2 * v, scale)));
}

template <Kind kKind, int kTerms>
__device__ double large_argument(double v, double x) {
  const double log_sum = mu_log_sum<kKind, kTerms>(v, x);
  if (kKind == Kind::i) return x - (kHalfLog2Pi + 0.5 * log(x)) + log_sum;
  return (kHalfLogHalfPi - 0.5 * log(x)) - x + log_sum;
}

template <Kind kKind, int kOrder>
__device__ double uniform(double v, double x) {
  const double z = x / v;
  const double r = sqrt(fma(z, z, 1.0));
  const double w = v * r;
  const double step = (kKind == Kind::i ? 1.0 : -1.0) / w;
  const double t_squared = 1 / (r * r);
  double sum = 0;
#pragma unroll
  for (int k = kOrder; k >= 1; --k) {
    double polynomial = kUniform.values[uniform_offset(k) + k];
#pragma unroll
    for (int j = k - 1; j >= 0; --j)
      polynomial = fma(polynomial, t_squared, kUniform.values[uniform_offset(k) + j]);
    sum = (sum + polynomial) * step;
  }
  const double log_ratio = z < DBL_MIN ? log(x) - log(v) - kLog2 : log(z / (1 + r));
  const double v_eta = fma(v, log_ratio, w);
  if (kKind == Kind::i) return v_eta - (kHalfLog2Pi + 0.5 * log(w)) + log1p(sum);
  return (kHalfLogHalfPi - 0.5 * log(w)) - v_eta + log1p(sum);
}

/// sum_k q^k / (k! (v+1)_k) nested from the last term as A/B: A' = k(k+v) B + q A, B' = k(k+v) B. B ends as
/// 42! (v+1)_42 < 1e115, A as B times at most I_0(30) = 8e11.
__device__ double power_series(double v, double x) {
  const double q = 0.25 * x * x;
  double a = 1, b = 1;
  for (int k = kFallbackTerms - 1; k >= 1; --k) {
    b *= k * (k + v);
    a = fma(q, a, b);
  }
  return v * (log(x) - kLog2) - lgamma(v + 1) + log(a / b);
}

/// One point by the 32 lanes of a warp; the result is the same bits in each. All lanes call it with the same
/// v and x.
__device__ double rothwell_by_warp(double v, double x, int lane) {
  constexpr double kPower = kRothwellPower;
  const double odd = 2 * v + 1;
  const double beta = 2 * kPower / odd;
  const double exponent = v - 0.5;
  const double two_x = 2 * x;
  const double log_gamma = lgamma(v + 0.5);  // a call: before the sum, or registers spill around it
  double sum = 0;
  for (int node = 1 + lane; node <= kSimpsonIntervals; node += 32) {  // both integrands are 0 at u = 0
    const double u = static_cast<double>(node) / kSimpsonIntervals;
    const double log_u = log(u);
    const double power = exp(beta * log_u);
    const double g = beta * exp(fma(exponent, log(two_x + power), fma(kPower - 1, log_u, -power)));
    const double h = exp(fma(exponent, log1p(two_x * u), fma(-odd, log_u, -1 / u)));
    const double weight = node == kSimpsonIntervals ? 1 : (node % 2 == 1 ? 4 : 2);
    sum = fma(weight, g + h, sum);
  }
  sum = warp_sum(sum);
  return kHalfLogPi - log_gamma - v * (kLog2 + log(x)) - x + log(sum / (3 * kSimpsonIntervals));
}

/// Arguments that no branch is for. True if `result` is the answer.
template <Kind kKind>
__device__ bool is_edge(double v, double x, double& result) {
  if (!(v >= 0 && v <= DBL_MAX && x >= 0 && x <= DBL_MAX)) {
    result = nan("");
    return true;
  }
  if (x > 0) return false;
  constexpr double kInfinity = HUGE_VAL;
  result = kKind == Kind::k ? kInfinity : (v == 0 ? 0.0 : -kInfinity);
  return true;
}

template <Kind kKind, BranchTable kTable>
__device__ double evaluate_expansion(BesselBranch branch, double v, double x) {
  if (branch == BesselBranch::mu20) return large_argument<kKind, 20>(v, x);
  if constexpr (kTable == BranchTable::full) {
    if (branch == BesselBranch::mu3) return large_argument<kKind, 3>(v, x);
    if (branch == BesselBranch::u4) return uniform<kKind, 4>(v, x);
    if (branch == BesselBranch::u6) return uniform<kKind, 6>(v, x);
    if (branch == BesselBranch::u9) return uniform<kKind, 9>(v, x);
  }
  return uniform<kKind, 13>(v, x);
}

/// The point of thread `place`. `order`: null, or the permutation of the bucket pass.
__device__ std::uint32_t point_of(int place, const std::uint32_t* order) {
  return order == nullptr ? static_cast<std::uint32_t>(place) : order[place];
}

template <BranchTable kTable>
__global__ void __launch_bounds__(128)
    log_iv_kernel(int n, MuGuard guard, const double* __restrict__ v, const double* __restrict__ x,
                  const std::uint32_t* __restrict__ order, double* __restrict__ out) {
  const int place = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (place >= n) return;
  const std::uint32_t i = point_of(place, order);
  const double order_v = v[i], argument = x[i];
  double result = 0;
  if (!is_edge<Kind::i>(order_v, argument, result)) {
    const BesselBranch branch = bessel_branch(kTable, guard, order_v, argument);
    result = branch == BesselBranch::fallback
                 ? power_series(order_v, argument)
                 : evaluate_expansion<Kind::i, kTable>(branch, order_v, argument);
  }
  out[i] = result;
}

template <BranchTable kTable>
__global__ void __launch_bounds__(256)
    log_kv_kernel(int n, MuGuard guard, const double* __restrict__ v, const double* __restrict__ x,
                  const std::uint32_t* __restrict__ order, double* __restrict__ out) {
  const int place = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  // No early return: a lane without a point of its own helps with its neighbours'.
  const bool inside = place < n;
  double order_v = 0, argument = 0, result = 0;
  bool falls_back = false;
  if (inside) {
    const std::uint32_t i = point_of(place, order);
    order_v = v[i];
    argument = x[i];
    if (!is_edge<Kind::k>(order_v, argument, result)) {
      const BesselBranch branch = bessel_branch(kTable, guard, order_v, argument);
      falls_back = branch == BesselBranch::fallback;
      if (!falls_back) result = evaluate_expansion<Kind::k, kTable>(branch, order_v, argument);
    }
  }
  const int lane = lane_id();
  for (unsigned waiting = __ballot_sync(kFullWarp, falls_back); waiting != 0; waiting &= waiting - 1) {
    const int owner = __ffs(static_cast<int>(waiting)) - 1;
    const double shared_v = __shfl_sync(kFullWarp, order_v, owner);
    const double shared_x = __shfl_sync(kFullWarp, argument, owner);
    const double value = rothwell_by_warp(shared_v, shared_x, lane);
    if (lane == owner) result = value;
  }
  if (inside)
    out[point_of(place, order)] = result;  // asked again: kept across the integral it spills on sm_90
}

// --- bucket pass: counts and cursors are [kBesselBranches] each, zeroed before ---

/// Edges go with the fallback: they are few, and their values don't depend on where they are evaluated.
__device__ int bucket_of(BranchTable table, MuGuard guard, double v, double x) {
  if (!(v >= 0 && x > 0)) return static_cast<int>(BesselBranch::fallback);
  return static_cast<int>(bessel_branch(table, guard, v, x));
}

__global__ void histogram_kernel(int n, BranchTable table, MuGuard guard, const double* __restrict__ v,
                                 const double* __restrict__ x, unsigned* __restrict__ counts) {
  RM_SHARED(unsigned, in_block, [kBesselBranches]);
  if (threadIdx.x < kBesselBranches) in_block[threadIdx.x] = 0;
  __syncthreads();
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i < n) atomicAdd(&in_block[bucket_of(table, guard, v[i], x[i])], 1u);
  __syncthreads();
  if (threadIdx.x < kBesselBranches && in_block[threadIdx.x] != 0) {
    atomicAdd(&counts[threadIdx.x], in_block[threadIdx.x]);
  }
}

/// Each block reserves a range of every bucket. The order within a bucket depends on the schedule; no result
/// does.
__global__ void scatter_kernel(int n, BranchTable table, MuGuard guard, const double* __restrict__ v,
                               const double* __restrict__ x, const unsigned* __restrict__ counts,
                               unsigned* __restrict__ cursors, std::uint32_t* __restrict__ order) {
  RM_SHARED(unsigned, in_block, [kBesselBranches]);
  RM_SHARED(unsigned, first, [kBesselBranches]);
  if (threadIdx.x < kBesselBranches) in_block[threadIdx.x] = 0;
  __syncthreads();
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  int bucket = 0;
  unsigned rank = 0;
  if (i < n) {
    bucket = bucket_of(table, guard, v[i], x[i]);
    rank = atomicAdd(&in_block[bucket], 1u);
  }
  __syncthreads();
  if (threadIdx.x < kBesselBranches) {
    unsigned start = 0;
    for (unsigned b = 0; b < threadIdx.x; ++b) start += counts[b];
    first[threadIdx.x] = start + atomicAdd(&cursors[threadIdx.x], in_block[threadIdx.x]);
  }
  __syncthreads();
  if (i < n) order[first[bucket] + rank] = static_cast<std::uint32_t>(i);
}

template <class Target>
const std::uint32_t* bucket_pass(Stream<Target>& stream, const LogBesselOptions& options,
                                 DeviceSpan<Target, const double> v, DeviceSpan<Target, const double> x,
                                 DeviceSpan<Target, std::uint32_t> workspace) {
  if (workspace.empty()) return nullptr;
  const auto counters = workspace.subspan(0, 2 * kBesselBranches);
  const auto order = workspace.subspan(2 * kBesselBranches, v.size());
  unsigned* const counts = counters.data();
  const int n = static_cast<int>(v.size());
  stream.fill_bytes(counters, std::uint8_t{0});
  launch({.name = "log_bessel_histogram", .grid = blocks_for(n, 256), .block = 256}, stream, histogram_kernel,
         n, options.table, options.guard, v.data(), x.data(), counts);
  launch({.name = "log_bessel_scatter", .grid = blocks_for(n, 256), .block = 256}, stream, scatter_kernel, n,
         options.table, options.guard, v.data(), x.data(), counts, counts + kBesselBranches, order.data());
  return order.data();
}

void check_sizes(const char* name, std::size_t v, std::size_t x, std::size_t out, std::size_t workspace) {
  const std::string sizes = ": v has " + std::to_string(v) + " elements, x " + std::to_string(x) + ", out " +
                            std::to_string(out) + ", bucket_workspace " + std::to_string(workspace);
  if (v != x || v != out) throw std::invalid_argument(name + sizes + "; the first three must be equal");
  if (v >= (std::size_t{1} << 31))
    throw std::invalid_argument(name + sizes + "; at most 2^31 - 1 are possible");
  if (workspace != 0 && workspace < v + 2 * kBesselBranches) {
    throw std::invalid_argument(name + sizes + "; the last must be 0 or log_bessel_bucket_workspace(n)");
  }
}

}  // namespace

template <class Target>
void log_iv(Stream<Target>& stream, const LogBesselOptions& options, DeviceSpan<Target, const double> v,
            DeviceSpan<Target, const double> x, DeviceSpan<Target, double> out,
            DeviceSpan<Target, std::uint32_t> bucket_workspace) {
  check_sizes("log_iv", v.size(), x.size(), out.size(), bucket_workspace.size());
  if (v.empty()) return;
  const std::uint32_t* order = bucket_pass(stream, options, v, x, bucket_workspace);
  const int n = static_cast<int>(v.size());
  const auto kernel = options.table == BranchTable::full ? log_iv_kernel<BranchTable::full>
                                                         : log_iv_kernel<BranchTable::reduced>;
  launch({.name = "log_iv", .grid = blocks_for(n, 128), .block = 128}, stream, kernel, n, options.guard,
         v.data(), x.data(), order, out.data());
}

template <class Target>
void log_kv(Stream<Target>& stream, const LogBesselOptions& options, DeviceSpan<Target, const double> v,
            DeviceSpan<Target, const double> x, DeviceSpan<Target, double> out,
            DeviceSpan<Target, std::uint32_t> bucket_workspace) {
  check_sizes("log_kv", v.size(), x.size(), out.size(), bucket_workspace.size());
  if (v.empty()) return;
  const std::uint32_t* order = bucket_pass(stream, options, v, x, bucket_workspace);
  const int n = static_cast<int>(v.size());
  const auto kernel = options.table == BranchTable::full ? log_kv_kernel<BranchTable::full>
                                                         : log_kv_kernel<BranchTable::reduced>;
  launch({.name = "log_kv", .grid = blocks_for(n, 256), .block = 256}, stream, kernel, n, options.guard,
         v.data(), x.data(), order, out.data());
}

#define RM_INSTANTIATE(function)                                                                             \
  template void function(Stream<CompiledTarget>&, const LogBesselOptions&,                                   \
                         DeviceSpan<CompiledTarget, const double>, DeviceSpan<CompiledTarget, const double>, \
                         DeviceSpan<CompiledTarget, double>, DeviceSpan<CompiledTarget, std::uint32_t>);
RM_INSTANTIATE(log_iv)
RM_INSTANTIATE(log_kv)
#undef RM_INSTANTIATE

}  // namespace remeasure::kernels
