// SPDX-License-Identifier: Apache-2.0
//
// What a kernel under the SIMT engine may ask of it. Every kernel source includes this through
// kernels/device, so it is light. All functions may be called only from inside a running kernel.
//
// Functions that find an error do not return: the block is abandoned where it stands (destructors of the
// kernel's locals do not run) and Engine::launch throws an EngineError.
#pragma once

#include <atomic>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernels/simt/counts.h"
#include "kernels/simt/dim3.h"
#include "kernels/simt/error_kind.h"
#include "kernels/simt/fiber.h"
#include "kernels/simt/site.h"

namespace remeasure::simt {

inline constexpr unsigned kWarpSize = 32;
inline constexpr std::uint32_t kFullMask = 0xffffffffu;

class BlockRunner;
struct Rendezvous;
enum class Waits : std::uint8_t { no, at_barrier, in_warp };

/// One CUDA thread's own view. The fields of the grid are repeated so that reading them is one load. All that
/// waiting touches is in the first cache line: a block of some hundred threads does not fit the first-level
/// cache otherwise.
struct alignas(64) ThreadState {
  Fiber fiber;                 ///< that runs this thread, and others before and after it
  Rendezvous* held = nullptr;  ///< the latest meeting of this thread; it waits there if waits == in_warp
  Dim3 thread_index{0, 0, 0};
  unsigned linear_thread = 0;  ///< x + dim.x * (y + dim.y * z); the warp is linear / 32
  unsigned row_end = 0;        ///< the fiber goes on with the threads up to this x (ThreadCursor)
  bool has_leftovers =
      false;                ///< something to put away when this thread returns: BlockRunner::expect_return()
  bool in_use = false;      ///< runs a thread that has not returned
  Waits waits = Waits::no;  ///< as of the latest wait
  Dim3 block_index{0, 0, 0};
  Dim3 block_dim;
  Dim3 grid_dim;
  std::uint64_t* counters = nullptr;
  BlockRunner* block = nullptr;

  unsigned lane() const { return linear_thread % kWarpSize; }
  unsigned warp() const { return linear_thread / kWarpSize; }
};

namespace detail {
// The thread-local variables here are used by name, never through a reference or this: UBSan's null check of
// one tests the flags of the addition that makes its address, which the linker replaces by an instruction
// that sets none (g++ 12 with binutils 2.40), and so reports null pointers that are not there.
//
// A fiber never moves to another CPU thread, so the address of this variable may be kept across switches.
extern constinit thread_local ThreadState* current_thread;
void finish_thread(ThreadState& state);
/// What a thread that has to wait learns: whom to continue in its place. Null: it goes on at once.
using Next = ThreadState*;

/// The threads of a block that go from one block barrier to the next in the same order, as the threads of
/// most kernels do: then the next in the row is all that an arrival has to know (block_barrier.cpp).
struct Sweep {
  ThreadState* const* next = nullptr;  ///< the first that has not arrived; null ends the row. Null: no sweep
  const char* file = nullptr;          ///< of the barrier where those before it wait; null: nobody waits
  std::uint32_t line = 0;
  std::uint32_t column = 0;
};
extern constinit thread_local Sweep sweep;

Next arrive_at_barrier(Site site);
Next arrive_at_barrier(int value, Site site);
int barrier_sum();
/// Leaves this thread, which goes on when it is continued. Inline, so that the jump is part of the kernel.
[[gnu::always_inline]] inline void go_to(Next next) {
  if (next == nullptr) return;
  ThreadState& self = *current_thread;
  current_thread = next;
  Fiber::change(self.fiber, next->fiber);
}
}  // namespace detail

inline bool inside_kernel() {
  return detail::current_thread != nullptr;
}
inline ThreadState& this_thread() {
  return *detail::current_thread;
}

// ---- block ----------------------------------------------------------------------------------------------

/// __syncthreads.
[[gnu::always_inline]] inline void block_barrier(const Site& site = Site::here()) {
  if (detail::sweep.file == site.file && detail::sweep.line == site.line &&
      detail::sweep.column == site.column) [[likely]] {
    if (ThreadState* const next = *detail::sweep.next; next != nullptr) [[likely]] {
      ++detail::sweep.next;
      return detail::go_to(next);
    }
  }
  detail::go_to(detail::arrive_at_barrier(site));
}
/// __syncthreads_count/and/or: how many threads (whether all, whether any) brought a predicate that isn't 0.
inline int block_barrier_count(int predicate, const Site& site = Site::here()) {
  detail::go_to(detail::arrive_at_barrier(predicate != 0 ? 1 : 0, site));
  return detail::barrier_sum();
}
inline int block_barrier_and(int predicate, const Site& site = Site::here()) {
  return block_barrier_count(predicate == 0, site) == 0 ? 1 : 0;  // nobody brought a zero
}
inline int block_barrier_or(int predicate, const Site& site = Site::here()) {
  return block_barrier_count(predicate, site) != 0 ? 1 : 0;
}

/// __threadfence: what this block wrote before it is ordered before what a block reads that later sees an
/// atomic operation of this thread. Only the checked build needs to know.
void thread_fence(const Site& site = Site::here());

// ---- warp -----------------------------------------------------------------------------------------------

inline constexpr std::size_t kMaxContribution = 128;  ///< bytes that a lane may bring to a rendezvous

/// What the lanes brought. Stable until this lane's next rendezvous.
class WarpView {
 public:
  WarpView(const std::byte* slots, std::size_t stride, std::uint32_t lanes)
      : slots_(slots), stride_(stride), lanes_(lanes) {}

  std::uint32_t lanes() const { return lanes_; }
  bool has(unsigned lane) const { return (lanes_ >> lane & 1u) != 0; }
  const void* slot(unsigned lane) const { return slots_ + lane * stride_; }
  /// The value that `lane` brought; the lane must be among lanes().
  template <class T>
  T get(unsigned lane) const {
    T value;
    std::memcpy(&value, slot(lane), sizeof value);
    return value;
  }

 private:
  const std::byte* slots_;
  std::size_t stride_;
  std::uint32_t lanes_;
};

namespace detail {
struct Met {
  const std::byte* slots;
  Next next;
};
Met meet(std::uint32_t mask, const void* contribution, std::size_t bytes, const Site& site, const char* what);
}  // namespace detail

/// The one primitive under __syncwarp, shuffles, votes, match, reduce, ldmatrix and mma: waits until every
/// lane of `mask` is here with the same mask, site and `what`, and shows all contributions. `what` names the
/// operation in messages ("__shfl_down_sync"). An incomplete meeting is a `warp-mask` error, never a hang.
/// `bytes` may be 0 (contribution is then ignored) and must be equal in all lanes.
inline WarpView warp_exchange(std::uint32_t mask, const void* contribution, std::size_t bytes,
                              const Site& site, const char* what) {
  const detail::Met met = detail::meet(mask, contribution, bytes, site, what);
  detail::go_to(met.next);
  return {met.slots, bytes, mask};
}

/// Lanes of this warp that have not returned. Says nothing about where they are.
std::uint32_t active_mask();

// ---- shared memory --------------------------------------------------------------------------------------

/// One __shared__ declaration: a static object per declaration (and template instance).
///   static constinit SharedSite site{"tile", sizeof(T) * N, alignof(T)};
///   T* tile = static_cast<T*>(static_shared(site));
struct SharedSite {
  const char* name;
  std::size_t bytes;
  std::size_t alignment;
  std::atomic<std::uint32_t> id{0};  ///< given by the engine at the first use in the program
};

namespace detail {
struct StaticPlace {
  std::uint64_t block = 0;  ///< serial number of the block run that this place is valid for
  std::byte* address = nullptr;
};
/// The worker's part that is read without a call.
struct SharedView {
  StaticPlace* places = nullptr;
  std::uint32_t place_count = 0;
  std::uint64_t block = 0;
  std::byte* begin = nullptr;
  std::byte* end = nullptr;
  std::byte* dynamic = nullptr;
  std::size_t dynamic_bytes = 0;
};
extern constinit thread_local SharedView shared_view;
void* place_static_shared(SharedSite& site);
}  // namespace detail

/// The block's array for this declaration; poisoned (all bytes 0xff) before the block's first use.
inline void* static_shared(SharedSite& site) {
  const std::uint32_t id = site.id.load(std::memory_order_relaxed);
  if (id < detail::shared_view.place_count) {
    const detail::StaticPlace& place = detail::shared_view.places[id];
    if (place.block == detail::shared_view.block) return place.address;
  }
  return detail::place_static_shared(site);
}
/// extern __shared__: 1024-byte aligned, poisoned at block start; null when the launch asked for none.
inline void* dynamic_shared() {
  return detail::shared_view.dynamic;
}
inline std::size_t dynamic_shared_bytes() {
  return detail::shared_view.dynamic_bytes;
}
/// Whether the address lies in this block's shared memory.
inline bool is_shared(const void* pointer) {
  const auto* address = static_cast<const std::byte*>(pointer);
  return address >= detail::shared_view.begin && address < detail::shared_view.end;
}

// ---- cp.async -------------------------------------------------------------------------------------------

/// cp.async of 4, 8 or 16 bytes, both addresses aligned to them. Of them `source_bytes` are read, the rest is
/// filled with zeros (the src-size operand).
void async_copy(void* shared, const void* global, std::size_t bytes, std::size_t source_bytes,
                const Site& site = Site::here());
inline void async_copy(void* shared, const void* global, std::size_t bytes, const Site& site = Site::here()) {
  async_copy(shared, global, bytes, bytes, site);
}
/// cp.async.commit_group: this thread's copies since the last commit become one group.
void async_commit();
/// cp.async.wait_group N: all groups of this thread but the `pending_groups` latest are complete.
void async_wait(unsigned pending_groups);
/// cp.async.wait_all: also copies that no commit covered.
void async_wait_all();

// ---- reports --------------------------------------------------------------------------------------------

/// Ends the block with an error of this kind.
[[noreturn]] void fail(ErrorKind kind, const char* message, const Site& site = Site::here());

/// Adds to the launch's counts; one worker's counters, no atomics.
inline void count(Counter counter, std::uint64_t n) {
  this_thread().counters[static_cast<std::size_t>(counter)] += n;
}

/// Memory that the engine's host code reads or writes for a kernel (ldmatrix rows, copies): in the checked
/// build the same checks as for a load or store in a kernel, in the fast build nothing. `alignment` 1 asks
/// for no alignment.
#ifdef REMEASURE_SIMT_CHECKED
void check_read(const void* address, std::size_t bytes, std::size_t alignment,
                const Site& site = Site::here());
void check_write(void* address, std::size_t bytes, std::size_t alignment, const Site& site = Site::here());
#else
inline void check_read(const void*, std::size_t, std::size_t, const Site& = Site::here()) {}
inline void check_write(void*, std::size_t, std::size_t, const Site& = Site::here()) {}
#endif

/// Device printf: what one call prints stays together. In the order of the calls where one worker runs the
/// launch, as it does under a seed; on several workers block by block at the launch's end, as a GPU does at a
/// synchronisation. Goes to stdout, or to Engine::capture_prints().
[[gnu::format(printf, 1, 2)]] int print(const char* format, ...);
int print(const char* format, std::va_list arguments);

}  // namespace remeasure::simt
