// SPDX-License-Identifier: Apache-2.0
#include "kernels/simt/thread.h"

#include <cstdarg>
#include <cstdio>
#include <string>
#include <utility>

#include "kernels/simt/block_runner.h"
#include "kernels/simt/checked.h"

namespace remeasure::simt {

void detail::finish_thread(ThreadState& state) { state.block->thread_returned(state.block->current()); }

void* detail::place_static_shared(SharedSite& site) { return this_thread().block->place_static_shared(site); }

int detail::barrier_sum() { return this_thread().block->barrier_result(); }

void thread_fence(const Site&) {
  std::atomic_thread_fence(std::memory_order_seq_cst);
  check::fence();
}

std::uint32_t active_mask() { return this_thread().block->active_mask(); }

void fail(ErrorKind kind, const char* message, const Site& site) {
  this_thread().block->fail_here(kind, message, {site});
}

int print(const char* format, ...) {
  std::va_list arguments;
  va_start(arguments, format);
  std::va_list again;
  va_copy(again, arguments);
  char text[1024];
  const int length = std::vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  if (length >= static_cast<int>(sizeof text)) {
    std::string longer(static_cast<std::size_t>(length), '\0');
    std::vsnprintf(longer.data(), longer.size() + 1, format, again);
    std::fwrite(longer.data(), 1, longer.size(), stdout);
  } else if (length > 0) {
    std::fwrite(text, 1, static_cast<std::size_t>(length), stdout);
  }
  va_end(again);
  return length;
}

}  // namespace remeasure::simt
