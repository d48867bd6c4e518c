// SPDX-License-Identifier: Apache-2.0
//
// Linear recurrences over time, in parallel (Blelloch, "Prefix sums and their applications", 1990; here with
// the operator of Martin and Cundy, "Parallelizing linear recurrent neural nets over sequence length", ICLR
// 2018):
//
//   state = 0; for (t = 0; t < steps; ++t) { state = step(state, x[t]); use(t, state); }
//
// for 32 neighbouring channels, one per lane of a warp. The warps of a block share a tile of time: each runs
// its own chunk from zero, then the chunks' last states are combined in log2(warps) rounds, then each runs
// its chunk again from the state that precedes it. Inputs stay in registers between the two runs, so memory
// is read once. What is used of a recurrence:
//
//   struct Recurrence {
//     using State = ...;                                    // trivially copyable; State{} is zero
//     State step(State before, float input) const;          // linear in both
//     State across(State before, int level) const;          // `before` after 2^level chunks of zero inputs
//     static State sum(State, State);
//   };
//
// Dependent steps per tile: 2 * kStepsPerThread + log2(warps), instead of the tile's kStepsPerThread * warps.
#pragma once

#include "kernels/device/kernel.h"

namespace remeasure::kernels {

/// kWarps (a power of two) chunks of kSteps time steps.
template <class Recurrence, int kSteps, int kWarps>
struct ChunkedScan {
  static_assert(kWarps >= 1 && kWarps <= 32 && (kWarps & (kWarps - 1)) == 0);
  using State = typename Recurrence::State;
  static constexpr int kTile = kSteps * kWarps;  ///< time steps of one call

  /// Called by all 32 * kWarps threads of the block, x = lane, warp = chunk. `inputs` are the thread's own
  /// steps, zero beyond the end; `carry` is the state before the tile, the same for all warps of a lane, and
  /// becomes the state after it. Calls use(i, state) for the steps i of the thread's chunk.
  template <class Use>
  RM_DEVICE static void run(const Recurrence& recurrence, const float (&inputs)[kSteps], State& carry,
                            Use use) {
    // Two buffers, so that one barrier a round is enough.
    RM_SHARED(State, ends, [2][kWarps][32]);
    const int lane = lane_id();
    const int warp = warp_id();
    State end = warp == 0 ? carry : State{};
#pragma unroll
    for (int i = 0; i < kSteps; ++i) end = recurrence.step(end, inputs[i]);
    int buffer = 0;
    ends[buffer][warp][lane] = end;
    __syncthreads();
    int level = 0;
#pragma unroll
    for (int distance = 1; distance < kWarps; distance *= 2, ++level) {
      if (warp >= distance) {
        const State earlier = ends[buffer][warp - distance][lane];
        end = Recurrence::sum(recurrence.across(earlier, level), end);
      }
      buffer ^= 1;
      ends[buffer][warp][lane] = end;
      __syncthreads();
    }
    State state = carry;
    if (warp > 0) {
      const State before = ends[buffer][warp - 1][lane];
      state = before;
    }
    const State last = ends[buffer][kWarps - 1][lane];
    carry = last;
#pragma unroll
    for (int i = 0; i < kSteps; ++i) {
      state = recurrence.step(state, inputs[i]);
      use(i, state);
    }
    __syncthreads();  // the next tile writes the buffer that slower warps still read
  }
};

}  // namespace remeasure::kernels
