// SPDX-License-Identifier: Apache-2.0
//
// What the engine tells the checks. In the fast build every call is empty and vanishes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "kernels/simt/async_copy.h"
#include "kernels/simt/counts.h"

namespace remeasure::simt {

class BlockRunner;
struct LaunchCounts;

#ifdef REMEASURE_SIMT_CHECKED
inline constexpr bool kChecked = true;
#else
inline constexpr bool kChecked = false;
#endif

namespace check {
#ifdef REMEASURE_SIMT_CHECKED
void register_memory(const void* owner, const void* address, std::size_t bytes, std::string_view name,
                     bool initialised, std::size_t red_zone_bytes);
void unregister_memory(const void* address);
void mark_initialised(const void* address, std::size_t bytes);
bool is_initialised(const void* address, std::size_t bytes);
void begin_launch(BlockRunner& runner, bool cooperative);
void end_launch(BlockRunner& runner);
void begin_block(BlockRunner& runner);
/// Of a cooperative launch: a block that was begun goes on, and all of them stood at a grid barrier.
void continue_block(BlockRunner& runner);
void grid_barrier_opened();
void barrier_opened(BlockRunner& runner);
void warp_met(unsigned warp, std::uint32_t mask);
void fence();
/// The copy is issued: source and place are checked, and nobody may touch the place until it is completed.
void copy_issued(const AsyncCopy& copy);
void copy_completed(const AsyncCopy& copy);
#else
inline void register_memory(const void*, const void*, std::size_t, std::string_view, bool, std::size_t) {}
inline void unregister_memory(const void*) {}
inline void mark_initialised(const void*, std::size_t) {}
inline bool is_initialised(const void*, std::size_t) {
  return true;
}
inline void begin_launch(BlockRunner&, bool) {}
inline void end_launch(BlockRunner&) {}
inline void begin_block(BlockRunner&) {}
inline void continue_block(BlockRunner&) {}
inline void grid_barrier_opened() {}
inline void barrier_opened(BlockRunner&) {}
inline void warp_met(unsigned, std::uint32_t) {}
inline void fence() {}
inline void copy_issued(const AsyncCopy&) {}
inline void copy_completed(const AsyncCopy&) {}
#endif
}  // namespace check
}  // namespace remeasure::simt
