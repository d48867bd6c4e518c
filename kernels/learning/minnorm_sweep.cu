// SPDX-License-Identifier: Apache-2.0
//
// Minimum-norm least squares while features are added. Dar, Muthukumar, Baraniuk, "A Farewell to the
// Bias-Variance Tradeoff? An Overview of the Theory of Overparameterized Machine Learning", 2021 (arXiv
// 2109.02355), section 3.
//
//   for (t = 0; t < trials; ++t)
//     for (p in sizes)
//       if (p <= n)  G = X_p^T X_p [p,p];  L L^T = G;  beta_hat = L^-T L^-1 X_p^T y
//       else         K = X_p X_p^T [n,n];  L L^T = K;  beta_hat = X_p^T L^-T L^-1 y
//       risk[t,p] = sum_j v_j (beta_j - beta_hat_j)^2 + noise
//
// Optimisation of the nested kernel (a block owns a trial):
//   - features are nested, so K only grows: its lower triangle stays in registers, 4x4 tiles of each thread,
//   and takes in
//     features by chunks of 32. x is read once per trial, 4 n D bytes, where the naive kernel reads 4 n p for
//     each p.
//   - the Cholesky factor of X_p^T X_p is the leading block of that of the largest p <= n, and so is L^-1
//   X_p^T y: one
//     factorisation serves all p <= n; what remains for each is a back substitution, a warp each.
//   - for p > n a copy of K goes to shared memory and is factored there, with y and u = X_p V beta appended
//   as rows: they come
//     out as z = L^-1 y and w = L^-1 u. Since beta_hat = X_p^T K^-1 y, with unit variances
//         risk = |beta|^2 - 2 w.z + z.z + noise,
//     without any back substitution and without reading x again. Other variances need alpha = L^-T z and a
//     second matrix M = X_p V X_p^T, which stays in registers: risk = |beta|_V^2 - 2 w.z + alpha^T M alpha +
//     noise.
//   - the Gram matrix squares the condition number: |p - n| <= double_band is left to the naive kernel in
//   double.
// The Cholesky is block_cholesky.h's.
//
// Launch: nested: a block per trial; naive: a block per (p, trial). 64 threads for n <= 32, else 256. Dynamic
// shared memory: 128 (side 4 groups + 4) + S ((n+2)(n|1) + n) bytes, S = 4 or 8. Flops and bytes:
// minnorm_sweep_work, minnorm_naive_work. Limits: n <= 128; at most 64 sizes. A pivot that isn't positive
// gives NaN, never a wrong number.
#include "kernels/learning/minnorm_sweep.h"

#include <stdexcept>
#include <string>

#include "kernels/device/kernel.h"
#include "kernels/learning/block_cholesky.h"

namespace remeasure::kernels {
namespace {

constexpr int kChunk = 32;

/// What a launch works on. `place` is where a size's risk goes among the `row` risks of a trial.
struct SweepArguments {
  int samples, features, count, row;
  float noise;
  const float *x, *y, *beta, *variance;
  float* risk;
  float* beta_hat;
  int size[kSweepMaxSizes];
  int place[kSweepMaxSizes];
};

__device__ float* risk_of(const SweepArguments& s, unsigned trial, int size) {
  return s.risk + (static_cast<std::size_t>(trial) * static_cast<std::size_t>(s.row) +
                   static_cast<std::size_t>(s.place[size]));
}

__device__ const float* features_of(const SweepArguments& s, unsigned trial) {
  return s.x + static_cast<std::size_t>(trial) *
                   (static_cast<std::size_t>(s.features) * static_cast<std::size_t>(s.samples));
}

/// tile[k][r] = x[(first + k) n + r]: features first.. of all samples; zero beyond `count` features and n
/// samples.
template <class T>
__device__ void load_features(float* tile, const float* x, int n, int first, int count) {
#pragma unroll 2  // four loads at once make the nested kernel of 128 rows spill on sm_90
  for (int i = static_cast<int>(threadIdx.x); i < kChunk * T::kRows; i += T::kThreads) {
    const int k = i / T::kRows, r = i % T::kRows;
    tile[k * T::kPitch + r] = k < count && r < n ? x[(first + k) * n + r] : 0.0f;
  }
}

/// tile[k][r] = x[r n + first + k]: samples first.. of the first `size` features.
template <class T>
__device__ void load_samples(float* tile, const float* x, int n, int size, int first) {
  for (int i = static_cast<int>(threadIdx.x); i < kChunk * T::kRows; i += T::kThreads) {
    const int r = i / kChunk, k = i % kChunk;
    tile[k * T::kPitch + r] = first + k < n && r < size ? x[r * n + first + k] : 0.0f;
  }
}

/// X_p^T X_p of the first `size` features in registers; gives element threadIdx.x of X_p^T y.
template <class Scalar, class T>
__device__ Scalar gram_of_features(Triangle<Scalar, T>& gram, float* tile, const SweepArguments& s,
                                   const float* x, const float* y, int size) {
  const int r = static_cast<int>(threadIdx.x);
  Scalar right_side = 0;
  gram.clear();
  for (int first = 0; first < s.samples; first += kChunk) {
    load_samples<T>(tile, x, s.samples, size, first);
    __syncthreads();
    for (int k = 0; k < kChunk; ++k) gram.add_outer(tile + k * T::kPitch, Scalar{1});
    if (r < size) {
      for (int k = 0; k < kChunk && first + k < s.samples; ++k)
        right_side += Scalar{tile[k * T::kPitch + r]} * Scalar{y[first + k]};
    }
    __syncthreads();
  }
  return right_side;
}

/// Risk of all p <= n among the sizes from one factorisation; gives how many there are.
template <class T>
__device__ int sweep_below(const SweepArguments& s, const float* x, const float* y, float* tile, float* a,
                           int pitch) {
  int below = 0;
  while (below < s.count && s.size[below] <= s.samples) ++below;
  if (below == 0) return 0;
  const int largest = s.size[below - 1], thread = static_cast<int>(threadIdx.x);
  Triangle<float, T> gram;
  const float right_side = gram_of_features(gram, tile, s, x, y, largest);
  gram.for_each(largest, [&](int r, int c, float value) { a[r * pitch + c] = value; });
  if (thread < largest) a[largest * pitch + thread] = right_side;
  __syncthreads();
  factor<T>(a, pitch, largest, largest + 1);
  for (int q = warp_id(); q < below; q += T::kThreads / 32) {
    const int p = s.size[q];
    float estimate[4];
    take_row(a, pitch, largest, p, estimate);
    back_substitute(a, pitch, p, estimate);
    float error = 0;
#pragma unroll
    for (int g = 0; g < 4; ++g) {
      const int j = 32 * g + lane_id();
      if (j < p) error += s.variance[j] * (s.beta[j] - estimate[g]) * (s.beta[j] - estimate[g]);
    }
    for (int j = p + lane_id(); j < s.features; j += 32) error += s.variance[j] * s.beta[j] * s.beta[j];
    error = warp_sum(error);
    if (lane_id() == 0) *risk_of(s, blockIdx.x, q) = error + s.noise;
  }
  __syncthreads();
  return below;
}

template <class T, bool kWeighted>
__global__ void __launch_bounds__(T::kThreads, kWeighted ? 1 : 2) nested_kernel(const SweepArguments s) {
  RM_DYNAMIC_SHARED(float, tile);
  const int n = s.samples, pitch = n | 1, thread = static_cast<int>(threadIdx.x);
  float* const a = tile + kChunk * T::kPitch;
  float* const alpha = a + (n + 2) * pitch;
  const float* const x = features_of(s, blockIdx.x);
  const float* const y = s.y + blockIdx.x * static_cast<std::size_t>(n);

  const int below = sweep_below<T>(s, x, y, tile, a, pitch);
  float signal = 0;
  for (int j = thread; j < s.features; j += T::kThreads) signal += s.variance[j] * s.beta[j] * s.beta[j];
  signal = block_sum(signal);

  Triangle<float, T> k_matrix, m_matrix;
  k_matrix.clear();
  if (kWeighted) m_matrix.clear();
  float u = 0;  // element `thread` of X_p V beta
  int grown = 0;
  for (int q = below; q < s.count; ++q) {
    const int p = s.size[q];
    for (; grown < p; grown += kChunk) {
      const int count = p - grown < kChunk ? p - grown : kChunk;
      load_features<T>(tile, x, n, grown, count);
      __syncthreads();
      for (int k = 0; k < count; ++k) {
        k_matrix.add_outer(tile + k * T::kPitch, 1.0f);
        if (kWeighted) m_matrix.add_outer(tile + k * T::kPitch, s.variance[grown + k]);
      }
      if (thread < n) {
        for (int k = 0; k < count; ++k)
          u += tile[k * T::kPitch + thread] * (s.variance[grown + k] * s.beta[grown + k]);
      }
      __syncthreads();
    }
    grown = p;
    k_matrix.for_each(n, [&](int r, int c, float value) { a[r * pitch + c] = value; });
    if (thread < n) {
      a[n * pitch + thread] = y[thread];
      a[(n + 1) * pitch + thread] = u;
    }
    __syncthreads();
    factor<T>(a, pitch, n, n + 2);
    float part = 0;
    if (thread < n) {
      const float z = a[n * pitch + thread], w = a[(n + 1) * pitch + thread];
      part = (kWeighted ? 0.0f : z * z) - 2 * w * z;
    }
    if (kWeighted) {
      if (thread < 32) {
        float value[4];
        take_row(a, pitch, n, n, value);
        back_substitute(a, pitch, n, value);
#pragma unroll
        for (int g = 0; g < 4; ++g) {
          if (32 * g + thread < n) alpha[32 * g + thread] = value[g];
        }
      }
      __syncthreads();
      m_matrix.for_each(n, [&](int r, int c, float value) {
        part += (r == c ? 1.0f : 2.0f) * value * alpha[r] * alpha[c];
      });
    }
    part = block_sum(part);  // its barriers also keep the next copy of K from overtaking
    if (thread == 0) *risk_of(s, blockIdx.x, q) = signal + part + s.noise;
  }
}

template <class Scalar, class T>
__global__ void __launch_bounds__(T::kThreads) naive_kernel(const SweepArguments s) {
  RM_DYNAMIC_SHARED(float, tile);
  const int n = s.samples, pitch = n | 1, thread = static_cast<int>(threadIdx.x);
  const int p = s.size[blockIdx.x], size = p < n ? p : n;
  Scalar* const a = reinterpret_cast<Scalar*>(tile + kChunk * T::kPitch);
  Scalar* const alpha = a + (n + 2) * pitch;
  const float* const x = features_of(s, blockIdx.y);
  const float* const y = s.y + blockIdx.y * static_cast<std::size_t>(n);
  float* beta_hat = nullptr;
  if (s.beta_hat != nullptr) {
    const std::size_t problem =
        static_cast<std::size_t>(risk_of(s, blockIdx.y, static_cast<int>(blockIdx.x)) - s.risk);
    beta_hat = s.beta_hat + problem * static_cast<std::size_t>(s.features);
  }

  Triangle<Scalar, T> gram;
  Scalar right_side = 0;
  if (p <= n) {
    right_side = gram_of_features(gram, tile, s, x, y, size);
  } else {
    gram.clear();
    for (int first = 0; first < p; first += kChunk) {
      const int count = p - first < kChunk ? p - first : kChunk;
      load_features<T>(tile, x, n, first, count);
      __syncthreads();
      for (int k = 0; k < count; ++k) gram.add_outer(tile + k * T::kPitch, Scalar{1});
      __syncthreads();
    }
    if (thread < n) right_side = y[thread];
  }
  gram.for_each(size, [&](int r, int c, Scalar value) { a[r * pitch + c] = value; });
  if (thread < size) a[size * pitch + thread] = right_side;
  __syncthreads();
  factor<T>(a, pitch, size, size + 1);
  if (thread < 32) {
    Scalar value[4];
    take_row(a, pitch, size, size, value);
    back_substitute(a, pitch, size, value);
#pragma unroll
    for (int g = 0; g < 4; ++g) {
      if (32 * g + thread < size) alpha[32 * g + thread] = value[g];
    }
  }
  __syncthreads();

  Scalar error = 0;
  for (int j = warp_id(); j < s.features; j += T::kThreads / 32) {  // a warp for each feature
    Scalar estimate = 0;
    if (j < p && p <= n) {
      estimate = alpha[j];
    } else if (j < p) {
      for (int r = lane_id(); r < n; r += 32) estimate += Scalar{x[j * n + r]} * alpha[r];
      estimate = warp_sum(estimate);
    }
    const Scalar difference = Scalar{s.beta[j]} - estimate;
    if (lane_id() == 0) {
      error += Scalar{s.variance[j]} * difference * difference;
      if (beta_hat != nullptr) beta_hat[j] = static_cast<float>(estimate);
    }
  }
  error = block_sum(error);
  if (thread == 0)
    *risk_of(s, blockIdx.y, static_cast<int>(blockIdx.x)) = static_cast<float>(error) + s.noise;
}

template <class T>
std::size_t shared_bytes(int n, std::size_t scalar) {
  const auto rows = static_cast<std::size_t>(n);
  return kChunk * T::kPitch * sizeof(float) + ((rows + 2) * (rows | 1) + rows) * scalar;
}

/// The sizes that are (or aren't) to be solved in double.
template <class Target>
SweepArguments arguments_for(const SweepShape& shape, std::span<const int> sizes,
                             const SweepData<Target>& data, DeviceSpan<Target, float> risk,
                             DeviceSpan<Target, float> beta_hat, bool in_double) {
  SweepArguments s{.samples = shape.samples,
                   .features = shape.features,
                   .count = 0,
                   .row = static_cast<int>(sizes.size()),
                   .noise = static_cast<float>(shape.noise),
                   .x = data.x.data(),
                   .y = data.y.data(),
                   .beta = data.beta.data(),
                   .variance = data.variance.data(),
                   .risk = risk.data(),
                   .beta_hat = beta_hat.empty() ? nullptr : beta_hat.data(),
                   .size = {},
                   .place = {}};
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    if (shape.in_double(sizes[i]) != in_double) continue;
    s.size[s.count] = sizes[i];
    s.place[s.count++] = static_cast<int>(i);
  }
  return s;
}

template <class Scalar, class T, class Target>
void launch_naive(Stream<Target>& stream, const SweepShape& shape, const SweepArguments& s) {
  if (s.count == 0) return;
  launch({.name = sizeof(Scalar) == 8 ? "minnorm_naive_f64" : "minnorm_naive_f32",
          .grid = dim3(static_cast<unsigned>(s.count), static_cast<unsigned>(shape.trials)),
          .block = T::kThreads,
          .shared_bytes = shared_bytes<T>(shape.samples, sizeof(Scalar))},
         stream, naive_kernel<Scalar, T>, s);
}

template <class T, class Target>
void launch_nested(Stream<Target>& stream, const SweepShape& shape, const SweepArguments& s) {
  if (s.count == 0) return;
  const Launch what{.name = "minnorm_nested",
                    .grid = static_cast<unsigned>(shape.trials),
                    .block = T::kThreads,
                    .shared_bytes = shared_bytes<T>(shape.samples, sizeof(float))};
  if (shape.isotropic)
    launch(what, stream, nested_kernel<T, false>, s);
  else
    launch(what, stream, nested_kernel<T, true>, s);
}

template <class Target, class Use>
void with_tiling(int samples, Use use) {
  constexpr SweepTiling kSmall = sweep_tiling(32), kMedium = sweep_tiling(64),
                        kLarge = sweep_tiling(kSweepMaxSamples);
  if (samples <= 32)
    use(Tiling<kSmall.side, kSmall.groups>{});
  else if (samples <= 64)
    use(Tiling<kMedium.side, kMedium.groups>{});
  else
    use(Tiling<kLarge.side, kLarge.groups>{});
}

}  // namespace

template <class Target>
void minnorm_sweep(Stream<Target>& stream, const SweepShape& shape, std::span<const int> sizes,
                   const SweepData<Target>& data, DeviceSpan<Target, float> risk) {
  check_sweep(shape, sizes, data.x.size(), data.y.size(), data.beta.size(), data.variance.size(),
              risk.size());
  with_tiling<Target>(shape.samples, [&](auto tiling) {
    using T = decltype(tiling);
    launch_nested<T>(stream, shape, arguments_for<Target>(shape, sizes, data, risk, {}, false));
    launch_naive<double, T>(stream, shape, arguments_for<Target>(shape, sizes, data, risk, {}, true));
  });
}

template <class Target>
void minnorm_sweep_naive(Stream<Target>& stream, const SweepShape& shape, std::span<const int> sizes,
                         const SweepData<Target>& data, DeviceSpan<Target, float> risk,
                         DeviceSpan<Target, float> beta_hat) {
  check_sweep(shape, sizes, data.x.size(), data.y.size(), data.beta.size(), data.variance.size(),
              risk.size());
  if (!beta_hat.empty() && beta_hat.size() != risk.size() * static_cast<std::size_t>(shape.features)) {
    throw std::invalid_argument("minnorm_sweep: beta_hat has " + std::to_string(beta_hat.size()) +
                                " elements; expected " +
                                std::to_string(risk.size() * static_cast<std::size_t>(shape.features)));
  }
  with_tiling<Target>(shape.samples, [&](auto tiling) {
    using T = decltype(tiling);
    launch_naive<float, T>(stream, shape, arguments_for<Target>(shape, sizes, data, risk, beta_hat, false));
    launch_naive<double, T>(stream, shape, arguments_for<Target>(shape, sizes, data, risk, beta_hat, true));
  });
}

template void minnorm_sweep(Stream<CompiledTarget>&, const SweepShape&, std::span<const int>,
                            const SweepData<CompiledTarget>&, DeviceSpan<CompiledTarget, float>);
template void minnorm_sweep_naive(Stream<CompiledTarget>&, const SweepShape&, std::span<const int>,
                                  const SweepData<CompiledTarget>&, DeviceSpan<CompiledTarget, float>,
                                  DeviceSpan<CompiledTarget, float>);

}  // namespace remeasure::kernels
