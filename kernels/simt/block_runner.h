// SPDX-License-Identifier: Apache-2.0
//
// One worker of the engine: runs one block at a time.
//
// A *carrier* is a fiber that runs the block's threads one after another in a plain loop. When a thread has
// to wait, its carrier is left and another continues: one whose thread may go on, else a fresh one that takes
// the next thread not yet started. So a block that never waits is a loop on one fiber, and a block of n
// threads that all wait has n carriers. Nobody watches for progress: when no thread can go on and none is
// left to start, either a barrier is complete and opens, or what the threads wait for can never come, and
// that is the error.
#pragma once

#include <array>
#include <atomic>
#include <csetjmp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "kernels/simt/carrier.h"
#include "kernels/simt/error.h"
#include "kernels/simt/fiber.h"
#include "kernels/simt/options.h"
#include "kernels/simt/schedule.h"
#include "kernels/simt/shared_arena.h"
#include "kernels/simt/stack_pool.h"
#include "kernels/simt/thread_cursor.h"

namespace remeasure::simt {

struct LaunchInfo;

/// What a block printed.
struct Printed {
  std::uint64_t block;
  std::string text;
};
/// To stdout when `output` is null.
void write_printed(std::string* output, std::string_view text);

/// What all workers of a launch share.
struct LaunchState {
  const LaunchInfo* info = nullptr;
  Program program{};
  std::uint64_t blocks = 0;
  std::uint64_t chunk = 1;
  bool one_worker = true;
  bool cooperative = false;       ///< a runner for each block, which take turns (cooperative.cpp)
  std::string* output = nullptr;  ///< of device printf; null: stdout
  std::atomic<std::uint64_t> next_block{0};
  std::atomic<bool> stopped{false};
};

/// Why a block of a cooperative launch gave its turn away.
enum class TurnEnd : std::uint8_t { not_done, at_grid_barrier, returned, failed };

class BlockRunner {
 public:
  BlockRunner(const EngineOptions& options, std::uint64_t seed);
  ~BlockRunner();
  BlockRunner(const BlockRunner&) = delete;
  BlockRunner& operator=(const BlockRunner&) = delete;

  /// Runs blocks until there are no more or somebody stops. What was wrong, if anything was.
  std::optional<Finding> run_blocks(LaunchState& launch);
  // One block of a cooperative launch: begun, then given turns until it has returned or failed; forgotten
  // after an error.
  void begin_turns(LaunchState& launch, std::uint64_t block);
  TurnEnd take_turn();
  std::optional<Finding> end_turns();
  const Site& barrier_site() const { return barrier_site_; }
  Dim3 block_index() const { return block_index_; }

  std::array<std::uint64_t, kCounters>& counters() { return counters_; }
  void set_options(const EngineOptions& options);

  // What threads ask for (thread.h).
  detail::Next arrive(const Site& site);
  detail::Next arrive(int value, const Site& site);
  detail::Next arrive_at_grid(const Site& site);
  int barrier_result() const { return barrier_result_; }
  detail::Met meet(std::uint32_t mask, const void* contribution, std::size_t bytes, const Site& site,
                   const char* what);
  std::uint32_t active_mask();
  void* place_static_shared(SharedSite& site);
  /// From now on thread_returned() is called when this thread returns. Ends its row: the loop looks at the
  /// end of one.
  void expect_return(ThreadState& state) {
    state.has_leftovers = true;
    cursor_.give_back(state);
  }
  void thread_returned(Carrier& carrier);
  [[noreturn]] void fail(Finding finding);
  /// Fills in kernel, block and the current thread.
  [[noreturn]] void fail_here(ErrorKind kind, std::string message, std::vector<Site> sites);

  /// For the signal handler: the fault is in a stack's guard, or elsewhere in a kernel. Does not return when
  /// it is ours.
  void on_fault(const void* address);
  /// For the watchdog's signal: Watchdog::kTicks in a row without progress end the block; then it does not
  /// return.
  void on_tick();
  /// Device printf. Text of a launch on several workers is kept until its end.
  void print(std::string_view text);
  std::vector<Printed>& printed() { return printed_; }

  const EngineOptions& options() const { return options_; }
  SharedArena& shared() { return shared_; }
  const LaunchState& launch() const { return *launch_; }
  Carrier& current() const;
  std::uint32_t present_lanes(unsigned warp) const;
  std::uint64_t block_number() const { return block_; }

 private:
  [[gnu::noinline]] detail::Next arrive_first_or_last(const Site& site);
  [[gnu::noinline]] detail::Next arrive_in_sweep(const Site& site);
  [[gnu::noinline]] detail::Met meet_first_or_last(std::uint32_t mask, const void* contribution,
                                                   std::size_t bytes, const Site& site, const char* what);
  void begin_launch(LaunchState& launch);
  Carrier* begin_block(std::uint64_t block);
  void run_block(std::uint64_t block);
  void give_turn_away(TurnEnd why);
  static void carry(Fiber& fiber);
  Carrier* fresh_carrier();
  Carrier* make_carrier();
  detail::Next next_after(Carrier& self);
  void leave(Carrier& self);
  Carrier* pop_ready();
  Carrier* pick();
  Carrier* pick_random();
  void barrier_complete();
  void open_barrier();
  detail::Next begin_sweep(Carrier& last);
  void leave_sweep();
  Carrier* resolve_standstill();
  [[noreturn]] void refuse_exchange(std::uint32_t mask, std::size_t bytes, const Site& site,
                                    const char* what);
  void release_rendezvous(Rendezvous* meeting);
  Rendezvous* new_rendezvous();
  void abandon_block();
  [[noreturn]] void jump_home();

  // Diagnosis of a standstill (diagnosis.cpp).
  Finding diagnose() const;
  Finding diagnose_warp(const Rendezvous& meeting) const;
  Finding diagnose_barrier() const;
  std::vector<unsigned> waiting_threads(const Site* site) const;
  std::vector<unsigned> returned_threads() const;
  std::vector<Dim3> indices(const std::vector<unsigned>& threads) const;
  Finding finding(ErrorKind kind) const;

  /// Changes whenever a thread begins, waits, goes on or returns. (A row of threads that never wait is one
  /// change.)
  struct Progress {
    std::uint64_t block = 0;
    std::uint64_t barriers = 0;
    std::uint64_t warp_operations = 0;
    unsigned started = 0;
    unsigned thread = 0;
    const ThreadState* fiber = nullptr;
    bool operator==(const Progress&) const = default;
  };
  Finding after_fault();

  // Hot: touched at every barrier and rendezvous.
  ReadyQueue ready_;
  ReadyQueue waiting_;          ///< at the block barrier
  Site barrier_site_;           ///< where the first of them waits
  bool barrier_mixed_ = false;  ///< waiting_ holds different sites
  bool at_grid_ = false;        ///< the barrier of barrier_site_ is the grid's
  bool random_ = false;
  unsigned threads_ = 0;  ///< of a block
  int barrier_sum_ = 0;
  int barrier_result_ = 0;
  unsigned plain_phases_ = 0;  ///< barriers since the latest meeting of lanes, in this block
  std::unique_ptr<ThreadState*[]> row_ =
      std::make_unique<ThreadState*[]>(kMaxBlockThreads + 1);  ///< of a sweep
  ThreadCursor cursor_;
  Rendezvous* open_[kMaxWarps] = {};
  Rendezvous* free_meetings_ = nullptr;
  std::vector<Carrier*> idle_;
  Fiber home_;
  std::array<std::uint64_t, kCounters> counters_{};

  EngineOptions options_;
  Schedule schedule_;
  SharedArena shared_;
  StackPool stacks_;
  std::vector<Carrier*> carriers_;  ///< each at the top of its own stack: one page for both
  std::vector<std::unique_ptr<Rendezvous>> meetings_;
  LaunchState* launch_ = nullptr;
  std::uint64_t block_ = 0;  ///< number of the block in the grid
  std::uint64_t block_serial_ = 0;
  Dim3 block_index_{0, 0, 0};
  std::optional<Finding> finding_;
  std::thread::id owner_;
  std::vector<Printed> printed_;
  sigjmp_buf after_fault_;
  const void* fault_address_ = nullptr;
  long fault_guard_ = -1;
  ThreadState* next_turn_ = nullptr;  ///< where a cooperative block goes on
  detail::Sweep kept_sweep_{};        ///< meanwhile
  TurnEnd turn_end_ = TurnEnd::not_done;
  Progress seen_;  ///< at the watchdog's latest tick
  int ticks_ = 0;  ///< since then without progress
};

inline Carrier& BlockRunner::current() const {
  static_assert(offsetof(Carrier, thread) == 0);
  return *reinterpret_cast<Carrier*>(detail::current_thread);
}

// ---- what every wait goes through
// -----------------------------------------------------------------------------

[[gnu::always_inline]] inline Carrier* BlockRunner::pop_ready() {
  Carrier* next = ready_.pop();
  // With many fibers their first lines are in the second-level cache: fetch those of the ones that follow.
  if (ready_.size() > 48) __builtin_prefetch(&ready_[4]->thread.fiber);
  return next;
}

[[gnu::always_inline]] inline Carrier* BlockRunner::pick() {
  if (random_) [[unlikely]]
    return pick_random();
  if (!ready_.empty()) return pop_ready();
  return cursor_.exhausted() ? nullptr : fresh_carrier();
}

/// Whom to continue now that `self` waits; null when that is itself.
[[gnu::always_inline]] inline detail::Next BlockRunner::next_after(Carrier& self) {
  cursor_.give_back(self.thread);
  Carrier* next = pick();
  if (next == nullptr) [[unlikely]]
    next = resolve_standstill();
  return next == &self ? nullptr : &next->thread;
}

}  // namespace remeasure::simt
