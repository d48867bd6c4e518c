// SPDX-License-Identifier: Apache-2.0
#include "kernels/simt/fiber.h"

#include <cstdint>

#ifdef REMEASURE_SIMT_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

namespace remeasure::simt {
#ifdef REMEASURE_SIMT_ASAN

namespace {
// What the side that is switched to must know of the switch. One per CPU thread.
thread_local Fiber* leaving = nullptr;
thread_local Fiber* entering = nullptr;
}  // namespace

void Fiber::prepare(Stack stack, Entry entry) {
  __asan_unpoison_memory_region(stack.low, stack.bytes);  // frames that an error abandoned
  entry_ = entry;
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
  self->entry_(*self);
}

void Fiber::change(Fiber& from, Fiber& to) {
  leaving = &from;
  entering = &to;
  __sanitizer_start_switch_fiber(&from.fake_stack_, to.stack_low_, to.stack_bytes_);
  swapcontext(&from.context_, &to.context_);
  __sanitizer_finish_switch_fiber(from.fake_stack_, &leaving->stack_low_, &leaving->stack_bytes_);
}

void Fiber::after_jump_to(Fiber& home) {
  __sanitizer_start_switch_fiber(nullptr, home.stack_low_, home.stack_bytes_);
  entering->fake_stack_ = nullptr;  // null above: the fiber that was running has lost it
  __sanitizer_finish_switch_fiber(home.fake_stack_, nullptr, nullptr);
}

#elif defined(REMEASURE_SIMT_OWN_JUMP)

void Fiber::prepare(Stack stack, Entry entry) {
  // As a call leaves it: aligned to 16 bytes below the return address, which is null and ends every
  // backtrace.
  auto top = reinterpret_cast<std::uintptr_t>(stack.low + stack.bytes) / 16 * 16 - 16;
  auto* words = reinterpret_cast<void**>(top);
  words[0] = nullptr;
  words[1] = nullptr;
  words[-1] = nullptr;
  stack_pointer_ = words - 1;
  resume_ = reinterpret_cast<void*>(&Fiber::start);
  frame_pointer_ = nullptr;
  base_pointer_ = reinterpret_cast<void*>(entry);
}

void Fiber::start(Fiber*, Fiber* self) {
  reinterpret_cast<Entry>(self->base_pointer_)(*self);
}

#else

void Fiber::prepare(Stack stack, Entry entry) {
  entry_ = entry;
  context_ = boost::context::detail::make_fcontext(stack.low + stack.bytes, stack.bytes, &Fiber::start);
}

void Fiber::start(boost::context::detail::transfer_t transfer) {
  Fiber** pair = static_cast<Fiber**>(transfer.data);
  Fiber* self = pair[1];
  pair[0]->context_ = transfer.fctx;
  self->entry_(*self);
}

#endif

}  // namespace remeasure::simt
