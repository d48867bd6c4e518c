// SPDX-License-Identifier: Apache-2.0
//
// Sums and maxima over the rows or the columns of what a block's threads hold in registers. (A whole block:
// block_sum and block_max in warp.h.) Butterflies inside a warp, then the warps in ascending order: the same
// bits in every run, schedule and thread that gets the result.
//
//   row_sum<64>(x)   threads 64 r .. 64 r + 63 hold row r, a value each; each of them gets the row's sum.
//   column_sums(columns, values, scratch, use)
//                    thread t holds K values of column t % columns; use(column, k, sum) is called once for
//                    each column and k, by some thread of the block: neighbours have neighbouring columns.
//
// All threads of the block call them; the block is whole warps. Rows within a warp need no barrier, all
// others two; then what was written to shared memory before is seen by all, and scratch may be used again.
#pragma once

#include <cstddef>

#include "kernels/device/shared.h"
#include "kernels/device/warp_tile.h"

namespace remeasure {

namespace detail {

/// combine_warps of the kThreads / 32 warps that hold a row; of the whole block where it holds one row.
template <int kThreads, class T, class Combine>
RM_DEVICE inline T combine_warps_of_row(T of_this_warp, Combine combine) {
  static_assert(kThreads % 32 == 0 && kThreads <= 1024);
  constexpr int kWarps = kThreads / 32;
  RM_SHARED(T, of_warp, [32]);
  if (lane_id() == 0) of_warp[warp_id()] = of_this_warp;
  __syncthreads();
  const int first = warp_id() / kWarps * kWarps;
  T result = of_warp[first];
  for (int w = 1; w < kWarps; ++w) result = combine(result, of_warp[first + w]);
  __syncthreads();
  return result;
}

struct Sum {
  template <class T>
  RM_DEVICE T operator()(T a, T b) const {
    return a + b;
  }
};
struct Maximum {
  template <class T>
  RM_DEVICE T operator()(T a, T b) const {
    return a < b ? b : a;
  }
};

template <int K, class T, class Combine, class Use>
RM_DEVICE inline void combine_columns(int columns, const T (&values)[K], T* scratch, Combine combine,
                                      Use use) {
  const int threads = static_cast<int>(blockDim.x * blockDim.y * blockDim.z);
  const int width = columns < 32 ? columns : 32;  // columns of a warp
  // A thread for every column of a warp speaks for it; number n has a part of column n % columns.
  const int speakers = threads / 32 * width, speaker = warp_id() * width + lane_id();
#pragma unroll
  for (int k = 0; k < K; ++k) {
    T of_warp = values[k];
    for (int distance = 16; distance >= width; distance /= 2)
      of_warp = combine(of_warp, __shfl_xor_sync(kFullWarp, of_warp, distance));
    if (lane_id() < width) scratch[k * speakers + speaker] = of_warp;
  }
  __syncthreads();  // now the parts of all warps are there
  for (int i = warp_id() * 32 + lane_id(); i < K * columns; i += threads) {
    const int column = i % columns, k = i / columns;
    const T* const parts = scratch + k * speakers;
    T result = parts[column];
    for (int n = column + columns; n < speakers; n += columns) result = combine(result, parts[n]);
    use(column, k, result);
  }
  __syncthreads();
}

}  // namespace detail

/// kThreads: 1, 2, 4, 8, 16, or a multiple of 32 that divides the block.
template <int kThreads, class T>
RM_DEVICE inline T row_sum(T value) {
  if constexpr (kThreads <= 32)
    return WarpTile<kThreads>::sum(value);
  else
    return detail::combine_warps_of_row<kThreads>(warp_sum(value), detail::Sum{});
}

template <int kThreads, class T>
RM_DEVICE inline T row_max(T value) {
  if constexpr (kThreads <= 32)
    return WarpTile<kThreads>::maximum(value);
  else
    return detail::combine_warps_of_row<kThreads>(warp_max(value), detail::Maximum{});
}

/// Elements of `scratch` (shared memory) that column_sums and column_maxima use in a block of `threads`.
RM_HOST_DEVICE constexpr std::size_t column_scratch(int threads, int columns, int values) {
  return static_cast<std::size_t>(threads / 32 * (columns < 32 ? columns : 32) * values);
}

/// columns: a power of two; the block's threads are a multiple of it.
template <int K, class T, class Use>
RM_DEVICE inline void column_sums(int columns, const T (&values)[K], T* scratch, Use use) {
  detail::combine_columns(columns, values, scratch, detail::Sum{}, use);
}

template <int K, class T, class Use>
RM_DEVICE inline void column_maxima(int columns, const T (&values)[K], T* scratch, Use use) {
  detail::combine_columns(columns, values, scratch, detail::Maximum{}, use);
}

}  // namespace remeasure
