// SPDX-License-Identifier: Apache-2.0
//
// Atomics that are counted in every build. The engine's checked build sees all atomic operations by itself;
// its fast build, which the program runs, sees none. A kernel whose atomics are part of a claim calls these.
#pragma once

#include "kernels/device/atomics.h"
#include "kernels/device/qualifiers.h"

#ifndef __CUDACC__
#include "kernels/simt/engine.h"
#include "kernels/simt/thread.h"
#endif

namespace remeasure {

/// atomicAdd; one of simt::Counter::atomics.
template <class T>
RM_DEVICE inline void counted_atomic_add(T* address, T value) {
  atomicAdd(address, value);
#ifndef __CUDACC__
  if (!simt::Engine::checked()) simt::count(simt::Counter::atomics, 1);
#endif
}

}  // namespace remeasure
