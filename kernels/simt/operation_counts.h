// SPDX-License-Identifier: Apache-2.0
//
// Floating-point operations, which no hook sees: in the checked build the compiled kernels count them
// themselves. Their assembly gets an addition to one of two variables after each straight run of instructions
// that computes anything (kernels/simt/counting/); the kernels' sources know nothing of it.
#pragma once

#include <array>
#include <cstdint>

#include "kernels/simt/counts.h"

namespace remeasure::simt {

#ifdef REMEASURE_COUNTS_OPERATIONS
inline constexpr bool kOperationsCounted = true;
#else
inline constexpr bool kOperationsCounted = false;
#endif

/// Around a launch, on the thread that runs its blocks: the checked build has no other worker.
void begin_operations();
void end_operations(std::array<std::uint64_t, kCounters>& counters);

}  // namespace remeasure::simt
