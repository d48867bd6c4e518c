// SPDX-License-Identifier: Apache-2.0
//
// Warp operations: the toolkit's under nvcc, the same names and rules on the SIMT engine (CUDA C++
// Programming Guide, "Warp Vote Functions", "Warp Match Functions", "Warp Reduce Functions", "Warp Shuffle
// Functions"). Below both: sums and maxima of a warp and of a block.
#pragma once

#ifndef __CUDACC__
#include "kernels/device/warp_host.h"
#endif
#include "kernels/device/kernel_site.h"
#include "kernels/device/shared.h"

namespace remeasure {

inline constexpr unsigned int kFullWarp = 0xffffffffu;

/// The calling thread's place in its warp. CUDA numbers threads x first, then y, then z.
RM_DEVICE inline int lane_id() {
  return static_cast<int>((threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z)) % 32u);
}
/// The calling thread's warp in its block.
RM_DEVICE inline int warp_id() {
  return static_cast<int>((threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z)) / 32u);
}

/// Sum over the 32 lanes, the same bits in each of them: butterfly, distance 16 down to 1.
template <class T>
RM_DEVICE inline T warp_sum(T value) {
  for (int distance = 16; distance > 0; distance /= 2) value += __shfl_xor_sync(kFullWarp, value, distance);
  return value;
}

template <class T>
RM_DEVICE inline T warp_max(T value) {
  for (int distance = 16; distance > 0; distance /= 2) {
    const T other = __shfl_xor_sync(kFullWarp, value, distance);
    value = value < other ? other : value;
  }
  return value;
}

namespace detail {

/// Stage two of a block reduction, in shared memory: each thread combines the warps' results in the same
/// order, so all get the same bits. The barrier at the end lets the scratch be used again at once.
template <class T, class Combine>
RM_DEVICE inline T combine_warps(T of_this_warp, Combine combine) {
  RM_SHARED(T, of_warp, [32]);
  const int warps = static_cast<int>((blockDim.x * blockDim.y * blockDim.z + 31u) / 32u);
  if (lane_id() == 0) of_warp[warp_id()] = of_this_warp;
  __syncthreads();
  T result = of_warp[0];
  for (int w = 1; w < warps; ++w) result = combine(result, of_warp[w]);
  __syncthreads();
  return result;
}

}  // namespace detail

/// Sum over the block, the same bits in every thread. All threads of the block call it; the block is whole
/// warps.
template <class T>
RM_DEVICE inline T block_sum(T value) {
  return detail::combine_warps(warp_sum(value), [](T a, T b) { return a + b; });
}

template <class T>
RM_DEVICE inline T block_max(T value) {
  return detail::combine_warps(warp_max(value), [](T a, T b) { return a < b ? b : a; });
}

}  // namespace remeasure
