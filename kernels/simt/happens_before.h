// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <unordered_map>
#include <vector>

namespace remeasure::simt {

/// Which accesses are ordered before what a thread does now. Time is a counter of the running block that goes up at every
/// block barrier and warp rendezvous; blocks run one after another.
class HappensBefore {
 public:
  void begin_launch();
  void begin_block(std::uint32_t block);
  void barrier_opened() { last_barrier_ = now_++; }
  void warp_met(unsigned warp, std::uint32_t mask);
  /// __threadfence by a thread, and an atomic operation at an address: the two halves of CUDA's message passing
  /// between blocks (programming guide, "Memory Fence Functions"). Whoever reaches the address later with an atomic
  /// operation has this block's earlier accesses before its own. The thread's barriers and its block's
  /// are not told apart, so too much may be ordered, never too little.
  void fence(unsigned thread);
  void atomic_at(std::uintptr_t address, unsigned thread);

  std::uint32_t now() const { return now_; }
  std::uint32_t block() const { return block_; }
  std::uint32_t last_barrier() const { return last_barrier_; }

  /// Whether an access of this block's thread at that time is before what `me` does now.
  bool ordered(unsigned thread, std::uint32_t time, unsigned me) const {
    return thread == me || time <= last_barrier_ ||
           (thread / 32 == me / 32 && time <= known(me / 32, me % 32, thread % 32));
  }
  bool other_block_ordered(std::uint32_t block, std::uint32_t time) const;
  /// Up to which time lane `me` knows what lane `other` did.
  std::uint32_t known(unsigned warp, unsigned me, unsigned other) const {
    return warps_[warp].block_serial == block_serial_ ? warps_[warp].known[me][other] : 0;
  }

 private:
  struct Warp {
    std::uint64_t block_serial = 0;
    std::array<std::array<std::uint32_t, 32>, 32> known;
  };
  struct Release {
    std::uint32_t block;
    std::uint32_t time;
  };

  std::uint32_t now_ = 1;
  std::uint32_t last_barrier_ = 0;
  std::uint32_t block_ = 0;
  std::uint64_t block_serial_ = 0;
  std::array<Warp, 32> warps_{};
  bool any_fence_ = false;                                            ///< in this launch
  std::vector<bool> fenced_ = std::vector<bool>(1024, false);         ///< threads of this block
  std::unordered_map<std::uintptr_t, std::vector<Release>> releases_; ///< of this launch
  std::unordered_map<std::uint32_t, std::uint32_t> acquired_;         ///< by this block: other block -> time
};

}  // namespace remeasure::simt
