// SPDX-License-Identifier: Apache-2.0
#include "kernels/simt/stack_pool.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

namespace remeasure::simt {
namespace {

// Kernels are compiled with -fstack-clash-protection, so a large frame touches each of its pages in turn and
// can't step over a guard. The odd page keeps the tops of stacks of 2^n bytes out of each other's TLB sets,
// which makes switches among many of them twice as fast.
constexpr std::size_t kGuardBytes = 64 * 1024 + 4096;

}  // namespace

StackPool::StackPool(std::size_t stack_bytes) {
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  stack_bytes_ = (stack_bytes + page - 1) / page * page;
  if (stack_bytes_ < 4 * page) stack_bytes_ = 4 * page;
}

StackPool::~StackPool() {
  const std::size_t bytes = kChunkStacks * (kGuardBytes + stack_bytes_);
  for (std::byte* chunk : chunks_) {
#ifdef __SANITIZE_ADDRESS__
    __asan_unpoison_memory_region(
        chunk, bytes);  // frames that an error abandoned: whatever is mapped here next has none
#endif
    munmap(chunk, bytes);
  }
}

Stack StackPool::add() {
  const std::size_t pitch = kGuardBytes + stack_bytes_;
  const auto explain = [&](const char* call) {
    return std::runtime_error(
        fmt::format("no memory for the stack of CUDA thread {} ({}: {}); use fewer workers or "
                    "smaller stacks, or raise vm.max_map_count",
                    count_, call, std::strerror(errno)));
  };
  if (count_ == chunks_.size() * kChunkStacks) {
    void* chunk =
        mmap(nullptr, kChunkStacks * pitch, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (chunk == MAP_FAILED) throw explain("mmap");
    chunks_.push_back(static_cast<std::byte*>(chunk));
  }
  std::byte* low = chunks_.back() + count_ % kChunkStacks * pitch + kGuardBytes;
  if (mprotect(low, stack_bytes_, PROT_READ | PROT_WRITE) != 0) throw explain("mprotect");
  // All stacks begin at the same place in a page, so their tops would compete for the same few cache sets:
  // shift each by some lines, but so few that the hot part stays in one page.
  const std::size_t colour = count_ * 7 % 40 * 64;
  ++count_;
  return {low, stack_bytes_ - colour};
}

long StackPool::guard_of(const void* address) const {
  const std::size_t pitch = kGuardBytes + stack_bytes_;
  const auto* place = static_cast<const std::byte*>(address);
  for (std::size_t chunk = 0; chunk < chunks_.size(); ++chunk) {
    if (place < chunks_[chunk] || place >= chunks_[chunk] + kChunkStacks * pitch) continue;
    const auto offset = static_cast<std::size_t>(place - chunks_[chunk]);
    if (offset % pitch < kGuardBytes) return static_cast<long>(chunk * kChunkStacks + offset / pitch);
  }
  return -1;
}

}  // namespace remeasure::simt
