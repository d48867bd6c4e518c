// SPDX-License-Identifier: Apache-2.0
//
// Minimum-norm least squares while features are added. Dar, Muthukumar, Baraniuk, "A Farewell to the Bias-Variance
// Tradeoff? An Overview of the Theory of Overparameterized Machine Learning", 2021 (arXiv 2109.02355), section 3.
//
//   for (t = 0; t < trials; ++t)
//     for (p in sizes)
//       if (p <= n)  G = X_p^T X_p [p,p];  L L^T = G;  beta_hat = L^-T L^-1 X_p^T y
//       else         K = X_p X_p^T [n,n];  L L^T = K;  beta_hat = X_p^T L^-T L^-1 y
//       risk[t,p] = sum_j v_j (beta_j - beta_hat_j)^2 + noise
//
// Optimisation of the nested kernel (a block owns a trial):
//   - features are nested, so K only grows: its lower triangle stays in registers, 4x4 tiles of each thread, and takes in
//     features by chunks of 32. x is read once per trial, 4 n D bytes, where the naive kernel reads 4 n p for each p.
//   - the Cholesky factor of X_p^T X_p is the leading block of that of the largest p <= n, and so is L^-1 X_p^T y: one
//     factorisation serves all p <= n; what remains for each is a back substitution, a warp each.
//   - for p > n a copy of K goes to shared memory and is factored there, with y and u = X_p V beta appended as rows: they come
//     out as z = L^-1 y and w = L^-1 u. Since beta_hat = X_p^T K^-1 y, with unit variances
//         risk = |beta|^2 - 2 w.z + z.z + noise,
//     without any back substitution and without reading x again. Other variances need alpha = L^-T z and a second matrix
//     M = X_p V X_p^T, which stays in registers: risk = |beta|_V^2 - 2 w.z + alpha^T M alpha + noise.
//   - the Gram matrix squares the condition number: |p - n| <= double_band is left to the naive kernel in double.
// The Cholesky is right-looking with panels of 16 columns: a warp factors the diagonal block, a thread takes a row of the
// panel, all threads the trailing 4x4 tiles: three barriers a panel.
//
// Launch: nested: a block per trial; naive: a block per (p, trial). 64 threads for n <= 32, else 256. Dynamic shared memory:
// 128 (side 4 groups + 4) + S ((n+2)(n|1) + n) bytes, S = 4 or 8. Flops and bytes: minnorm_sweep_flops, minnorm_sweep_bytes.
// Limits: n <= 128; at most 64 sizes. A pivot that isn't positive gives NaN, never a wrong number.
#include "kernels/learning/minnorm_sweep.h"

#include <stdexcept>
#include <string>

#include "kernels/device/kernel.h"

namespace remeasure::kernels {
namespace {

constexpr int kChunk = 32;
constexpr int kPanel = 16;

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

/// side x side threads, each with 4x4 tiles of the lower triangle of a matrix of up to kRows rows.
template <int kSideValue, int kGroupsValue>
struct Tiling {
  static constexpr int kSide = kSideValue;
  static constexpr int kGroups = kGroupsValue;
  static constexpr int kThreads = kSide * kSide;
  static constexpr int kRows = 4 * kSide * kGroups;
  static constexpr int kPitch = kRows + 4;  // keeps float4 aligned, and spreads a column over the banks
  static constexpr int kTiles = kGroups * (kGroups + 1) / 2;
};

/// The lower triangle in the registers of a block.
template <class Scalar, class T>
struct Triangle {
  Scalar value[T::kTiles][4][4];

  __device__ void clear() {
#pragma unroll
    for (int t = 0; t < T::kTiles; ++t) {
#pragma unroll
      for (int e = 0; e < 16; ++e) value[t][e / 4][e % 4] = 0;
    }
  }

  /// += weight * row row^T for one row of the tile in shared memory.
  __device__ void add_outer(const float* row, Scalar weight) {
    const int ty = static_cast<int>(threadIdx.x) / T::kSide, tx = static_cast<int>(threadIdx.x) % T::kSide;
#pragma unroll
    for (int gi = 0; gi < T::kGroups; ++gi) {
      const float4 left = *reinterpret_cast<const float4*>(row + gi * 4 * T::kSide + 4 * ty);
      const Scalar a[4] = {weight * left.x, weight * left.y, weight * left.z, weight * left.w};
#pragma unroll
      for (int gj = 0; gj <= gi; ++gj) {
        const float4 right = *reinterpret_cast<const float4*>(row + gj * 4 * T::kSide + 4 * tx);
        const Scalar b[4] = {right.x, right.y, right.z, right.w};
#pragma unroll
        for (int e = 0; e < 16; ++e) value[gi * (gi + 1) / 2 + gj][e / 4][e % 4] += a[e / 4] * b[e % 4];
      }
    }
  }

  /// Calls use(row, column, value) for the elements of the lower triangle of the first `size` rows.
  template <class Use>
  __device__ void for_each(int size, Use use) const {
    const int ty = static_cast<int>(threadIdx.x) / T::kSide, tx = static_cast<int>(threadIdx.x) % T::kSide;
#pragma unroll
    for (int gi = 0; gi < T::kGroups; ++gi) {
#pragma unroll
      for (int gj = 0; gj <= gi; ++gj) {
#pragma unroll
        for (int e = 0; e < 16; ++e) {
          const int row = gi * 4 * T::kSide + 4 * ty + e / 4, column = gj * 4 * T::kSide + 4 * tx + e % 4;
          if (row < size && column <= row) use(row, column, value[gi * (gi + 1) / 2 + gj][e / 4][e % 4]);
        }
      }
    }
  }
};

/// tile[k][r] = x[(first + k) n + r]: features first.. of all samples; zero beyond `count` features and n samples.
template <class T>
__device__ void load_features(float* tile, const float* x, int n, int first, int count) {
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
__device__ Scalar gram_of_features(Triangle<Scalar, T>& gram, float* tile, const SweepArguments& s, const float* x,
                                   const float* y, int size) {
  const int r = static_cast<int>(threadIdx.x);
  Scalar right_side = 0;
  gram.clear();
  for (int first = 0; first < s.samples; first += kChunk) {
    load_samples<T>(tile, x, s.samples, size, first);
    __syncthreads();
    for (int k = 0; k < kChunk; ++k) gram.add_outer(tile + k * T::kPitch, Scalar{1});
    if (r < size) {
      for (int k = 0; k < kChunk && first + k < s.samples; ++k) right_side += Scalar{tile[k * T::kPitch + r]} * Scalar{y[first + k]};
    }
    __syncthreads();
  }
  return right_side;
}

/// Cholesky of the leading columns x columns block of `a`, in place, lower triangle; the rows beyond, up to `rows`, become
/// b L^-T, which is (L^-1 b^T)^T. All threads of the block call it.
template <class T, class Scalar>
__device__ void factor(Scalar* a, int pitch, int columns, int rows) {
  const int thread = static_cast<int>(threadIdx.x), ty = thread / T::kSide, tx = thread % T::kSide;
  for (int first = 0; first < columns; first += kPanel) {
    const int width = columns - first < kPanel ? columns - first : kPanel;
    Scalar* const panel = a + first * pitch + first;
    if (thread < 32) {  // the diagonal block, a lane for each row
      for (int c = 0; c < width; ++c) {
        const Scalar root = sqrt(panel[c * pitch + c]);
        const bool below = thread > c && thread < width;
        __syncwarp();
        if (thread == c) panel[c * pitch + c] = root;
        Scalar l = 0;
        if (below) panel[thread * pitch + c] = l = panel[thread * pitch + c] / root;
        __syncwarp();
        if (below) {
          for (int j = c + 1; j <= thread; ++j) panel[thread * pitch + j] -= l * panel[j * pitch + c];
        }
        __syncwarp();
      }
    }
    __syncthreads();
    const int next = first + width;
    for (int r = next + thread; r < rows; r += T::kThreads) {
      Scalar* const row = a + r * pitch + first;
      Scalar l[kPanel];
#pragma unroll
      for (int c = 0; c < kPanel; ++c) {
        if (c < width) {
          Scalar sum = row[c];
#pragma unroll
          for (int j = 0; j < c; ++j) sum -= l[j] * panel[c * pitch + j];
          row[c] = l[c] = sum / panel[c * pitch + c];
        }
      }
    }
    __syncthreads();
    for (int row0 = next; row0 < rows; row0 += 4 * T::kSide) {
      for (int column0 = next; column0 < columns && column0 < row0 + 4 * T::kSide; column0 += 4 * T::kSide) {
        Scalar sum[4][4] = {};
        for (int k = 0; k < width; ++k) {
          Scalar left[4], right[4];
#pragma unroll
          for (int i = 0; i < 4; ++i) {  // clamped: what lies beyond isn't stored below
            const int r = row0 + ty + T::kSide * i, c = column0 + tx + T::kSide * i;
            left[i] = a[(r < rows ? r : rows - 1) * pitch + first + k];
            right[i] = a[(c < columns ? c : columns - 1) * pitch + first + k];
          }
#pragma unroll
          for (int e = 0; e < 16; ++e) sum[e / 4][e % 4] += left[e / 4] * right[e % 4];
        }
#pragma unroll
        for (int e = 0; e < 16; ++e) {
          const int r = row0 + ty + T::kSide * (e / 4), c = column0 + tx + T::kSide * (e % 4);
          if (r < rows && c < columns && c <= r) a[r * pitch + c] -= sum[e / 4][e % 4];
        }
      }
    }
    __syncthreads();
  }
}

/// L_p^T b = z by one warp; element 32 q + lane of z and then of b is value[q] of a lane.
template <class Scalar>
__device__ void back_substitute(const Scalar* factor, int pitch, int p, Scalar (&value)[4]) {
  const int lane = lane_id();
#pragma unroll
  for (int q = 3; q >= 0; --q) {
    for (int l = 31; l >= 0; --l) {
      const int i = 32 * q + l;
      if (i >= p) continue;
      const Scalar solved = __shfl_sync(kFullWarp, value[q], l) / factor[i * pitch + i];
      if (lane == l) value[q] = solved;
#pragma unroll
      for (int s = 0; s <= q; ++s) {
        const int j = 32 * s + lane;
        if (j < i) value[s] -= factor[i * pitch + j] * solved;
      }
    }
  }
}

/// Row `row` of the factored matrix as the lanes' values.
template <class Scalar>
__device__ void take_row(const Scalar* factor, int pitch, int row, int p, Scalar (&value)[4]) {
#pragma unroll
  for (int q = 0; q < 4; ++q) {
    const int j = 32 * q + lane_id();
    value[q] = j < p ? factor[row * pitch + j] : Scalar{0};
  }
}

/// Risk of all p <= n among the sizes from one factorisation; gives how many there are.
template <class T>
__device__ int sweep_below(const SweepArguments& s, const float* x, const float* y, float* tile, float* a, int pitch) {
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
    if (lane_id() == 0) s.risk[blockIdx.x * s.row + s.place[q]] = error + s.noise;
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
  const float* const x = s.x + static_cast<std::size_t>(blockIdx.x) * s.features * n;
  const float* const y = s.y + static_cast<std::size_t>(blockIdx.x) * n;

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
        for (int k = 0; k < count; ++k) u += tile[k * T::kPitch + thread] * (s.variance[grown + k] * s.beta[grown + k]);
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
      m_matrix.for_each(n, [&](int r, int c, float value) { part += (r == c ? 1.0f : 2.0f) * value * alpha[r] * alpha[c]; });
    }
    part = block_sum(part);  // its barriers also keep the next copy of K from overtaking
    if (thread == 0) s.risk[blockIdx.x * s.row + s.place[q]] = signal + part + s.noise;
  }
}

template <class Scalar, class T>
__global__ void __launch_bounds__(T::kThreads) naive_kernel(const SweepArguments s) {
  RM_DYNAMIC_SHARED(float, tile);
  const int n = s.samples, pitch = n | 1, thread = static_cast<int>(threadIdx.x);
  const int p = s.size[blockIdx.x], size = p < n ? p : n;
  Scalar* const a = reinterpret_cast<Scalar*>(tile + kChunk * T::kPitch);
  Scalar* const alpha = a + (n + 2) * pitch;
  const std::size_t trial = blockIdx.y;
  const float* const x = s.x + trial * s.features * n;
  const float* const y = s.y + trial * n;
  float* const beta_hat = s.beta_hat == nullptr ? nullptr : s.beta_hat + (trial * s.row + s.place[blockIdx.x]) * s.features;

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
  if (thread == 0) s.risk[trial * s.row + s.place[blockIdx.x]] = static_cast<float>(error) + s.noise;
}

template <class T>
std::size_t shared_bytes(int n, std::size_t scalar) {
  const auto rows = static_cast<std::size_t>(n);
  return kChunk * T::kPitch * sizeof(float) + ((rows + 2) * (rows | 1) + rows) * scalar;
}

/// The sizes that are (or aren't) to be solved in double.
template <class Target>
SweepArguments arguments_for(const SweepShape& shape, std::span<const int> sizes, const SweepData<Target>& data,
                             DeviceSpan<Target, float> risk, DeviceSpan<Target, float> beta_hat, bool in_double) {
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
  if (shape.isotropic) launch(what, stream, nested_kernel<T, false>, s);
  else launch(what, stream, nested_kernel<T, true>, s);
}

template <class Target, class Use>
void with_tiling(int samples, Use use) {
  if (samples <= 32) use(Tiling<8, 1>{});
  else if (samples <= 64) use(Tiling<16, 1>{});
  else use(Tiling<16, 2>{});
}

}  // namespace

template <class Target>
void minnorm_sweep(Stream<Target>& stream, const SweepShape& shape, std::span<const int> sizes, const SweepData<Target>& data,
                   DeviceSpan<Target, float> risk) {
  check_sweep(shape, sizes, data.x.size(), data.y.size(), data.beta.size(), data.variance.size(), risk.size());
  with_tiling<Target>(shape.samples, [&](auto tiling) {
    using T = decltype(tiling);
    launch_nested<T>(stream, shape, arguments_for<Target>(shape, sizes, data, risk, {}, false));
    launch_naive<double, T>(stream, shape, arguments_for<Target>(shape, sizes, data, risk, {}, true));
  });
}

template <class Target>
void minnorm_sweep_naive(Stream<Target>& stream, const SweepShape& shape, std::span<const int> sizes,
                         const SweepData<Target>& data, DeviceSpan<Target, float> risk, DeviceSpan<Target, float> beta_hat) {
  check_sweep(shape, sizes, data.x.size(), data.y.size(), data.beta.size(), data.variance.size(), risk.size());
  if (!beta_hat.empty() && beta_hat.size() != risk.size() * static_cast<std::size_t>(shape.features)) {
    throw std::invalid_argument("minnorm_sweep: beta_hat has " + std::to_string(beta_hat.size()) + " elements; expected " +
                                std::to_string(risk.size() * static_cast<std::size_t>(shape.features)));
  }
  with_tiling<Target>(shape.samples, [&](auto tiling) {
    using T = decltype(tiling);
    launch_naive<float, T>(stream, shape, arguments_for<Target>(shape, sizes, data, risk, beta_hat, false));
    launch_naive<double, T>(stream, shape, arguments_for<Target>(shape, sizes, data, risk, beta_hat, true));
  });
}

template void minnorm_sweep(Stream<CompiledTarget>&, const SweepShape&, std::span<const int>, const SweepData<CompiledTarget>&,
                            DeviceSpan<CompiledTarget, float>);
template void minnorm_sweep_naive(Stream<CompiledTarget>&, const SweepShape&, std::span<const int>,
                                  const SweepData<CompiledTarget>&, DeviceSpan<CompiledTarget, float>,
                                  DeviceSpan<CompiledTarget, float>);

}  // namespace remeasure::kernels
