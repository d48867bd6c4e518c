// SPDX-License-Identifier: Apache-2.0
//
// Kernels of the checked build are compiled with -fsanitize=thread, which puts a call before every load and
// store; the sanitizer's own library is not linked, and these functions take its place (as the Linux kernel's
// KCSAN does). Their names and types are those of g++ 12 and clang 14 and later:
// compiler-rt/lib/tsan/rtl/tsan_interface*.h.
#ifdef REMEASURE_SIMT_CHECKED

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernels/simt/access_checks.h"
#include "kernels/simt/block_runner.h"
#include "kernels/simt/checked.h"
#include "kernels/simt/operation_counts.h"

namespace remeasure::simt {

// What the engine tells (checked.h).
namespace check {
void register_memory(const void*, const void* address, std::size_t bytes, std::string_view name,
                     bool initialised, std::size_t red_zone_bytes) {
  AccessChecks::instance().register_memory(address, bytes, name, initialised, red_zone_bytes);
}
void unregister_memory(const void* address) {
  AccessChecks::instance().unregister_memory(address);
}
void mark_initialised(const void* address, std::size_t bytes) {
  AccessChecks::instance().mark_initialised(address, bytes);
}
bool is_initialised(const void* address, std::size_t bytes) {
  return AccessChecks::instance().is_initialised(address, bytes);
}
void begin_launch(BlockRunner& runner, bool cooperative) {
  AccessChecks::instance().begin_launch(runner, cooperative);
  begin_operations();
}
void end_launch(BlockRunner& runner) {
  end_operations(runner.counters());
  AccessChecks::instance().end_launch();
}
void begin_block(BlockRunner& runner) {
  AccessChecks::instance().begin_block(runner);
}
void continue_block(BlockRunner& runner) {
  AccessChecks::instance().continue_block(runner);
}
void grid_barrier_opened() {
  AccessChecks::instance().order().grid_barrier_opened();
}
void barrier_opened(BlockRunner&) {
  AccessChecks::instance().order().barrier_opened();
}
void warp_met(unsigned warp, std::uint32_t mask) {
  AccessChecks::instance().order().warp_met(warp, mask);
}
void fence() {
  AccessChecks::instance().order().fence(this_thread().linear_thread);
}
void copy_issued(const AsyncCopy& copy) {
  AccessChecks::instance().copy_issued(copy);
}
void copy_completed(const AsyncCopy& copy) {
  AccessChecks::instance().copy_completed(copy);
}
}  // namespace check

void check_read(const void* address, std::size_t bytes, std::size_t alignment, const Site& site) {
  AccessChecks::instance().access(Access::read, address, bytes, alignment, site);
}
void check_write(void* address, std::size_t bytes, std::size_t alignment, const Site& site) {
  AccessChecks::instance().access(Access::write, address, bytes, alignment, site);
}

}  // namespace remeasure::simt

namespace {

using remeasure::simt::Access;

void seen(Access kind, const volatile void* address, std::size_t bytes, std::size_t alignment,
          const void* place) {
  if (!remeasure::simt::inside_kernel()) return;  // host code in a kernel's source file; also before main()
  remeasure::simt::AccessChecks::instance().access(kind, const_cast<const void*>(address), bytes, alignment,
                                                   place);
}

}  // namespace

#define RM_PLACE __builtin_return_address(0)

extern "C" {

void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_update(void**, void*) {}
void __tsan_vptr_read(void**) {}

// A plain access says by its name how it must be aligned; the unaligned ones promise nothing. With a compiler
// flag volatile accesses have names of their own.
#define RM_ACCESS(size)                                 \
  void __tsan_read##size(void* a) {                     \
    seen(Access::read, a, size, size, RM_PLACE);        \
  }                                                     \
  void __tsan_write##size(void* a) {                    \
    seen(Access::write, a, size, size, RM_PLACE);       \
  }                                                     \
  void __tsan_unaligned_read##size(void* a) {           \
    seen(Access::read, a, size, 1, RM_PLACE);           \
  }                                                     \
  void __tsan_unaligned_write##size(void* a) {          \
    seen(Access::write, a, size, 1, RM_PLACE);          \
  }                                                     \
  void __tsan_volatile_read##size(void* a) {            \
    seen(Access::read, a, size, size, RM_PLACE);        \
  }                                                     \
  void __tsan_volatile_write##size(void* a) {           \
    seen(Access::write, a, size, size, RM_PLACE);       \
  }                                                     \
  void __tsan_unaligned_volatile_read##size(void* a) {  \
    seen(Access::read, a, size, 1, RM_PLACE);           \
  }                                                     \
  void __tsan_unaligned_volatile_write##size(void* a) { \
    seen(Access::write, a, size, 1, RM_PLACE);          \
  }                                                     \
  void __tsan_read_write##size(void* a) {               \
    seen(Access::read, a, size, size, RM_PLACE);        \
    seen(Access::write, a, size, size, RM_PLACE);       \
  }                                                     \
  void __tsan_unaligned_read_write##size(void* a) {     \
    seen(Access::read, a, size, 1, RM_PLACE);           \
    seen(Access::write, a, size, 1, RM_PLACE);          \
  }
RM_ACCESS(1)
RM_ACCESS(2)
RM_ACCESS(4)
RM_ACCESS(8)
RM_ACCESS(16)

void __tsan_read_range(void* a, std::size_t bytes) {
  seen(Access::read, a, bytes, 1, RM_PLACE);
}
void __tsan_write_range(void* a, std::size_t bytes) {
  seen(Access::write, a, bytes, 1, RM_PLACE);
}

void* __tsan_memcpy(void* to, const void* from, std::size_t bytes) {
  seen(Access::read, from, bytes, 1, RM_PLACE);
  seen(Access::write, to, bytes, 1, RM_PLACE);
  return std::memcpy(to, from, bytes);
}
void* __tsan_memmove(void* to, const void* from, std::size_t bytes) {
  seen(Access::read, from, bytes, 1, RM_PLACE);
  seen(Access::write, to, bytes, 1, RM_PLACE);
  return std::memmove(to, from, bytes);
}
void* __tsan_memset(void* to, int value, std::size_t bytes) {
  seen(Access::write, to, bytes, 1, RM_PLACE);
  return std::memset(to, value, bytes);
}

// Atomic operations are replaced by calls altogether, so these also do them.
#define RM_UPDATE(bits, type, name, builtin)                              \
  type __tsan_atomic##bits##_##name(volatile type* a, type value, int) {  \
    seen(Access::atomic_update, a, sizeof(type), sizeof(type), RM_PLACE); \
    return builtin(a, value, __ATOMIC_SEQ_CST);                           \
  }
#define RM_ATOMIC(bits, type)                                                                               \
  type __tsan_atomic##bits##_load(const volatile type* a, int) {                                            \
    seen(Access::atomic_read, a, sizeof(type), sizeof(type), RM_PLACE);                                     \
    return __atomic_load_n(a, __ATOMIC_SEQ_CST);                                                            \
  }                                                                                                         \
  void __tsan_atomic##bits##_store(volatile type* a, type value, int) {                                     \
    seen(Access::atomic_write, a, sizeof(type), sizeof(type), RM_PLACE);                                    \
    __atomic_store_n(a, value, __ATOMIC_SEQ_CST);                                                           \
  }                                                                                                         \
  RM_UPDATE(bits, type, exchange, __atomic_exchange_n)                                                      \
  RM_UPDATE(bits, type, fetch_add, __atomic_fetch_add)                                                      \
  RM_UPDATE(bits, type, fetch_sub, __atomic_fetch_sub)                                                      \
  RM_UPDATE(bits, type, fetch_and, __atomic_fetch_and)                                                      \
  RM_UPDATE(bits, type, fetch_or, __atomic_fetch_or)                                                        \
  RM_UPDATE(bits, type, fetch_xor, __atomic_fetch_xor)                                                      \
  RM_UPDATE(bits, type, fetch_nand, __atomic_fetch_nand)                                                    \
  int __tsan_atomic##bits##_compare_exchange_strong(volatile type* a, type* expected, type value, int,      \
                                                    int) {                                                  \
    seen(Access::atomic_update, a, sizeof(type), sizeof(type), RM_PLACE);                                   \
    return __atomic_compare_exchange_n(a, expected, value, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);      \
  }                                                                                                         \
  int __tsan_atomic##bits##_compare_exchange_weak(volatile type* a, type* expected, type value, int, int) { \
    seen(Access::atomic_update, a, sizeof(type), sizeof(type), RM_PLACE);                                   \
    return __atomic_compare_exchange_n(a, expected, value, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);      \
  }                                                                                                         \
  type __tsan_atomic##bits##_compare_exchange_val(volatile type* a, type expected, type value, int, int) {  \
    seen(Access::atomic_update, a, sizeof(type), sizeof(type), RM_PLACE);                                   \
    __atomic_compare_exchange_n(a, &expected, value, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);            \
    return expected;                                                                                        \
  }
RM_ATOMIC(8, std::uint8_t)
RM_ATOMIC(16, std::uint16_t)
RM_ATOMIC(32, std::uint32_t)
RM_ATOMIC(64, std::uint64_t)

void __tsan_atomic_thread_fence(int) {
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
}
void __tsan_atomic_signal_fence(int) {}

}  // extern "C"

#endif  // REMEASURE_SIMT_CHECKED
