// SPDX-License-Identifier: Apache-2.0
//
// A window of 16 rows by CUDA cores, for kernels that need one beside tensor cores. Device code, for .cu
// files.
#pragma once

#include "kernels/device/kernel.h"
#include "kernels/graphs/row_windows.h"

namespace remeasure::kernels {

inline constexpr int kSpmmThreads = 128;

/// Y = A X for the block's window and kColumns columns of X (16, 32, 64 or 128) from column0 on, by four
/// warps, a row at a time each. kColumns / 4 lanes read a row of X as float4; where that leaves lanes over,
/// they take other edges of the same row.
template <int kColumns>
RM_DEVICE void csr_window(long long window, long long rows, int dim, int column0,
                          const int* __restrict__ row_pointers, const int* __restrict__ column_indices,
                          const float* __restrict__ values, const float* __restrict__ x,
                          float* __restrict__ y) {
  constexpr int kLanes = kColumns / 4, kGroups = 32 / kLanes;
  const int column = column0 + 4 * (lane_id() % kLanes);
  const bool inside = column < dim;
  for (int r = warp_id(); r < kWindowRows; r += kSpmmThreads / 32) {
    const long long row = window * kWindowRows + r;
    if (row >= rows) break;
    const int end = row_pointers[row + 1];
    float4 sum = make_float4(0, 0, 0, 0);
#pragma unroll 4
    for (int e = row_pointers[row] + lane_id() / kLanes; e < end; e += kGroups) {
      if (!inside) continue;
      const float4 v =
          *reinterpret_cast<const float4*>(x + static_cast<long long>(column_indices[e]) * dim + column);
      const float weight = values == nullptr ? 1.0f : values[e];
      sum.x = fmaf(weight, v.x, sum.x);
      sum.y = fmaf(weight, v.y, sum.y);
      sum.z = fmaf(weight, v.z, sum.z);
      sum.w = fmaf(weight, v.w, sum.w);
    }
#pragma unroll
    for (int distance = kLanes; distance < 32; distance *= 2) {
      sum.x += __shfl_xor_sync(kFullWarp, sum.x, distance);
      sum.y += __shfl_xor_sync(kFullWarp, sum.y, distance);
      sum.z += __shfl_xor_sync(kFullWarp, sum.z, distance);
      sum.w += __shfl_xor_sync(kFullWarp, sum.w, distance);
    }
    if (lane_id() < kLanes && inside) *reinterpret_cast<float4*>(y + row * dim + column) = sum;
  }
}

}  // namespace remeasure::kernels
