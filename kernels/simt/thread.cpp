// SPDX-License-Identifier: Apache-2.0
#include "kernels/simt/thread.h"

#include "kernels/simt/block_runner.h"
#include "kernels/simt/checked.h"

namespace remeasure::simt {

void detail::finish_thread(ThreadState& state) {
  state.block->thread_returned(state.block->current());
}

void* detail::place_static_shared(SharedSite& site) {
  return this_thread().block->place_static_shared(site);
}

int detail::barrier_sum() {
  return this_thread().block->barrier_result();
}

void thread_fence(const Site&) {
  std::atomic_thread_fence(std::memory_order_seq_cst);
  check::fence();
}

std::uint32_t active_mask() {
  return this_thread().block->active_mask();
}

void fail(ErrorKind kind, const char* message, const Site& site) {
  this_thread().block->fail_here(kind, message, {site});
}

}  // namespace remeasure::simt
