// SPDX-License-Identifier: Apache-2.0
//
// Cooperative launches: all blocks of the grid are resident at once and may wait for each other at a grid
// barrier. For kernels/device/cooperative.h and the engine's tests; apart from thread.h and engine.h, which
// every kernel includes.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/simt/engine.h"
#include "kernels/simt/thread.h"

namespace remeasure::simt {

namespace detail {
/// Taken back by the next Engine::launch of this CPU thread.
extern constinit thread_local bool next_launch_cooperative;
Next arrive_at_grid(Site site);
}  // namespace detail

/// Engine::launch with all blocks resident: their threads exist at the same time, on the calling CPU thread,
/// and the blocks take turns. A seed chooses whose turn it is and lets blocks give theirs away at block
/// barriers.
template <class Body>
void launch_cooperative(Engine& engine, const LaunchInfo& info, const Body& body) {
  detail::next_launch_cooperative = true;
  engine.launch(info, body);
}

/// Waits until every thread of every block stands at the same site; what any of them did before is ordered
/// before what any does after. A block that has returned, or waits at another site, is an error. Only in
/// cooperative launches.
inline void grid_barrier(const Site& site = Site::here()) {
  detail::go_to(detail::arrive_at_grid(site));
}

/// How many blocks of this shape a GPU of compute capability 9.0 with 132 multiprocessors (H100 SXM, H200)
/// holds at once, by its threads, shared memory and blocks a multiprocessor; registers and static shared
/// memory are not known here.
std::uint64_t resident_blocks(Dim3 block, std::size_t shared_bytes);

}  // namespace remeasure::simt
