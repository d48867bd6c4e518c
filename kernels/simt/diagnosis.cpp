// SPDX-License-Identifier: Apache-2.0
//
// Why a block stands still: which threads wait where, which have returned, and which rule that breaks.
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <string>
#include <utility>

#include "kernels/simt/block_runner.h"
#include "kernels/simt/engine.h"

namespace remeasure::simt {

Finding BlockRunner::finding(ErrorKind kind) const {
  Finding found;
  found.kind = kind;
  found.kernel = std::string(launch_->info->name);
  found.in_block = true;
  found.block = block_index_;
  return found;
}

std::vector<Dim3> BlockRunner::indices(const std::vector<unsigned>& threads) const {
  std::vector<Dim3> result;
  for (const unsigned thread : threads) result.push_back(index_of(thread, launch_->info->block));
  return result;
}

/// Threads at the block barrier of this site; all barriers when null.
std::vector<unsigned> BlockRunner::waiting_threads(const Site* site) const {
  std::vector<unsigned> result;
  for (const auto& carrier : carriers_) {
    if (!carrier->thread.in_use || carrier->thread.waits != Waits::at_barrier) continue;
    if (site == nullptr || carrier->site == *site) result.push_back(carrier->thread.linear_thread);
  }
  std::sort(result.begin(), result.end());
  return result;
}

std::vector<unsigned> BlockRunner::returned_threads() const {
  std::vector<bool> returned(threads_, false);
  const std::uint16_t* order = cursor_.order();
  for (unsigned i = 0; i < cursor_.started(); ++i) returned[order == nullptr ? i : order[i]] = true;
  for (const auto& carrier : carriers_) {
    if (carrier->thread.in_use) returned[carrier->thread.linear_thread] = false;
  }
  std::vector<unsigned> result;
  for (unsigned i = 0; i < threads_; ++i) {
    if (returned[i]) result.push_back(i);
  }
  return result;
}

Finding BlockRunner::diagnose() const {
  for (const Rendezvous* open : open_) {
    if (open != nullptr) return diagnose_warp(*open);
  }
  return diagnose_barrier();
}

Finding BlockRunner::diagnose_barrier() const {
  const Dim3 dim = launch_->info->block;
  if (!barrier_mixed_) {
    Finding found = finding(ErrorKind::exited_while_waiting);
    const std::vector<Dim3> returned = indices(returned_threads());
    found.threads = returned;
    found.sites = {barrier_site_};
    found.message = fmt::format(
        "threads {} returned while threads {} wait at the barrier {}; let every thread reach it, or permit "
        "exited_threads_count_as_arrived",
        describe_threads(returned, dim), describe_threads(indices(waiting_threads(nullptr)), dim),
        describe(barrier_site_));
    return found;
  }
  const Site* other = nullptr;
  for (const auto& carrier : carriers_) {
    if (carrier->thread.in_use && carrier->thread.waits == Waits::at_barrier &&
        !(carrier->site == barrier_site_)) {
      other = &carrier->site;
      break;
    }
  }
  if (other == nullptr) return finding(ErrorKind::deadlock);
  Finding found = finding(ErrorKind::barrier_divergence);
  found.threads = indices(waiting_threads(other));
  found.sites = {barrier_site_, *other};
  found.message = fmt::format(
      "threads {} wait at the barrier {} while threads {} wait at the barrier {}; all threads of a block "
      "must reach the same barrier",
      describe_threads(indices(waiting_threads(&barrier_site_)), dim), describe(barrier_site_),
      describe_threads(found.threads, dim), describe(*other));
  return found;
}

Finding BlockRunner::diagnose_warp(const Rendezvous& meeting) const {
  Finding found = finding(ErrorKind::warp_mask);
  const unsigned warp = meeting.lanes[std::countr_zero(meeting.arrived)]->thread.warp();
  found.sites = {*meeting.site};
  found.message =
      fmt::format("{} with mask {:#010x} at {} waits in warp {} for lanes {:#010x}:", meeting.what,
                  meeting.mask, describe(*meeting.site), warp, meeting.mask & ~meeting.arrived);
  const std::vector<unsigned> returned = returned_threads();
  std::vector<unsigned> missing;
  const char* separator = " ";
  for (std::uint32_t rest = meeting.mask & ~meeting.arrived; rest != 0; rest &= rest - 1) {
    const auto lane = static_cast<unsigned>(std::countr_zero(rest));
    const unsigned thread = warp * kWarpSize + lane;
    missing.push_back(thread);
    if (missing.size() > 4) {
      if (missing.size() == 5) found.message += ", and more";
      continue;
    }
    found.message += fmt::format("{}lane {} ", separator, lane);
    separator = ", ";
    if (std::binary_search(returned.begin(), returned.end(), thread)) {
      found.message += "has returned";
      continue;
    }
    for (const auto& carrier : carriers_) {
      if (!carrier->thread.in_use || carrier->thread.linear_thread != thread) continue;
      const bool in_warp = carrier->thread.waits == Waits::in_warp;
      const Site& site = in_warp ? *carrier->thread.held->site : carrier->site;
      found.message += fmt::format(
          "waits in {} at {}", in_warp ? carrier->thread.held->what : "the block barrier", describe(site));
      if (in_warp) found.message += fmt::format(" with mask {:#010x}", carrier->thread.held->mask);
      if (found.sites.size() < 2) found.sites.push_back(site);
    }
  }
  found.threads = indices(missing);
  return found;
}

}  // namespace remeasure::simt
