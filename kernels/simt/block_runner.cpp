// SPDX-License-Identifier: Apache-2.0
#include "kernels/simt/block_runner.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <exception>
#include <string>
#include <utility>

#include "kernels/simt/checked.h"
#include "kernels/simt/engine.h"
#include "kernels/simt/fault_handler.h"

namespace remeasure::simt {

namespace detail {
constinit thread_local ThreadState* current_thread = nullptr;
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

// ---- hot helpers: every wait goes through these --------------------------------------------------------------

[[gnu::always_inline]] inline Carrier* BlockRunner::pop_ready() {
  Carrier* next = ready_.pop();
  // With many fibers their stacks are in the second-level cache: fetch those of the ones that follow.
  if (ready_.size() > 48) {
    ready_[1]->thread.fiber.prefetch();
    __builtin_prefetch(&ready_[4]->thread.fiber);
  }
  return next;
}

[[gnu::always_inline]] inline Carrier* BlockRunner::pick() {
  if (random_) [[unlikely]] return pick_random();
  if (!ready_.empty()) return pop_ready();
  return cursor_.exhausted() ? nullptr : fresh_carrier();
}

/// Whom to continue now that `self` waits; null when that is itself.
[[gnu::always_inline]] inline detail::Next BlockRunner::next_after(Carrier& self) {
  Carrier* next = pick();
  if (next == nullptr) [[unlikely]] next = resolve_standstill();
  return next == &self ? nullptr : &next->thread;
}

// ---- blocks -------------------------------------------------------------------------------------------------

void BlockRunner::begin_launch(LaunchState& launch) {
  launch_ = &launch;
  finding_.reset();
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
  // The fault handler comes back here from a stack that has no room left, so nothing is unwound.
  if (sigsetjmp(after_fault_, 0) != 0) {
    Fiber::after_jump_to(home_);
    const bool overflow = fault_guard_ >= 0;
    Carrier* carrier = overflow ? carriers_[static_cast<std::size_t>(fault_guard_)] : nullptr;
    if (carrier == nullptr) carrier = &current();
    finding_ = finding(overflow ? ErrorKind::stack_overflow : ErrorKind::out_of_bounds);
    finding_->threads = {carrier->thread.thread_index};
    finding_->message =
        overflow ? fmt::format("the stack of a CUDA thread ({} KiB) is used up; raise EngineOptions::stack_bytes, or "
                               "make local arrays or recursion smaller",
                               options_.stack_bytes / 1024)
                 : fmt::format("access to unmapped memory at address {}", fault_address_);
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

void BlockRunner::run_block(std::uint64_t block) {
  block_ = block;
  block_index_ = index_of(block, launch_->info->grid);
  cursor_.restart(launch_->info->block, schedule_.thread_order(block));
  shared_.begin_block(++block_serial_);
  check::begin_block(*this);
  Carrier* first = fresh_carrier();
  detail::current_thread = &first->thread;
  Fiber::change(home_, first->thread.fiber);
  detail::current_thread = nullptr;
  if (finding_) abandon_block();
}

// After an error every fiber is forgotten where it stands and begins anew; the stacks stay.
void BlockRunner::abandon_block() {
  ready_.clear();
  waiting_.clear();
  barrier_mixed_ = false;
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
    each.held = nullptr;
    each.in_use = false;
    each.copies.clear();
    each.thread.has_leftovers = false;
    each.thread.fiber.prepare(each.stack, &BlockRunner::carry, &each);
    idle_.push_back(&each);
  }
}

void BlockRunner::jump_home() {
  Carrier& self = current();
  Fiber::change(self.thread.fiber, home_);
  std::abort();  // an abandoned fiber is never continued
}

void BlockRunner::fail(Finding finding) {
  if (!finding_) finding_ = std::move(finding);
  // Nothing of this frame is destroyed after the jump: free what it owns now.
  { const Finding moved_from = std::move(finding); }
  jump_home();
}

// ---- carriers -----------------------------------------------------------------------------------------------

Carrier* BlockRunner::make_carrier() {
  Stack stack = stacks_.add();
  stack.bytes = (stack.bytes - sizeof(Carrier)) / 64 * 64;
  Carrier& carrier = *::new (stack.low + stack.bytes) Carrier();
  carriers_.push_back(&carrier);
  carrier.stack = stack;
  carrier.thread.block = this;
  carrier.thread.counters = counters_.data();
  carrier.thread.fiber.prepare(carrier.stack, &BlockRunner::carry, &carrier);
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
  carrier->in_use = true;
  carrier->thread.block_index = block_index_;
  carrier->thread.block_dim = launch_->info->block;
  carrier->thread.grid_dim = launch_->info->grid;
  return carrier;
}

void BlockRunner::carry(void* argument) {
  Carrier& self = *static_cast<Carrier*>(argument);
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
  self.in_use = false;
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

// ---- block barrier ------------------------------------------------------------------------------------------

detail::Next BlockRunner::arrive(int value, const Site& site) {
  barrier_sum_ += value;
  return arrive(site);
}

// In a block of many threads nearly every arrival finds others waiting here and others ready: that path calls nothing,
// so it saves no registers.
detail::Next BlockRunner::arrive(const Site& site) {
  if (ready_.empty() || waiting_.empty() || random_) return arrive_first_or_last(site);
  const Site& open = *barrier_site_;
  if (open.line != site.line || open.column != site.column || open.file != site.file) return arrive_first_or_last(site);
  Carrier& self = current();
  self.waits = Carrier::Waits::at_barrier;
  self.site = &site;
  waiting_.push(&self);
  return &pop_ready()->thread;
}

detail::Next BlockRunner::arrive_first_or_last(const Site& site) {
  Carrier& self = current();
  self.waits = Carrier::Waits::at_barrier;
  self.site = &site;
  if (waiting_.empty()) {
    barrier_site_ = &site;
  } else if (!(site == *barrier_site_)) {
    barrier_mixed_ = true;
  }
  if (waiting_.size() + 1 == threads_ && !barrier_mixed_ && !random_) {
    open_barrier();  // the last to arrive goes on at once
    return nullptr;
  }
  waiting_.push(&self);
  return next_after(self);
}

void BlockRunner::open_barrier() {
  std::swap(ready_, waiting_);
  barrier_result_ = std::exchange(barrier_sum_, 0);
  ++counters_[static_cast<std::size_t>(Counter::barriers)];
  check::barrier_opened(*this);
}

// Nothing is ready and nothing is left to start. Null: the block is done.
Carrier* BlockRunner::resolve_standstill() {
  bool meeting_open = false;
  for (const Rendezvous* open : open_) meeting_open = meeting_open || open != nullptr;
  if (waiting_.empty() && !meeting_open) return nullptr;
  const bool permitted =
      options_.exited_threads_count_as_arrived || launch_->info->exited_threads_count_as_arrived;
  if (meeting_open || barrier_mixed_ || (waiting_.size() != threads_ && !permitted)) fail(diagnose());
  open_barrier();
  return pick();
}

// ---- warp ---------------------------------------------------------------------------------------------------

std::uint32_t BlockRunner::present_lanes(unsigned warp) const {
  const unsigned lanes = std::min(threads_ - warp * kWarpSize, kWarpSize);
  return lanes == kWarpSize ? kFullMask : (1u << lanes) - 1;
}

std::uint32_t BlockRunner::active_mask() const {
  const unsigned warp = current().thread.warp();
  std::uint32_t returned = 0;
  for (const unsigned thread : returned_threads()) {
    if (thread / kWarpSize == warp) returned |= 1u << thread % kWarpSize;
  }
  return present_lanes(warp) & ~returned;
}

Rendezvous* BlockRunner::new_rendezvous() {
  if (free_meetings_ == nullptr) {
    meetings_.push_back(std::make_unique<Rendezvous>());
    return meetings_.back().get();
  }
  return std::exchange(free_meetings_, free_meetings_->next);
}

void BlockRunner::release_rendezvous(Rendezvous* meeting) {
  if (--meeting->holders != 0) return;
  meeting->next = free_meetings_;
  free_meetings_ = meeting;
}

void BlockRunner::refuse_exchange(std::uint32_t mask, std::size_t bytes, const Site& site, const char* what) {
  const ThreadState& thread = current().thread;
  const std::uint32_t present = present_lanes(thread.warp());
  std::string why;
  if (bytes > kMaxContribution) {
    why = fmt::format("{} brings {} bytes a lane; at most {} fit", what, bytes, kMaxContribution);
  } else if ((mask & ~present) != 0) {
    why = fmt::format("{} with mask {:#010x} names lanes that warp {} does not have (its lanes: {:#010x})", what, mask,
                      thread.warp(), present);
  } else {
    why = fmt::format("{} with mask {:#010x} is called by lane {}, which the mask does not name", what, mask,
                      thread.lane());
  }
  fail_here(ErrorKind::warp_mask, std::move(why), {site});
}

detail::Met BlockRunner::meet(std::uint32_t mask, const void* contribution, std::size_t bytes, const Site& site,
                              const char* what) {
  // As at the barrier: the lane in the middle of a meeting whose value has a register's size takes a path without calls.
  Carrier& self = current();
  const unsigned lane = self.thread.lane();
  const unsigned warp = self.thread.warp();
  Rendezvous* const open = open_[warp];
  if (open != nullptr && open->mask == mask && open->bytes == bytes && bytes == 4 && open->what == what &&
      open->site->line == site.line && open->site->column == site.column && open->site->file == site.file &&
      (mask >> lane & 1u) != 0 && (open->arrived | 1u << lane) != mask && !ready_.empty() && !random_) {
    if (Rendezvous* held = self.held; held != nullptr && --held->holders == 0) {
      held->next = free_meetings_;
      free_meetings_ = held;
    }
    std::memcpy(open->slots + lane * 4, contribution, 4);
    open->arrived |= 1u << lane;
    ++open->holders;
    open->lanes[lane] = &self;
    self.held = open;
    self.thread.has_leftovers = true;
    self.waits = Carrier::Waits::in_warp;
    return {open->slots, &pop_ready()->thread};
  }
  return meet_first_or_last(mask, contribution, bytes, site, what);
}

detail::Met BlockRunner::meet_first_or_last(std::uint32_t mask, const void* contribution, std::size_t bytes,
                                            const Site& site, const char* what) {
  Carrier& self = current();
  const unsigned lane = self.thread.lane();
  const unsigned warp = self.thread.warp();
  const std::uint32_t present = present_lanes(warp);
  if ((mask >> lane & 1u) == 0 || (mask & ~present) != 0 || bytes > kMaxContribution) [[unlikely]] {
    refuse_exchange(mask, bytes, site, what);
  }
  if (self.held != nullptr) release_rendezvous(self.held);

  Rendezvous** link = &open_[warp];
  while (*link != nullptr && !((*link)->mask == mask && (*link)->bytes == bytes && *(*link)->site == site &&
                               ((*link)->what == what || std::strcmp((*link)->what, what) == 0))) {
    link = &(*link)->next;
  }
  Rendezvous* meeting = *link;
  if (meeting == nullptr) {
    meeting = new_rendezvous();
    meeting->mask = mask;
    meeting->arrived = 0;
    meeting->holders = 0;
    meeting->bytes = bytes;
    meeting->site = &site;
    meeting->what = what;
    meeting->next = nullptr;
    *link = meeting;
  }
  const std::size_t stride = bytes;
  if (bytes == 4) {
    std::memcpy(meeting->slots + lane * 4, contribution, 4);
  } else if (bytes != 0) {
    std::memcpy(meeting->slots + lane * stride, contribution, bytes);
  }
  meeting->arrived |= 1u << lane;
  ++meeting->holders;
  meeting->lanes[lane] = &self;
  self.held = meeting;
  self.thread.has_leftovers = true;
  if (meeting->arrived != mask) {
    self.waits = Carrier::Waits::in_warp;
    return {meeting->slots, next_after(self)};
  } else {
    *link = meeting->next;
    ++counters_[static_cast<std::size_t>(Counter::warp_operations)];
    check::warp_met(warp, mask);
    for (std::uint32_t rest = mask & ~(1u << lane); rest != 0; rest &= rest - 1) {
      ready_.push(meeting->lanes[std::countr_zero(rest)]);
    }
    if (random_) {  // this lane waits its turn like the others
      ready_.push(&self);
      return {meeting->slots, next_after(self)};
    }
  }
  return {meeting->slots, nullptr};
}

// Here, so that the call of a kernel ends in the path above by a jump.
detail::Next detail::arrive_at_barrier(const Site& site) { return this_thread().block->arrive(site); }

detail::Next detail::arrive_at_barrier(int value, const Site& site) {
  return this_thread().block->arrive(value, site);
}

detail::Met detail::meet(std::uint32_t mask, const void* contribution, std::size_t bytes, const Site& site,
                         const char* what) {
  return this_thread().block->meet(mask, contribution, bytes, site, what);
}

// ---- threads ------------------------------------------------------------------------------------------------

void BlockRunner::thread_returned(Carrier& carrier) {
  carrier.thread.has_leftovers = false;
  if (carrier.held != nullptr) release_rendezvous(std::exchange(carrier.held, nullptr));
  if (kChecked && !carrier.copies.pending.empty()) {
    const AsyncCopy& copy = carrier.copies.pending.front();
    fail_here(ErrorKind::cp_async,
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

void BlockRunner::fail_here(ErrorKind kind, std::string message, std::vector<Site> sites) {
  Finding found = finding(kind);
  found.message = std::move(message);
  found.threads = {current().thread.thread_index};
  found.sites = std::move(sites);
  fail(std::move(found));
}

void BlockRunner::on_fault(const void* address) {
  // Outside a kernel the fault is not the engine's; the handler passes it on.
  if (detail::current_thread == nullptr) return;
  fault_address_ = address;
  fault_guard_ = stacks_.guard_of(address);
  siglongjmp(after_fault_, 1);
}

}  // namespace remeasure::simt
