// SPDX-License-Identifier: Apache-2.0
//
// Test error of minimum-norm least squares as features are added: for every trial t and every p of a list
//   beta_hat = X_p^+ y      X_p: the first p features of trial t, [n, p]; elsewhere 0
//   risk     = sum_j v_j (beta_j - beta_hat_j)^2 + noise
#pragma once

#include <cstdint>
#include <span>

#include "kernels/device/device.h"

namespace remeasure::kernels {

inline constexpr int kSweepMaxSamples = 128;
inline constexpr int kSweepMaxSizes = 64;

/// |p - n| up to which the Gram matrix, whose condition number is the square of X's, is factored in double.
inline constexpr int kSweepDoubleBand = 4;

struct SweepShape {
  int trials = 0;
  int samples = 0;                     ///< n, 1 to 128
  int features = 0;                    ///< D
  double noise = 0;                    ///< variance of the noise in y; added to each risk
  bool isotropic = true;               ///< all variances are 1: two sums fewer
  int double_band = kSweepDoubleBand;  ///< -1: all in float

  bool in_double(int p) const { return (p > samples ? p - samples : samples - p) <= double_band; }
};

/// Data of a sweep on a device. Features are in the order in which they enter.
template <class Target>
struct SweepData {
  DeviceSpan<Target, const float> x;         ///< [trial, feature, sample]
  DeviceSpan<Target, const float> y;         ///< [trial, sample]
  DeviceSpan<Target, const float> beta;      ///< [feature]
  DeviceSpan<Target, const float> variance;  ///< [feature]
};

/// The nested sweep: a block owns a trial, reads each feature once and walks p upward. `sizes`: strictly
/// increasing, from 0 to D, at most 64. `risk`: [trial, size].
template <class Target>
void minnorm_sweep(Stream<Target>& stream, const SweepShape& shape, std::span<const int> sizes,
                   const SweepData<Target>& data, DeviceSpan<Target, float> risk);

/// The naive sweep: a block per (trial, p), which builds its Gram matrix anew. Also gives the estimates, if
/// `beta_hat` isn't empty: [trial, size, feature].
template <class Target>
void minnorm_sweep_naive(Stream<Target>& stream, const SweepShape& shape, std::span<const int> sizes,
                         const SweepData<Target>& data, DeviceSpan<Target, float> risk,
                         DeviceSpan<Target, float> beta_hat = {});

/// Throws std::invalid_argument that names what is wrong with a shape, a list of sizes or the length of a
/// span.
void check_sweep(const SweepShape& shape, std::span<const int> sizes, std::size_t x, std::size_t y,
                 std::size_t beta, std::size_t variance, std::size_t risk);

/// Multiplications and additions of the textbook algorithm, Gram matrix and Cholesky for each p: the work
/// that is asked for. p > n: n^2 p + n^3 / 3; p <= n: p^2 n + p^3 / 3 (per problem, Gram matrices by
/// symmetry).
double minnorm_sweep_flops(const SweepShape& shape, std::span<const int> sizes);
/// The same for the nested algorithm: n^2 D once, largest p <= n once, n^3 / 3 for each p > n.
double minnorm_nested_flops(const SweepShape& shape, std::span<const int> sizes);
/// Bytes that must move: 4 n D features, 4 n y per trial, 8 D truth, 4 per risk.
double minnorm_sweep_bytes(const SweepShape& shape, std::span<const int> sizes);

/// Side of the square of threads that work on a problem, and groups of 4 rows that each of them has.
struct SweepTiling {
  int side, groups;
};
constexpr SweepTiling sweep_tiling(int samples) {
  return {samples <= 32 ? 8 : 16, samples <= 64 ? 1 : 2};
}

/// What the kernels do: floating-point operations executed, those on padding and on the upper triangle
/// included, and bytes that the launches must read and write. A launch that solves in double rereads what it
/// needs.
struct SweepWork {
  double flops = 0;
  double bytes = 0;
};
SweepWork minnorm_sweep_work(const SweepShape& shape, std::span<const int> sizes);
SweepWork minnorm_naive_work(const SweepShape& shape, std::span<const int> sizes);

}  // namespace remeasure::kernels
