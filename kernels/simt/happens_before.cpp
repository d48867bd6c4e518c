// SPDX-License-Identifier: Apache-2.0
#include "kernels/simt/happens_before.h"

#include <algorithm>
#include <bit>
#include <utility>

namespace remeasure::simt {

void HappensBefore::begin_launch(bool cooperative) {
  any_fence_ = false;
  releases_.clear();
  cooperative_ = cooperative;
  block_begun_ = false;
  last_grid_barrier_ = 0;
  aside_.clear();
}

void HappensBefore::put_aside() {
  OfBlock& kept = aside_[block_];
  kept.last_barrier = last_barrier_;
  kept.serial = block_serial_;
  std::swap(kept.warps, warps_);
  kept.fenced = fenced_;
  std::swap(kept.acquired, acquired_);
}

void HappensBefore::continue_block(std::uint32_t block) {
  if (block == block_) return;
  put_aside();
  OfBlock& kept = aside_.at(block);
  block_ = block;
  last_barrier_ = std::max(kept.last_barrier, last_grid_barrier_);
  block_serial_ = kept.serial;
  std::swap(kept.warps, warps_);
  fenced_ = kept.fenced;
  std::swap(kept.acquired, acquired_);
}

void HappensBefore::begin_block(std::uint32_t block) {
  if (cooperative_ && block_begun_) {
    put_aside();
    ++now_;
  } else {
    now_ = 1;
  }
  block_begun_ = true;
  last_barrier_ = 0;
  block_ = block;
  block_serial_ = ++latest_serial_;
  if (!any_fence_ && !cooperative_) return;
  std::fill(fenced_.begin(), fenced_.end(), false);
  acquired_.clear();
}

void HappensBefore::warp_met(unsigned warp, std::uint32_t mask) {
  Warp& w = warps_[warp];
  if (w.block_serial != block_serial_) {
    w.block_serial = block_serial_;
    for (auto& row : w.known) row.fill(0);
  }
  std::array<std::uint32_t, 32> joint{};
  for (std::uint32_t rest = mask; rest != 0; rest &= rest - 1) {
    const auto lane = static_cast<unsigned>(std::countr_zero(rest));
    for (unsigned other = 0; other < 32; ++other) joint[other] = std::max(joint[other], w.known[lane][other]);
  }
  for (std::uint32_t rest = mask; rest != 0; rest &= rest - 1)
    joint[static_cast<unsigned>(std::countr_zero(rest))] = now_;
  for (std::uint32_t rest = mask; rest != 0; rest &= rest - 1)
    w.known[static_cast<unsigned>(std::countr_zero(rest))] = joint;
  ++now_;
}

void HappensBefore::fence(unsigned thread) {
  if (!any_fence_) {
    any_fence_ = true;
    for (auto& [block, kept] : aside_) kept.fenced.assign(kept.fenced.size(), false);
    std::fill(fenced_.begin(), fenced_.end(), false);
    acquired_.clear();
  }
  fenced_[thread] = true;
}

void HappensBefore::atomic_at(std::uintptr_t address, unsigned thread) {
  if (!any_fence_) return;
  std::vector<Release>& released = releases_[address];
  for (const Release& release : released) {
    if (release.block == block_) continue;
    std::uint32_t& time = acquired_[release.block];
    time = std::max(time, release.time);
  }
  if (!fenced_[thread]) return;
  if (!released.empty() && released.back().block == block_) {
    released.back().time = now_;
  } else {
    released.push_back({block_, now_});
  }
  ++now_;  // what this block does after the release is not part of it
}

bool HappensBefore::other_block_ordered(std::uint32_t block, std::uint32_t time) const {
  if (time <= last_grid_barrier_) return true;
  if (!any_fence_) return false;
  const auto entry = acquired_.find(block);
  return entry != acquired_.end() && time <= entry->second;
}

}  // namespace remeasure::simt
