// SPDX-License-Identifier: Apache-2.0
//
// The blocking kernel of StreamGate (timing.h). For Cuda alone: on Simt a kernel is done when its launch
// returns, so one that waits for the host would wait for ever, and there is nothing to time.
#include <cuda_runtime.h>

#include "kernels/device/gate_kernel.h"

namespace remeasure {
namespace {

__device__ unsigned long long nanoseconds_now() {
  unsigned long long now;
  asm volatile("mov.u64 %0, %globaltimer;" : "=l"(now));
  return now;
}

__global__ void gate_kernel(GateFlags* flags, unsigned long long nanoseconds) {
  const unsigned long long begin = nanoseconds_now();
  while (flags->open == 0) {
    if (nanoseconds_now() - begin > nanoseconds) {
      flags->timed_out = 1;
      __threadfence_system();
      return;
    }
  }
}

}  // namespace

int launch_gate_kernel(GateFlags* flags, unsigned long long nanoseconds, void* stream) {
  gate_kernel<<<1, 1, 0, static_cast<cudaStream_t>(stream)>>>(flags, nanoseconds);
  return static_cast<int>(cudaGetLastError());
}

}  // namespace remeasure
