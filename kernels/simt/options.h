// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

namespace remeasure::simt {

/// When the bytes of a cp.async move. A kernel is right only if it is right with both.
enum class CopyTiming {
  late,   ///< at the wait that covers them: a forgotten wait leaves the old bytes
  early,  ///< at the copy instruction: a buffer that is overwritten too soon is seen
};

/// How an Engine runs kernels. The defaults are the fastest settings that are still deterministic inside a
/// block.
struct EngineOptions {
  /// 0 runs threads and blocks in ascending order. Any other value permutes blocks, warps and lanes, on one
  /// worker, so that the same seed is the same run.
  std::uint64_t schedule_seed = 0;
  /// CPU threads that run blocks; 0 takes all cores. The checked build always uses one.
  int workers = 0;
  /// Stack of one CUDA thread, rounded up to whole pages. Below it lies a guard.
  std::size_t stack_bytes = 64 * 1024;
  CopyTiming cp_async = CopyTiming::late;
  /// Accept kernels in which threads return while others wait at a block barrier. NVIDIA hardware tolerates
  /// it, the programming guide does not allow it. A single launch is permitted with LaunchInfo.
  bool exited_threads_count_as_arrived = false;
  /// A launch ends with an error (deadlock) when a thread has computed this long, in seconds of CPU time, and
  /// in all of it no thread of its block began, waited or returned: it spins on memory that another would
  /// have to write, as the threads of a block run one at a time and change only where they wait. 0: never.
  double spin_limit_seconds = 60;
  /// Shared memory that a block may ask for: static and dynamic together, as sm_90 with opt-in.
  std::size_t shared_limit_bytes = 227 * 1024;
};

}  // namespace remeasure::simt
