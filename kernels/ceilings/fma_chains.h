// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

#include "kernels/device/device.h"

namespace remeasure::kernels {

inline constexpr int kFmaThreads = 256;  ///< of a block
inline constexpr int kFmaChains = 8;     ///< of a thread: latency 4 at two issues a cycle

/// Floating-point operations of one launch.
constexpr double fma_chains_flops(int blocks, int steps) {
  return 2.0 * kFmaThreads * kFmaChains * static_cast<double>(blocks) * steps;
}

/// Chain c of thread t starts at x = t + c / 8 and takes `steps` steps x = fma(x, factor, addend); out[t] is
/// the sum of the thread's chains.  out: [blocks * kFmaThreads]. T: float, double
template <class Target, class T>
void fma_chains(Stream<Target>& stream, int blocks, int steps, T factor, T addend, DeviceSpan<Target, T> out);

}  // namespace remeasure::kernels
