// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/device/shared.h"
#include "kernels/device/warp.h"

namespace remeasure::kernels {

/// Sum of `value` over the threads before this one; `total` is the sum over the block. All threads of the
/// block call it; the block is whole warps. Two barriers: what was written to shared memory before is seen by
/// all after it.
template <class T>
RM_DEVICE inline T block_exclusive_sum(T value, T& total) {
  RM_SHARED(T, of_warp, [32]);
  T inclusive = value;
  for (unsigned distance = 1; distance < 32; distance *= 2) {
    const T other = __shfl_up_sync(kFullWarp, inclusive, distance);
    if (lane_id() >= static_cast<int>(distance)) inclusive += other;
  }
  if (lane_id() == 31) of_warp[warp_id()] = inclusive;
  __syncthreads();
  const int warps = static_cast<int>(blockDim.x / 32);
  T before = 0, sum = 0;
  for (int w = 0; w < warps; ++w) {
    if (w == warp_id()) before = sum;
    sum += of_warp[w];
  }
  __syncthreads();
  total = sum;
  return before + inclusive - value;
}

}  // namespace remeasure::kernels
