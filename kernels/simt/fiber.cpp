// SPDX-License-Identifier: Apache-2.0
#include "kernels/simt/fiber.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <string>

#ifdef REMEASURE_SIMT_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

namespace remeasure::simt {
namespace {

// Wide enough that a local array of a megabyte that is first touched at its far end still hits the guard of its own
// stack; address space is all it costs.
constexpr std::size_t kGuardBytes = std::size_t{1} << 20;

}  // namespace

#ifdef REMEASURE_SIMT_ASAN

namespace {
// What the side that is switched to must know of the switch. One per CPU thread.
thread_local Fiber* leaving = nullptr;
thread_local Fiber* entering = nullptr;
}  // namespace

void Fiber::prepare(Stack stack, Entry entry, void* argument) {
  __asan_unpoison_memory_region(stack.low, stack.bytes);  // frames that an error abandoned
  entry_ = entry;
  argument_ = argument;
  stack_low_ = stack.low;
  stack_bytes_ = stack.bytes;
  getcontext(&context_);
  context_.uc_stack.ss_sp = stack.low;
  context_.uc_stack.ss_size = stack.bytes;
  context_.uc_link = nullptr;
  makecontext(&context_, reinterpret_cast<void (*)()>(&Fiber::start), 0);
}

void Fiber::start() {
  Fiber* self = entering;
  // A fiber that is prepared again begins with the fake stack of its earlier life, if it has one.
  __sanitizer_finish_switch_fiber(self->fake_stack_, &leaving->stack_low_, &leaving->stack_bytes_);
  self->entry_(self->argument_);
}

void Fiber::change(Fiber& from, Fiber& to) {
  leaving = &from;
  entering = &to;
  __sanitizer_start_switch_fiber(&from.fake_stack_, to.stack_low_, to.stack_bytes_);
  swapcontext(&from.context_, &to.context_);
  __sanitizer_finish_switch_fiber(from.fake_stack_, &leaving->stack_low_, &leaving->stack_bytes_);
}

void Fiber::before_jump_to(Fiber& home) {
  __sanitizer_start_switch_fiber(nullptr, home.stack_low_, home.stack_bytes_);
}

void Fiber::after_jump_to(Fiber& home) { __sanitizer_finish_switch_fiber(home.fake_stack_, nullptr, nullptr); }

#else

void Fiber::prepare(Stack stack, Entry entry, void* argument) {
  entry_ = entry;
  argument_ = argument;
  context_ = boost::context::detail::make_fcontext(stack.low + stack.bytes, stack.bytes, &Fiber::start);
}

void Fiber::start(boost::context::detail::transfer_t transfer) {
  Fiber** pair = static_cast<Fiber**>(transfer.data);
  Fiber* self = pair[1];
  pair[0]->context_ = transfer.fctx;
  self->entry_(self->argument_);
}

#endif

StackPool::StackPool(std::size_t stack_bytes) {
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  stack_bytes_ = (stack_bytes + page - 1) / page * page;
  if (stack_bytes_ < 4 * page) stack_bytes_ = 4 * page;
}

StackPool::~StackPool() {
  for (std::byte* chunk : chunks_) munmap(chunk, kChunkStacks * (kGuardBytes + stack_bytes_));
}

Stack StackPool::add() {
  const std::size_t pitch = kGuardBytes + stack_bytes_;
  const auto explain = [&](const char* call) {
    return std::runtime_error(std::string("simt: no memory for the stack of CUDA thread ") + std::to_string(count_) +
                              " (" + call + ": " + std::strerror(errno) +
                              "); use fewer workers or smaller stacks, or raise vm.max_map_count");
  };
  if (count_ == chunks_.size() * kChunkStacks) {
    void* chunk = mmap(nullptr, kChunkStacks * pitch, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (chunk == MAP_FAILED) throw explain("mmap");
    chunks_.push_back(static_cast<std::byte*>(chunk));
  }
  std::byte* low = chunks_.back() + count_ % kChunkStacks * pitch + kGuardBytes;
  if (mprotect(low, stack_bytes_, PROT_READ | PROT_WRITE) != 0) throw explain("mprotect");
  // All stacks begin at the same place in a page, so their tops would compete for the same few cache sets:
  // shift each by some lines.
  const std::size_t colour = count_ * 5 % 32 * 128;
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
