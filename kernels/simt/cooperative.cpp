// SPDX-License-Identifier: Apache-2.0
//
// The blocks of a cooperative launch take turns on one CPU thread. A block keeps its turn until all of its
// threads stand at a grid barrier or have returned, and under some seeds gives it away when a block barrier
// opens. When no block can go on, the grid barrier is complete and opens, or what the blocks wait for can
// never come, and that is the error.
#include "kernels/simt/cooperative.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>

#include "kernels/simt/block_runner.h"
#include "kernels/simt/checked.h"
#include "kernels/simt/cooperative_grid.h"
#include "kernels/simt/fault_handler.h"
#include "kernels/simt/watchdog.h"

namespace remeasure::simt {

namespace detail {
constinit thread_local bool next_launch_cooperative = false;

Next arrive_at_grid(Site site) {
  return this_thread().block->arrive_at_grid(site);
}
}  // namespace detail

std::uint64_t resident_blocks(Dim3 block, std::size_t shared_bytes) {
  // CUDA C++ Programming Guide, technical specifications of compute capability 9.0; each block takes 1 KiB of
  // shared memory for itself.
  constexpr std::uint64_t kMultiprocessors = 132;
  constexpr std::uint64_t kThreads = 2048;
  constexpr std::uint64_t kBlocks = 32;
  constexpr std::uint64_t kSharedBytes = 228 * 1024;
  const std::uint64_t threads = (block.count() + kWarpSize - 1) / kWarpSize * kWarpSize;
  return kMultiprocessors * std::min({kBlocks, kThreads / threads, kSharedBytes / (shared_bytes + 1024)});
}

// ---- one block
// --------------------------------------------------------------------------------------------------

void BlockRunner::begin_turns(LaunchState& launch, std::uint64_t block) {
  begin_launch(launch);
  next_turn_ = &begin_block(block)->thread;
  kept_sweep_ = {};
}

TurnEnd BlockRunner::take_turn() {
  const FaultHandler handler(*this);
  const Watchdog watchdog(*this, options_.spin_limit_seconds);
  turn_end_ = TurnEnd::returned;  // a block that comes home without giving its turn away is done
  if (sigsetjmp(after_fault_, 0) != 0) {
    Fiber::after_jump_to(home_);
    finding_ = after_fault();
  } else {
    check::continue_block(*this);
    detail::shared_view = shared_.view();
    detail::sweep = std::exchange(kept_sweep_, {});
    detail::current_thread = next_turn_;
    Fiber::change(home_, next_turn_->fiber);
  }
  detail::current_thread = nullptr;
  kept_sweep_ = std::exchange(detail::sweep, {});
  return finding_ ? TurnEnd::failed : turn_end_;
}

/// Called on the fiber of the thread that goes on at the block's next turn.
void BlockRunner::give_turn_away(TurnEnd why) {
  turn_end_ = why;
  next_turn_ = detail::current_thread;
  Fiber::change(next_turn_->fiber, home_);
}

std::optional<Finding> BlockRunner::end_turns() {
  abandon_block();
  return std::exchange(finding_, std::nullopt);
}

detail::Next BlockRunner::arrive_at_grid(const Site& site) {
  if (!launch_->cooperative) {
    fail_here(ErrorKind::launch_configuration,
              "a grid barrier needs a cooperative launch (launch_cooperative)", {site});
  }
  if (detail::sweep.next != nullptr) leave_sweep();
  plain_phases_ = 0;
  Carrier& self = current();
  self.thread.waits = Waits::at_barrier;
  self.site = site;
  if (waiting_.empty()) {
    barrier_site_ = site;
    at_grid_ = true;
  } else if (!(site == barrier_site_)) {
    barrier_mixed_ = true;
  }
  waiting_.push(&self);
  return next_after(self);
}

// ---- all blocks
// -------------------------------------------------------------------------------------------------

void CooperativeGrid::reset_counters() {
  for (const auto& block : blocks_) block->counters().fill(0);
}

void CooperativeGrid::add_counters(LaunchCounts& counts) const {
  for (const auto& block : blocks_) {
    for (std::size_t i = 0; i < kCounters; ++i) counts.values[i] += block->counters()[i];
  }
}

std::optional<Finding> CooperativeGrid::run(LaunchState& launch, const EngineOptions& options) {
  launch_ = &launch;
  finding_.reset();
  const auto count = static_cast<std::size_t>(launch.blocks);
  while (blocks_.size() < count)
    blocks_.push_back(std::make_unique<BlockRunner>(options, options.schedule_seed));
  for (std::size_t i = 0; i < count; ++i) {
    static_cast<void>(blocks_[i]->end_turns());  // of a launch that found no room for all its threads
    blocks_[i]->set_options(options);
    blocks_[i]->begin_turns(launch, i);
  }
  ends_.assign(count, TurnEnd::not_done);
  Schedule schedule(options.schedule_seed);
  schedule.begin_launch(launch.blocks, 1);
  static_cast<void>(schedule.thread_order(launch.blocks));  // begins the seed's choices
  if (std::optional<Finding> found = take_turns(schedule)) {
    for (std::size_t i = 0; i < count; ++i) static_cast<void>(blocks_[i]->end_turns());
    return found;
  }
  return std::nullopt;
}

std::optional<Finding> CooperativeGrid::take_turns(Schedule& schedule) {
  std::vector<std::size_t> ready;
  do {
    ready.clear();
    for (std::size_t i = 0; i < ends_.size(); ++i) ready.push_back(i);
    std::erase_if(ready, [&](std::size_t i) { return ends_[i] != TurnEnd::not_done; });
    while (!ready.empty()) {
      const auto turn = ready.begin() + schedule.next_turn(static_cast<unsigned>(ready.size()));
      TurnEnd& end = ends_[*turn];
      end = blocks_[*turn]->take_turn();
      if (end == TurnEnd::failed) return blocks_[*turn]->end_turns();
      if (end != TurnEnd::not_done) ready.erase(turn);
    }
  } while (!resolve());
  return std::exchange(finding_, std::nullopt);
}

bool CooperativeGrid::resolve() {
  const auto waits = std::find(ends_.begin(), ends_.end(), TurnEnd::at_grid_barrier);
  if (waits == ends_.end()) return true;
  const Site& site = blocks_[static_cast<std::size_t>(waits - ends_.begin())]->barrier_site();
  for (std::size_t i = 0; i < ends_.size(); ++i) {
    if (ends_[i] == TurnEnd::at_grid_barrier && blocks_[i]->barrier_site() == site) continue;
    finding_ = diagnose(ends_[i], site);
    return true;
  }
  check::grid_barrier_opened();
  std::fill(ends_.begin(), ends_.end(), TurnEnd::not_done);
  return false;
}

/// Some blocks wait at the grid barrier of this site, and others can't come there: they have returned, or
/// wait elsewhere.
Finding CooperativeGrid::diagnose(TurnEnd others, const Site& site) const {
  std::vector<Dim3> waiting;
  std::vector<Dim3> in_the_way;
  const Site* elsewhere = nullptr;
  for (std::size_t i = 0; i < ends_.size(); ++i) {
    const bool here = ends_[i] == TurnEnd::at_grid_barrier && blocks_[i]->barrier_site() == site;
    if (here) waiting.push_back(blocks_[i]->block_index());
    if (here || ends_[i] != others) continue;
    in_the_way.push_back(blocks_[i]->block_index());
    if (others == TurnEnd::at_grid_barrier) elsewhere = &blocks_[i]->barrier_site();
  }
  Finding found;
  found.kernel = std::string(launch_->info->name);
  found.in_block = true;
  found.block = in_the_way.front();
  found.sites = {site};
  const Dim3 grid = launch_->info->grid;
  const std::string who =
      fmt::format("blocks {} wait at the grid barrier {}", describe_threads(waiting, grid), describe(site));
  if (elsewhere == nullptr) {
    found.kind = ErrorKind::exited_while_waiting;
    found.message = fmt::format("blocks {} returned while {}; let every block reach it",
                                describe_threads(in_the_way, grid), who);
  } else {
    found.kind = ErrorKind::barrier_divergence;
    found.sites.push_back(*elsewhere);
    found.message =
        fmt::format("{} while blocks {} wait at the grid barrier {}; all blocks must reach the same barrier",
                    who, describe_threads(in_the_way, grid), describe(*elsewhere));
  }
  return found;
}

}  // namespace remeasure::simt
