// SPDX-License-Identifier: Apache-2.0
//
// Softmax over scores that arrive in tiles (Milakov and Gimelshein, "Online normalizer calculation for
// softmax", 2018), as attention uses it (Dao et al., FlashAttention, NeurIPS 2022): maximum and sum so far,
// and the factor by which everything summed before shrinks when the maximum grows. For fragments of m16n8
// accumulators, whose rows are spread over four lanes. Device code, for .cu files.
#pragma once

#include "kernels/device/kernel.h"

namespace remeasure::kernels {

/// Of the two rows of a lane's registers: r / 2.
struct OnlineSoftmax {
  static constexpr float kLog2E = 1.44269504f;
  float largest[2] = {-INFINITY, -INFINITY};  // of the scores so far, times log2(e)
  float sum[2] = {0, 0};                      // this lane's share

  /// Turns scores (times `scale`; -inf where masked) into weights relative to the new maximum, adds them up,
  /// and gives the factors for what was summed before.
  template <int kTiles>
  RM_DEVICE void add(float (&scores)[kTiles][4], float scale, float (&shrink)[2]) {
    const float to_log2 = scale * kLog2E;
#pragma unroll
    for (int row = 0; row < 2; ++row) {
      float now = -INFINITY;
#pragma unroll
      for (int tile = 0; tile < kTiles; ++tile)
        now = fmaxf(now, fmaxf(scores[tile][2 * row], scores[tile][2 * row + 1]));
      now = fmaxf(now, __shfl_xor_sync(kFullWarp, now, 1));
      now = fmaxf(now, __shfl_xor_sync(kFullWarp, now, 2));
      const float before = largest[row];
      largest[row] = fmaxf(before, now * to_log2);
      // Nothing seen yet: any finite reference will do, and keeps -inf - -inf out.
      const float reference = largest[row] == -INFINITY ? 0.0f : largest[row];
      shrink[row] = exp2f(before - reference);
      sum[row] *= shrink[row];
#pragma unroll
      for (int tile = 0; tile < kTiles; ++tile) {
#pragma unroll
        for (int r = 2 * row; r < 2 * row + 2; ++r) {
          scores[tile][r] = exp2f(scores[tile][r] * to_log2 - reference);
          sum[row] += scores[tile][r];
        }
      }
    }
  }

  /// Sum over the whole row, the same in its four lanes.
  RM_DEVICE float total(int row) const {
    float value = sum[row];
    value += __shfl_xor_sync(kFullWarp, value, 1);
    value += __shfl_xor_sync(kFullWarp, value, 2);
    return value;
  }
  /// ln sum exp of the row's scaled scores, from total(row).
  RM_DEVICE float log_sum_exp(int row, float total_of_row) const {
    return (largest[row] + log2f(total_of_row)) * (1.0f / kLog2E);
  }
};

}  // namespace remeasure::kernels
