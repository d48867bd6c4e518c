// SPDX-License-Identifier: Apache-2.0
//
// cp.async. A GPU moves the bytes at any time between the copy and the wait that covers it; a right kernel
// can't tell when. Late moves them at the wait, early at the copy.
#include "kernels/simt/async_copy.h"

#include <fmt/format.h>

#include <cstdint>
#include <cstring>

#include "kernels/simt/block_runner.h"
#include "kernels/simt/checked.h"
#include "kernels/simt/thread.h"

namespace remeasure::simt {
namespace {

void move_bytes(const AsyncCopy& copy) {
  std::memcpy(copy.shared, copy.global, copy.source_bytes);
  std::memset(static_cast<std::byte*>(copy.shared) + copy.source_bytes, 0, copy.bytes - copy.source_bytes);
}

/// Completes the copies of all groups before `end`.
void complete_before(BlockRunner& runner, AsyncCopies& copies, std::uint32_t end) {
  std::size_t done = 0;
  for (; done < copies.pending.size() && copies.pending[done].group < end; ++done) {
    if (runner.options().cp_async == CopyTiming::late) move_bytes(copies.pending[done]);
    check::copy_completed(copies.pending[done]);
  }
  copies.pending.erase(copies.pending.begin(), copies.pending.begin() + static_cast<std::ptrdiff_t>(done));
}

bool aligned(const void* address, std::size_t bytes) {
  return reinterpret_cast<std::uintptr_t>(address) % bytes == 0;
}

}  // namespace

void async_copy(void* shared, const void* global, std::size_t bytes, std::size_t source_bytes,
                const Site& site) {
  BlockRunner& runner = *this_thread().block;
  if ((bytes != 4 && bytes != 8 && bytes != 16) || source_bytes > bytes) {
    runner.fail_here(
        ErrorKind::cp_async,
        fmt::format("cp.async of {} bytes, {} of them read; the sizes are 4, 8 and 16", bytes, source_bytes),
        {site});
  }
  if (!aligned(shared, bytes) || (source_bytes != 0 && !aligned(global, bytes))) {
    runner.fail_here(ErrorKind::misaligned,
                     fmt::format("cp.async of {} bytes needs both addresses aligned to them", bytes), {site});
  }
  if (!is_shared(shared)) {
    runner.fail_here(ErrorKind::cp_async, "the destination of cp.async is not in shared memory", {site});
  }
  Carrier& self = runner.current();
  const AsyncCopy copy{shared,
                       global,
                       static_cast<std::uint32_t>(bytes),
                       static_cast<std::uint32_t>(source_bytes),
                       self.copies.group,
                       site};
  check::copy_issued(copy);
  count(Counter::async_copy_bytes, source_bytes);
  const bool late = runner.options().cp_async == CopyTiming::late;
  if (!late) move_bytes(copy);
  if (late || kChecked) {
    self.copies.pending.push_back(copy);
    runner.expect_return(self.thread);
  }
}

void async_commit() {
  ++this_thread().block->current().copies.group;
}

void async_wait(unsigned pending_groups) {
  BlockRunner& runner = *this_thread().block;
  AsyncCopies& copies = runner.current().copies;
  complete_before(runner, copies, copies.group > pending_groups ? copies.group - pending_groups : 0);
}

void async_wait_all() {
  BlockRunner& runner = *this_thread().block;
  AsyncCopies& copies = runner.current().copies;
  complete_before(runner, copies, copies.group + 1);
}

}  // namespace remeasure::simt
