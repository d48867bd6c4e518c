// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace remeasure {

/// In mapped host memory: written by one side, read by the other.
struct GateFlags {
  volatile int open = 0;
  volatile int timed_out = 0;
};

/// Enqueues the kernel on the stream (a cudaStream_t). Returns the error of the launch (a cudaError_t).
int launch_gate_kernel(GateFlags* flags, unsigned long long nanoseconds, void* stream);

}  // namespace remeasure
