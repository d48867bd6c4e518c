// SPDX-License-Identifier: Apache-2.0
//
// Cholesky factorisation of a matrix of up to 128 rows by one block: the matrix is gathered in registers,
// factored in shared memory, and solved by a warp. For kernel sources; shared by papers that solve many small
// systems.
//
//   for (c = 0; c < columns; ++c)                      right-looking, here with panels of 16 columns:
//     a[c][c] = sqrt(a[c][c])                          a warp factors the diagonal block,
//     for (r > c) a[r][c] /= a[c][c]                   a thread takes a row of the panel,
//     for (r > c, c < j <= r) a[r][j] -= a[r][c] a[j][c]   all threads the trailing 4x4 tiles: three barriers
//     a panel
#pragma once

#include "kernels/device/kernel.h"

namespace remeasure::kernels {

inline constexpr int kPanel = 16;

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

  RM_DEVICE void clear() {
#pragma unroll
    for (int t = 0; t < T::kTiles; ++t) {
#pragma unroll
      for (int e = 0; e < 16; ++e) value[t][e / 4][e % 4] = 0;
    }
  }

  /// += weight * row row^T for one row of the tile in shared memory.
  RM_DEVICE void add_outer(const float* row, Scalar weight) {
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
  RM_DEVICE void for_each(int size, Use use) const {
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

/// Cholesky of the leading columns x columns block of `a`, in place, lower triangle; the rows beyond, up to
/// `rows`, become b L^-T, which is (L^-1 b^T)^T. All threads of the block call it.
template <class T, class Scalar>
RM_DEVICE void factor(Scalar* a, int pitch, int columns, int rows) {
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
RM_DEVICE void back_substitute(const Scalar* factor, int pitch, int p, Scalar (&value)[4]) {
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
RM_DEVICE void take_row(const Scalar* factor, int pitch, int row, int p, Scalar (&value)[4]) {
#pragma unroll
  for (int q = 0; q < 4; ++q) {
    const int j = 32 * q + lane_id();
    value[q] = j < p ? factor[row * pitch + j] : Scalar{0};
  }
}

}  // namespace remeasure::kernels
