// SPDX-License-Identifier: Apache-2.0
//
// A reduction over many blocks in one launch: each block writes its part to memory, and the one that is done
// last combines them, in an order that doesn't depend on which it was. (CUDA C++ Programming Guide, "Memory
// Fence Functions": the message passing of its sum example.)
//
//   parts[blockIdx.x] = block_sum(mine);
//   if (is_last_block(&tickets[0], gridDim.x)) { ... all threads: read parts[0 .. gridDim.x) ... }
#pragma once

#include "kernels/device/atomics.h"
#include "kernels/device/shared.h"
#include "kernels/device/warp.h"

namespace remeasure {

/// True in all threads of the block that takes the last of `blocks` tickets; what the others wrote before is
/// visible to it. All threads of the block call it. The ticket must be 0 before the launch, and is 0 after
/// it.
RM_DEVICE inline bool is_last_block(unsigned int* ticket, unsigned int blocks) {
  RM_SHARED(bool, last, );
  __syncthreads();  // the block's part is written
  if (lane_id() == 0 && warp_id() == 0) {
    __threadfence();
    last = atomicAdd(ticket, 1u) == blocks - 1;
    if (last) atomicExch(ticket, 0u);
    __threadfence();
  }
  __syncthreads();
  return last;
}

}  // namespace remeasure
