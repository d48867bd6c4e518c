// SPDX-License-Identifier: Apache-2.0
//
// Fibers: a stack and a place on it. Boost.Context's bare jump, which saves only what a call preserves; under
// AddressSanitizer ucontext, with the announcements that let it follow the switch.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#define REMEASURE_SIMT_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define REMEASURE_SIMT_ASAN 1
#endif
#endif

#ifdef REMEASURE_SIMT_ASAN
#include <ucontext.h>
#else
#include <boost/context/detail/fcontext.hpp>
#endif

namespace remeasure::simt {

/// A fiber's memory: [low, low + bytes), growing down.
struct Stack {
  std::byte* low = nullptr;
  std::size_t bytes = 0;
};

class Fiber {
 public:
  using Entry = void (*)(void* argument);

  Fiber() = default;
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  /// Next time it is switched to, it calls entry(argument), which must not return.
  void prepare(Stack stack, Entry entry, void* argument);

  /// Leaves `from`, which continues here when it is switched to again.
  static void change(Fiber& from, Fiber& to);
  /// Announces to sanitizers that a longjmp to `home` follows, or has just happened.
  static void before_jump_to(Fiber& home);
  static void after_jump_to(Fiber& home);

 private:
#ifdef REMEASURE_SIMT_ASAN
  static void start();
  ucontext_t context_{};
  void* fake_stack_ = nullptr;
  const void* stack_low_ = nullptr;
  std::size_t stack_bytes_ = 0;
#else
  static void start(boost::context::detail::transfer_t transfer);
  boost::context::detail::fcontext_t context_ = nullptr;
#endif
  Entry entry_ = nullptr;
  void* argument_ = nullptr;
};

#ifndef REMEASURE_SIMT_ASAN
inline void Fiber::change(Fiber& from, Fiber& to) {
  // The data pointer tells the other side which two fibers take part: who left, and (in the array's second
  // element) who begins, which only a fiber's first run needs.
  Fiber* pair[2] = {&from, &to};
  const auto transfer = boost::context::detail::jump_fcontext(to.context_, pair);
  static_cast<Fiber**>(transfer.data)[0]->context_ = transfer.fctx;
}
inline void Fiber::before_jump_to(Fiber&) {}
inline void Fiber::after_jump_to(Fiber&) {}
#endif

/// Stacks of one size, allocated in chunks, each above a guard that no access survives. Never shrinks.
class StackPool {
 public:
  explicit StackPool(std::size_t stack_bytes);
  ~StackPool();
  StackPool(const StackPool&) = delete;
  StackPool& operator=(const StackPool&) = delete;

  /// Number `count() - 1` afterwards. Throws std::runtime_error with the remedy when the system has no room.
  Stack add();
  std::size_t count() const { return count_; }
  /// The number of the stack that lies above this address's guard, or -1 when the address is in no guard.
  long guard_of(const void* address) const;

 private:
  static constexpr std::size_t kChunkStacks = 32;
  std::size_t stack_bytes_;
  std::size_t count_ = 0;
  std::vector<std::byte*> chunks_;
};

}  // namespace remeasure::simt
