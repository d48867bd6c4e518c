// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace remeasure::simt {

/// What a launch is counted by. The first nine need the checked build (Engine::checked()); zero otherwise.
/// Scalar operations are counted by the compiled kernel itself: the checked build of g++ on x86-64
/// (kOperationsCounted).
enum class Counter : unsigned {
  loads,  ///< load instructions on global and shared memory
  stores,
  atomics,
  global_bytes_read,  ///< issued: a byte that two threads read counts twice; atomics count as both
  global_bytes_written,
  shared_bytes_read,
  shared_bytes_written,
  distinct_global_bytes_read,  ///< each byte once per launch: the least traffic that a perfect cache allows
  distinct_global_bytes_written,
  barriers,           ///< block barriers opened, once per block
  warp_operations,    ///< completed rendezvous: shuffles, votes, ldmatrix, mma ..., once per warp
  mma_flops,          ///< multiplications and additions of mma, counted by the wrapper
  scalar_flops,       ///< floating-point +, -, *, /, sqrt: 1; fused multiply-add: 2; all other: 0
  special_functions,  ///< calls of exp, log, sin, lgamma, ...: not in scalar_flops
  async_copy_bytes,   ///< cp.async
};
inline constexpr std::size_t kCounters = 15;

/// Sums over the launches of one kernel name.
struct LaunchCounts {
  std::uint64_t launches = 0;
  std::uint64_t blocks = 0;
  std::uint64_t threads = 0;
  std::array<std::uint64_t, kCounters> values{};

  std::uint64_t operator[](Counter counter) const { return values[static_cast<std::size_t>(counter)]; }
  LaunchCounts& operator+=(const LaunchCounts& other);
};

}  // namespace remeasure::simt
