// SPDX-License-Identifier: Apache-2.0
//
// Where the lanes of a warp meet: the primitive under shuffles, votes, ldmatrix and mma.
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <string>
#include <utility>

#include "kernels/simt/block_runner.h"
#include "kernels/simt/checked.h"

namespace remeasure::simt {

std::uint32_t BlockRunner::present_lanes(unsigned warp) const {
  const unsigned lanes = std::min(threads_ - warp * kWarpSize, kWarpSize);
  return lanes == kWarpSize ? kFullMask : (1u << lanes) - 1;
}

std::uint32_t BlockRunner::active_mask() {
  cursor_.give_back(current().thread);
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
    why = fmt::format("{} with mask {:#010x} names lanes that warp {} does not have (its lanes: {:#010x})",
                      what, mask, thread.warp(), present);
  } else {
    why = fmt::format("{} with mask {:#010x} is called by lane {}, which the mask does not name", what, mask,
                      thread.lane());
  }
  fail_here(ErrorKind::warp_mask, std::move(why), {site});
}

detail::Met BlockRunner::meet(std::uint32_t mask, const void* contribution, std::size_t bytes,
                              const Site& site, const char* what) {
  // As at the barrier: the lane in the middle of a meeting whose value has a register's size takes a path
  // without calls.
  Carrier& self = current();
  const unsigned lane = self.thread.lane();
  const unsigned warp = self.thread.warp();
  Rendezvous* const open = open_[warp];
  if (open != nullptr && open->mask == mask && open->bytes == bytes && bytes == 4 && open->what == what &&
      open->site->line == site.line && open->site->column == site.column && open->site->file == site.file &&
      (mask >> lane & 1u) != 0 && (open->arrived | 1u << lane) != mask && !ready_.empty() && !random_) {
    if (Rendezvous* held = self.thread.held; held != nullptr && --held->holders == 0) {
      held->next = free_meetings_;
      free_meetings_ = held;
    }
    std::memcpy(open->slots + lane * 4, contribution, 4);
    open->arrived |= 1u << lane;
    ++open->holders;
    open->lanes[lane] = &self;
    self.thread.held = open;
    expect_return(self.thread);
    self.thread.waits = Waits::in_warp;
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
  if (detail::sweep.next != nullptr) leave_sweep();
  plain_phases_ = 0;
  if (self.thread.held != nullptr) release_rendezvous(self.thread.held);

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
  self.thread.held = meeting;
  expect_return(self.thread);
  if (meeting->arrived != mask) {
    self.thread.waits = Waits::in_warp;
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

detail::Met detail::meet(std::uint32_t mask, const void* contribution, std::size_t bytes, const Site& site,
                         const char* what) {
  return this_thread().block->meet(mask, contribution, bytes, site, what);
}

}  // namespace remeasure::simt
