// SPDX-License-Identifier: Apache-2.0
#include "bench/host_memory.h"

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <stdexcept>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define RM_SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define RM_SANITIZED 1
#endif
#if defined(__GLIBC__) && !defined(RM_SANITIZED)
#define RM_METERS_MALLOC 1
#endif

#ifdef RM_METERS_MALLOC

extern "C" {
// glibc's own allocator under the names that it exports for replacements like ours.
void* __libc_malloc(std::size_t size);
void* __libc_calloc(std::size_t count, std::size_t size);
void* __libc_realloc(void* memory, std::size_t size);
void* __libc_memalign(std::size_t alignment, std::size_t size);
void __libc_free(void* memory);
}

namespace remeasure::bench {
namespace {

class SpinLock {
 public:
  void lock() {
    while (flag_.test_and_set(std::memory_order_acquire)) {
    }
  }
  void unlock() { flag_.clear(std::memory_order_release); }

 private:
  std::atomic_flag flag_ = ATOMIC_FLAG_INIT;
};

/// Address -> requested size of what was allocated under the meter: an open hash table with linear probing,
/// whose memory comes from glibc directly. All state is constant-initialised, since malloc runs before any
/// constructor.
class Allocations {
 public:
  void clear() {
    __libc_free(slots_);
    slots_ = nullptr;
    capacity_ = used_ = 0;
    current_ = peak_ = 0;
    complete_ = true;
  }
  void add(void* memory, std::size_t bytes) {
    if (2 * (used_ + 1) > capacity_ && !grow()) {
      complete_ = false;
      return;
    }
    insert({memory, bytes});
    current_ += bytes;
    if (current_ > peak_) peak_ = current_;
  }
  /// Returns false for memory that isn't ours: it was allocated before the meter started.
  bool remove(void* memory) {
    if (capacity_ == 0) return false;
    std::size_t at = home(memory);
    while (slots_[at].memory != memory) {
      if (slots_[at].memory == nullptr) return false;
      at = (at + 1) & (capacity_ - 1);
    }
    current_ -= slots_[at].bytes;
    --used_;
    // Backward shift: what follows in the probe chain moves up, so that no tombstones are left.
    std::size_t hole = at;
    for (std::size_t next = (at + 1) & (capacity_ - 1); slots_[next].memory != nullptr;
         next = (next + 1) & (capacity_ - 1)) {
      const std::size_t wanted = home(slots_[next].memory);
      if (((next - wanted) & (capacity_ - 1)) >= ((next - hole) & (capacity_ - 1))) {
        slots_[hole] = slots_[next];
        hole = next;
      }
    }
    slots_[hole] = {nullptr, 0};
    return true;
  }
  std::size_t current() const { return current_; }
  std::size_t peak() const { return peak_; }
  bool complete() const { return complete_; }

 private:
  struct Slot {
    void* memory;
    std::size_t bytes;
  };
  std::size_t home(void* memory) const {
    const auto address = reinterpret_cast<std::uintptr_t>(memory);
    return static_cast<std::size_t>((address >> 4) * 0x9E3779B97F4A7C15ULL >> 20) & (capacity_ - 1);
  }
  void insert(Slot slot) {
    std::size_t at = home(slot.memory);
    while (slots_[at].memory != nullptr) at = (at + 1) & (capacity_ - 1);
    slots_[at] = slot;
    ++used_;
  }
  bool grow() {
    const std::size_t old_capacity = capacity_;
    Slot* old = slots_;
    const std::size_t capacity = old_capacity == 0 ? 4096 : 2 * old_capacity;
    auto* slots = static_cast<Slot*>(__libc_calloc(capacity, sizeof(Slot)));
    if (slots == nullptr) return false;
    slots_ = slots;
    capacity_ = capacity;
    used_ = 0;
    for (std::size_t i = 0; i < old_capacity; ++i) {
      if (old[i].memory != nullptr) insert(old[i]);
    }
    __libc_free(old);
    return true;
  }

  Slot* slots_ = nullptr;
  std::size_t capacity_ = 0, used_ = 0;
  std::size_t current_ = 0, peak_ = 0;
  bool complete_ = true;
};

// The one place with global state that changes: malloc has no argument that could carry it.
constinit std::atomic<bool> metering = false;
constinit SpinLock lock;
constinit Allocations allocations;

bool is_metering() {
  return metering.load(std::memory_order_relaxed);
}

void* counted(void* memory, std::size_t bytes) {
  if (memory != nullptr && is_metering()) {
    const std::lock_guard guard(lock);
    if (is_metering()) allocations.add(memory, bytes);
  }
  return memory;
}

/// Before the memory goes back: another thread may get the same address the moment after.
void uncount(void* memory) {
  if (memory != nullptr && is_metering()) {
    const std::lock_guard guard(lock);
    if (is_metering()) allocations.remove(memory);
  }
}

}  // namespace

bool HostMemoryMeter::available() {
  return true;
}

HostMemoryMeter::HostMemoryMeter() {
  bool taken = false;
  {
    const std::lock_guard guard(lock);
    taken = is_metering();
    if (!taken) {
      allocations.clear();
      metering = true;
    }
  }
  // Thrown without the lock: the exception's text is allocated, and counted.
  if (taken) throw std::logic_error("HostMemoryMeter: another meter is alive");
}

HostMemoryMeter::~HostMemoryMeter() {
  const std::lock_guard guard(lock);
  metering = false;
  allocations.clear();
}

std::optional<std::size_t> HostMemoryMeter::peak() const {
  const std::lock_guard guard(lock);
  if (!allocations.complete()) return std::nullopt;
  return allocations.peak();
}

std::optional<std::size_t> HostMemoryMeter::current() const {
  const std::lock_guard guard(lock);
  if (!allocations.complete()) return std::nullopt;
  return allocations.current();
}

}  // namespace remeasure::bench

// Replacements of the C library's allocation functions. operator new calls malloc or aligned_alloc, so it is
// counted too.
extern "C" {

using remeasure::bench::counted;
using remeasure::bench::uncount;

void* malloc(std::size_t size) noexcept {
  return counted(__libc_malloc(size), size);
}

void* calloc(std::size_t count, std::size_t size) noexcept {
  return counted(__libc_calloc(count, size), count * size);
}

void free(void* memory) noexcept {
  uncount(memory);
  __libc_free(memory);
}

// Old and new block are both held for a moment inside realloc, if it moves; the requested sizes alone are
// counted, as mremap and growth in place don't hold both.
void* realloc(void* memory, std::size_t size) noexcept {
  if (!remeasure::bench::is_metering()) return __libc_realloc(memory, size);
  uncount(memory);
  void* moved = __libc_realloc(memory, size);
  return counted(moved, size);
}

void* reallocarray(void* memory, std::size_t count, std::size_t size) noexcept {
  std::size_t bytes = 0;
  if (__builtin_mul_overflow(count, size, &bytes)) {
    errno = ENOMEM;
    return nullptr;
  }
  return realloc(memory, bytes);
}

void* memalign(std::size_t alignment, std::size_t size) noexcept {
  return counted(__libc_memalign(alignment, size), size);
}

void* aligned_alloc(std::size_t alignment, std::size_t size) noexcept {
  return counted(__libc_memalign(alignment, size), size);
}

int posix_memalign(void** memory, std::size_t alignment, std::size_t size) noexcept {
  if (alignment % sizeof(void*) != 0 || alignment == 0 || (alignment & (alignment - 1)) != 0) return EINVAL;
  void* found = __libc_memalign(alignment, size);
  if (found == nullptr) return ENOMEM;
  *memory = counted(found, size);
  return 0;
}

}  // extern "C"

#else

namespace remeasure::bench {

bool HostMemoryMeter::available() {
  return false;
}
HostMemoryMeter::HostMemoryMeter() = default;
HostMemoryMeter::~HostMemoryMeter() = default;
std::optional<std::size_t> HostMemoryMeter::peak() const {
  return std::nullopt;
}
std::optional<std::size_t> HostMemoryMeter::current() const {
  return std::nullopt;
}

}  // namespace remeasure::bench

#endif
