// SPDX-License-Identifier: Apache-2.0
//
// Fibers: a stack and a place on it. Three ways to change between them:
// - x86-64: a jump in inline assembly, which becomes part of the kernel. The compiler saves just the
// registers that are
//   live there, and the processor can predict the jump from its history: a return instruction behind it would
//   be predicted from the stack of the fiber that was left, wrongly whenever a loop has two barriers.
// - elsewhere, or with -DREMEASURE_FIBERS=boost: Boost.Context's bare jump.
// - under AddressSanitizer: ucontext, with the announcements that let it follow the switch.
#pragma once

#include <cstddef>

#if defined(__SANITIZE_ADDRESS__)
#define REMEASURE_SIMT_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define REMEASURE_SIMT_ASAN 1
#endif
#endif

// Kernels and the engine change fibers in the same way or not at all: the namespace makes a mixture of them
// fail to link.
#if defined(REMEASURE_SIMT_ASAN)
#define REMEASURE_SIMT_FIBERS fibers_ucontext
#include <ucontext.h>
#elif defined(__x86_64__) && !defined(REMEASURE_SIMT_BOOST_FIBERS)
#define REMEASURE_SIMT_FIBERS fibers_own_jump
#define REMEASURE_SIMT_OWN_JUMP 1
#else
#define REMEASURE_SIMT_FIBERS fibers_boost
#include <boost/context/detail/fcontext.hpp>
#endif

namespace remeasure::simt {

/// A fiber's memory: [low, low + bytes), growing down.
struct Stack {
  std::byte* low = nullptr;
  std::size_t bytes = 0;
};

inline namespace REMEASURE_SIMT_FIBERS {

class Fiber {
 public:
  using Entry = void (*)(Fiber& self);

  Fiber() = default;
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  /// Next time it is switched to, it calls entry(*this), which must not return.
  void prepare(Stack stack, Entry entry);

  /// Leaves `from`, which continues here when it is switched to again.
  static void change(Fiber& from, Fiber& to);
  /// Tells sanitizers that a longjmp from another fiber has come back to `home`.
  static void after_jump_to(Fiber& home);

 private:
#if defined(REMEASURE_SIMT_ASAN)
  static void start();
  ucontext_t context_{};
  void* fake_stack_ = nullptr;
  const void* stack_low_ = nullptr;
  std::size_t stack_bytes_ = 0;
  Entry entry_ = nullptr;
#elif defined(REMEASURE_SIMT_OWN_JUMP)
  static void start(Fiber* from, Fiber* self);
  void* stack_pointer_ = nullptr;
  void* resume_ = nullptr;
  void* frame_pointer_ = nullptr;
  void* base_pointer_ = nullptr;  ///< the entry, until it has begun
#else
  static void start(boost::context::detail::transfer_t transfer);
  boost::context::detail::fcontext_t context_ = nullptr;
  Entry entry_ = nullptr;
#endif
};

#if defined(REMEASURE_SIMT_OWN_JUMP)
// rbp and rbx are not among the clobbers, because a compiler may address a frame by them. They are kept in
// the fiber rather than on its stack: nothing is pushed, so the red zone needs no care and one line less of
// the cache is touched.
[[gnu::always_inline]] inline void Fiber::change(Fiber& from, Fiber& to) {
  static_assert(offsetof(Fiber, stack_pointer_) == 0 && offsetof(Fiber, resume_) == 8 &&
                offsetof(Fiber, frame_pointer_) == 16 && offsetof(Fiber, base_pointer_) == 24);
  Fiber* leaving = &from;  // in the registers of a function's first two parameters: start() gets them
  Fiber* entering = &to;
  asm volatile(
      "leaq 1f(%%rip), %%rax\n\t"
      "movq %%rsp, (%%rdi)\n\t"
      "movq %%rax, 8(%%rdi)\n\t"
      "movq %%rbp, 16(%%rdi)\n\t"
      "movq %%rbx, 24(%%rdi)\n\t"
      "movq (%%rsi), %%rsp\n\t"
      "movq 16(%%rsi), %%rbp\n\t"
      "movq 24(%%rsi), %%rbx\n\t"
      "jmpq *8(%%rsi)\n\t"
      "1:"
      : "+D"(leaving), "+S"(entering)
      :
      : "rax", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "memory", "cc", "xmm0",
        "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12",
        "xmm13", "xmm14", "xmm15"
#ifdef __AVX512F__
        ,
        "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", "xmm24", "xmm25", "xmm26",
        "xmm27", "xmm28", "xmm29", "xmm30", "xmm31", "k1", "k2", "k3", "k4", "k5", "k6", "k7"
#endif
  );
}
#endif
#if !defined(REMEASURE_SIMT_ASAN) && !defined(REMEASURE_SIMT_OWN_JUMP)
inline void Fiber::change(Fiber& from, Fiber& to) {
  // The data pointer tells the other side which two fibers take part: who left, and (in the array's second
  // element) who begins, which only a fiber's first run needs.
  Fiber* pair[2] = {&from, &to};
  const auto transfer = boost::context::detail::jump_fcontext(to.context_, pair);
  static_cast<Fiber**>(transfer.data)[0]->context_ = transfer.fctx;
}
#endif
#ifndef REMEASURE_SIMT_ASAN
inline void Fiber::after_jump_to(Fiber&) {}
#endif

}  // namespace REMEASURE_SIMT_FIBERS
}  // namespace remeasure::simt
