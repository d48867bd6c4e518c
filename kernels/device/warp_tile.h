// SPDX-License-Identifier: Apache-2.0
//
// A tile: 32, 16, 8, 4, 2 or 1 neighbouring lanes of a warp that work on one item (a row of a sparse matrix,
// say). All exchanges stay inside the tile, and tiles of one warp may run apart: each names only its own
// lanes.
#pragma once

#include "kernels/device/kernel_site.h"
#include "kernels/device/warp.h"

namespace remeasure {

template <int Size>
struct WarpTile {
  static_assert(Size == 1 || Size == 2 || Size == 4 || Size == 8 || Size == 16 || Size == 32);
  static constexpr int kSize = Size;

  /// The calling thread's place in its tile.
  RM_DEVICE static int rank() { return lane_id() % Size; }
  /// Which tile of the block this is.
  RM_DEVICE static int index_in_block() { return warp_id() * (32 / Size) + lane_id() / Size; }
  RM_DEVICE static unsigned int mask() {
    if constexpr (Size == 32) {
      return kFullWarp;
    } else {
      return ((1u << Size) - 1u) << (lane_id() / Size * Size);
    }
  }

  /// The value of the thread with this rank.
  template <class T>
  RM_DEVICE static T broadcast(T value, int from_rank) {
    return __shfl_sync(mask(), value, from_rank, Size);
  }
  template <class T>
  RM_DEVICE static T shift_down(T value, unsigned int distance) {
    return __shfl_down_sync(mask(), value, distance, Size);
  }
  template <class T>
  RM_DEVICE static T shift_up(T value, unsigned int distance) {
    return __shfl_up_sync(mask(), value, distance, Size);
  }
  /// Bit r is set if the thread of rank r brought true.
  RM_DEVICE static unsigned int ballot(bool predicate) {
    return (__ballot_sync(mask(), predicate) & mask()) >> (lane_id() / Size * Size);
  }
  RM_DEVICE static bool any(bool predicate) { return __any_sync(mask(), predicate) != 0; }
  RM_DEVICE static bool all(bool predicate) { return __all_sync(mask(), predicate) != 0; }
  RM_DEVICE static void synchronize() { __syncwarp(mask()); }

  /// Sum over the tile, the same bits in each thread.
  template <class T>
  RM_DEVICE static T sum(T value) {
    for (int distance = Size / 2; distance > 0; distance /= 2)
      value += __shfl_xor_sync(mask(), value, distance, Size);
    return value;
  }
  template <class T>
  RM_DEVICE static T maximum(T value) {
    for (int distance = Size / 2; distance > 0; distance /= 2) {
      const T other = __shfl_xor_sync(mask(), value, distance, Size);
      value = value < other ? other : value;
    }
    return value;
  }
};

}  // namespace remeasure
