// SPDX-License-Identifier: Apache-2.0
#include "kernels/simt/block_runner.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <string>
#include <utility>

#include "kernels/simt/checked.h"
#include "kernels/simt/engine.h"
#include "kernels/simt/fault_handler.h"
#include "kernels/simt/watchdog.h"

namespace remeasure::simt {

namespace detail {
constinit thread_local ThreadState* current_thread = nullptr;
constinit thread_local Sweep sweep{};
constinit thread_local SharedView shared_view{};
}  // namespace detail

BlockRunner::BlockRunner(const EngineOptions& options, std::uint64_t seed)
    : options_(options),
      schedule_(seed),
      shared_(options.shared_limit_bytes),
      stacks_(options.stack_bytes),
      owner_(std::this_thread::get_id()) {
  idle_.reserve(kMaxBlockThreads);
}

BlockRunner::~BlockRunner() {
  for (Carrier* carrier : carriers_) carrier->~Carrier();
}

void BlockRunner::set_options(const EngineOptions& options) {
  options_ = options;
  schedule_ = Schedule(options.schedule_seed);
}

// ---- blocks
// -------------------------------------------------------------------------------------------------

void BlockRunner::begin_launch(LaunchState& launch) {
  launch_ = &launch;
  finding_.reset();
  printed_.clear();
  ticks_ = 0;
  seen_ = {};
  threads_ = static_cast<unsigned>(launch.info->block.count());
  random_ = !schedule_.ascending() && schedule_.shuffles_ready_threads();
  schedule_.begin_launch(launch.blocks, threads_);
  shared_.begin_launch(launch.info->shared_bytes);
  // A parked fiber may keep the addresses of its CPU thread's variables: on another thread all begin anew.
  if (owner_ != std::this_thread::get_id()) {
    owner_ = std::this_thread::get_id();
    abandon_block();
  }
}

std::optional<Finding> BlockRunner::run_blocks(LaunchState& launch) {
  begin_launch(launch);
  const FaultHandler handler(*this);
  const Watchdog watchdog(*this, options_.spin_limit_seconds);
  // Signal handlers come back here from where a kernel stands, so nothing is unwound.
  if (sigsetjmp(after_fault_, 0) != 0) {
    Fiber::after_jump_to(home_);
    finding_ = after_fault();
    abandon_block();
  }
  while (!finding_ && !launch.stopped.load(std::memory_order_relaxed)) {
    const std::uint64_t first = launch.next_block.fetch_add(launch.chunk, std::memory_order_relaxed);
    if (first >= launch.blocks) break;
    const std::uint64_t last = std::min(first + launch.chunk, launch.blocks);
    for (std::uint64_t position = first; position < last && !finding_; ++position) {
      run_block(schedule_.block_at(position));
    }
  }
  detail::current_thread = nullptr;
  if (finding_) launch.stopped.store(true, std::memory_order_relaxed);
  return std::exchange(finding_, std::nullopt);
}

Carrier* BlockRunner::begin_block(std::uint64_t block) {
  block_ = block;
  block_index_ = index_of(block, launch_->info->grid);
  cursor_.restart(launch_->info->block, schedule_.thread_order(block));
  shared_.begin_block(++block_serial_);
  plain_phases_ = 0;
  check::begin_block(*this);
  return fresh_carrier();
}

void BlockRunner::run_block(std::uint64_t block) {
  Carrier* first = begin_block(block);
  detail::current_thread = &first->thread;
  Fiber::change(home_, first->thread.fiber);
  detail::current_thread = nullptr;
  if (finding_) abandon_block();
}

// After an error every fiber is forgotten where it stands and begins anew; the stacks stay.
void BlockRunner::abandon_block() {
  detail::sweep = {};
  ready_.clear();
  waiting_.clear();
  barrier_mixed_ = false;
  at_grid_ = false;
  barrier_sum_ = 0;
  std::fill(std::begin(open_), std::end(open_), nullptr);
  free_meetings_ = nullptr;
  for (const auto& meeting : meetings_) {
    meeting->next = free_meetings_;
    free_meetings_ = meeting.get();
  }
  idle_.clear();
  for (auto carrier = carriers_.rbegin(); carrier != carriers_.rend(); ++carrier) {
    Carrier& each = **carrier;
    each.thread.held = nullptr;
    each.thread.in_use = false;
    each.copies.clear();
    each.thread.has_leftovers = false;
    each.thread.fiber.prepare(each.stack, &BlockRunner::carry);
    idle_.push_back(&each);
  }
}

// ---- carriers
// -----------------------------------------------------------------------------------------------

Carrier* BlockRunner::make_carrier() {
  Stack stack = stacks_.add();
  stack.bytes = (stack.bytes - sizeof(Carrier)) / 64 * 64;
  Carrier& carrier = *::new (stack.low + stack.bytes) Carrier();
  carriers_.push_back(&carrier);
  carrier.stack = stack;
  carrier.thread.block = this;
  carrier.thread.counters = counters_.data();
  carrier.thread.fiber.prepare(carrier.stack, &BlockRunner::carry);
  return &carrier;
}

Carrier* BlockRunner::fresh_carrier() {
  Carrier* carrier;
  if (idle_.empty()) {
    carrier = make_carrier();
  } else {
    carrier = idle_.back();
    idle_.pop_back();
  }
  carrier->thread.in_use = true;
  carrier->thread.block_index = block_index_;
  carrier->thread.block_dim = launch_->info->block;
  carrier->thread.grid_dim = launch_->info->grid;
  return carrier;
}

void BlockRunner::carry(Fiber& fiber) {
  static_assert(offsetof(ThreadState, fiber) == 0);
  Carrier& self = reinterpret_cast<Carrier&>(fiber);
  BlockRunner& runner = *self.thread.block;
  for (;;) {
    std::string error;
    try {
      runner.launch_->program.run(runner.launch_->program.body, runner.cursor_);
    } catch (const std::exception& exception) {
      error = std::string("exception in a kernel: ") + exception.what();
    } catch (...) {
      error = "exception of unknown type in a kernel";
    }
    if (!error.empty()) runner.fail_here(ErrorKind::device_assert, std::move(error), {});
    runner.leave(self);
  }
}

// The carrier has no threads left. Continues another, or goes home when the block is done; comes back when
// a later block takes the carrier again.
void BlockRunner::leave(Carrier& self) {
  if (detail::sweep.next != nullptr) leave_sweep();
  self.thread.in_use = false;
  idle_.push_back(&self);
  Carrier* next = pick();
  if (next == nullptr) next = resolve_standstill();
  if (next == &self) return;  // cannot be: there is no thread left to start
  if (next != nullptr) return detail::go_to(&next->thread);
  Fiber::change(self.thread.fiber, home_);
}

Carrier* BlockRunner::pick_random() {
  const unsigned choices = ready_.size() + (cursor_.exhausted() ? 0 : 1);
  if (choices == 0) return nullptr;
  const unsigned choice = schedule_.choose(choices);
  if (choice == ready_.size()) return fresh_carrier();
  std::swap(ready_[0], ready_[choice]);
  return ready_.pop();
}

// ---- threads
// ------------------------------------------------------------------------------------------------

void BlockRunner::thread_returned(Carrier& carrier) {
  carrier.thread.has_leftovers = false;
  if (carrier.thread.held != nullptr) release_rendezvous(std::exchange(carrier.thread.held, nullptr));
  if (kChecked && !carrier.copies.pending.empty()) {
    const AsyncCopy& copy = carrier.copies.pending.front();
    fail_here(
        ErrorKind::cp_async,
        fmt::format("the thread returned with {} cp.async copies that no wait covers; their bytes may never "
                    "arrive",
                    carrier.copies.pending.size()),
        {copy.site});
  }
  carrier.copies.clear();
}

void* BlockRunner::place_static_shared(SharedSite& site) {
  std::byte* address = shared_.place(site);
  if (address == nullptr) {
    fail_here(ErrorKind::launch_configuration,
              fmt::format("static shared memory exceeds {} bytes with '{}'; use dynamic shared memory",
                          SharedArena::kStaticLimit, site.name),
              {});
  }
  if (shared_.static_bytes() + shared_.view().dynamic_bytes > options_.shared_limit_bytes) {
    fail_here(ErrorKind::launch_configuration,
              fmt::format("static ({}) and dynamic ({}) shared memory exceed the limit of {} bytes a block",
                          shared_.static_bytes(), shared_.view().dynamic_bytes, options_.shared_limit_bytes),
              {});
  }
  return address;
}

}  // namespace remeasure::simt
