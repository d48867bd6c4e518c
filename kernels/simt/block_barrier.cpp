// SPDX-License-Identifier: Apache-2.0
//
// The block barrier. Threads that arrive queue up; the last one opens it. From the second barrier of a block
// on, if nothing but barriers has made threads wait, they go in a *sweep*: the threads stand in a row, each
// arrival continues the next of the row, and the last begins the row anew. The queues are then implied by the
// place in the row, so that an arrival is a handful of instructions inside the kernel (block_barrier in
// thread.h). A meeting of lanes, a thread that returns, or another barrier ends the sweep and restores the
// queues.
#include <utility>

#include "kernels/simt/block_runner.h"
#include "kernels/simt/checked.h"
#include "kernels/simt/engine.h"

namespace remeasure::simt {

detail::Next BlockRunner::arrive(int value, const Site& site) {
  barrier_sum_ += value;
  return arrive(site);
}

detail::Next BlockRunner::arrive(const Site& site) {
  if (detail::sweep.next != nullptr) return arrive_in_sweep(site);
  if (ready_.empty() || waiting_.empty() || random_) return arrive_first_or_last(site);
  if (!(barrier_site_ == site)) return arrive_first_or_last(site);
  Carrier& self = current();
  self.thread.waits = Waits::at_barrier;
  self.site = site;
  waiting_.push(&self);
  cursor_.give_back(self.thread);
  return &pop_ready()->thread;
}

detail::Next BlockRunner::arrive_first_or_last(const Site& site) {
  Carrier& self = current();
  self.thread.waits = Waits::at_barrier;
  self.site = site;
  if (waiting_.empty()) {
    barrier_site_ = site;
  } else if (!(site == barrier_site_)) {
    barrier_mixed_ = true;
  }
  if (waiting_.size() + 1 == threads_ && !barrier_mixed_ && !random_) {
    barrier_complete();
    if (plain_phases_++ != 0 && threads_ > 1) return begin_sweep(self);
    std::swap(ready_, waiting_);
    return nullptr;  // the last to arrive goes on at once
  }
  waiting_.push(&self);
  return next_after(self);
}

// ---- sweep
// --------------------------------------------------------------------------------------------------

/// Everyone stands at a barrier that is complete: in the queue, but for the last.
detail::Next BlockRunner::begin_sweep(Carrier& last) {
  unsigned n = 0;
  while (!waiting_.empty()) row_[n++] = &waiting_.pop()->thread;
  row_[n++] = &last.thread;
  row_[n] = nullptr;
  detail::sweep = {.next = &row_[1]};
  return row_[0];
}

// The first of the row and the last, and whoever the short way in the kernel does not recognise.
detail::Next BlockRunner::arrive_in_sweep(const Site& site) {
  if (detail::sweep.file == nullptr) {
    barrier_site_ = site;
    detail::sweep.file = site.file;
    detail::sweep.line = site.line;
    detail::sweep.column = site.column;
  } else if (!(site == barrier_site_)) {
    leave_sweep();
    return arrive_first_or_last(site);
  }
  if (*detail::sweep.next == nullptr) {
    barrier_complete();
    detail::sweep = {.next = &row_[0]};
  }
  return *detail::sweep.next++;
}

/// The running thread's place in the row tells who waits and who is ready.
void BlockRunner::leave_sweep() {
  const detail::Sweep sweep = detail::sweep;
  detail::sweep = {};
  ThreadState* const* const self = sweep.next - 1;
  const auto carrier = [](ThreadState* thread) { return reinterpret_cast<Carrier*>(thread); };
  for (ThreadState* const* each = &row_[0]; each != self; ++each) {
    (*each)->waits = Waits::at_barrier;
    carrier(*each)->site = barrier_site_;
    waiting_.push(carrier(*each));
  }
  for (ThreadState* const* each = sweep.next; *each != nullptr; ++each) ready_.push(carrier(*each));
}

// ---- opening
// ------------------------------------------------------------------------------------------------

void BlockRunner::barrier_complete() {
  barrier_result_ = std::exchange(barrier_sum_, 0);
  ++counters_[static_cast<std::size_t>(Counter::barriers)];
  check::barrier_opened(*this);
  if (launch_->cooperative && schedule_.gives_turn_away()) give_turn_away(TurnEnd::not_done);
}

void BlockRunner::open_barrier() {
  barrier_complete();
  std::swap(ready_, waiting_);
}

// Nothing is ready and nothing is left to start. Null: the block is done.
Carrier* BlockRunner::resolve_standstill() {
  bool meeting_open = false;
  for (const Rendezvous* open : open_) meeting_open = meeting_open || open != nullptr;
  if (waiting_.empty() && !meeting_open) return nullptr;
  const bool permitted =
      options_.exited_threads_count_as_arrived || launch_->info->exited_threads_count_as_arrived;
  if (meeting_open || barrier_mixed_ || (waiting_.size() != threads_ && !permitted)) fail(diagnose());
  if (at_grid_) {
    give_turn_away(TurnEnd::at_grid_barrier);
    at_grid_ = false;
    ++counters_[static_cast<std::size_t>(Counter::barriers)];
    std::swap(ready_, waiting_);
  } else {
    open_barrier();
  }
  return pick();
}

// ---- what kernels call
// --------------------------------------------------------------------------------------

detail::Next detail::arrive_at_barrier(Site site) {
  return this_thread().block->arrive(site);
}

detail::Next detail::arrive_at_barrier(int value, Site site) {
  return this_thread().block->arrive(value, site);
}

}  // namespace remeasure::simt
