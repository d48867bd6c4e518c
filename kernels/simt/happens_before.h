// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <unordered_map>
#include <vector>

namespace remeasure::simt {

/// Which accesses are ordered before what a thread does now. Time is a counter of the running block that goes
/// up at every block barrier and warp rendezvous; blocks run one after another. In a cooperative launch they
/// take turns and share one counter, so that times of different blocks compare.
class HappensBefore {
 public:
  void begin_launch(bool cooperative = false);
  void begin_block(std::uint32_t block);
  /// A block that begin_block() has begun goes on; cooperative launches only.
  void continue_block(std::uint32_t block);
  /// All blocks of a cooperative launch stood there: all that they did is before all that they do.
  void grid_barrier_opened() { last_grid_barrier_ = last_barrier_ = now_++; }
  void barrier_opened() { last_barrier_ = now_++; }
  void warp_met(unsigned warp, std::uint32_t mask);
  /// __threadfence by a thread, and an atomic operation at an address: the two halves of CUDA's message
  /// passing between blocks (programming guide, "Memory Fence Functions"). Whoever reaches the address later
  /// with an atomic operation has this block's earlier accesses before its own. The thread's barriers and its
  /// block's are not told apart, so too much may be ordered, never too little.
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
  /// What the blocks of a cooperative launch have each for themselves.
  struct OfBlock {
    std::uint32_t last_barrier = 0;
    std::uint64_t serial = 0;
    std::vector<Warp> warps = std::vector<Warp>(32);
    std::vector<bool> fenced;
    std::unordered_map<std::uint32_t, std::uint32_t> acquired;
  };
  void put_aside();
  struct Release {
    std::uint32_t block;
    std::uint32_t time;
  };

  std::uint32_t now_ = 1;
  std::uint32_t last_barrier_ = 0;
  std::uint32_t block_ = 0;
  std::uint64_t block_serial_ = 0;
  std::uint64_t latest_serial_ = 0;
  std::vector<Warp> warps_ = std::vector<Warp>(32);
  bool any_fence_ = false;                                             ///< in this launch
  std::vector<bool> fenced_ = std::vector<bool>(1024, false);          ///< threads of this block
  std::unordered_map<std::uintptr_t, std::vector<Release>> releases_;  ///< of this launch
  std::unordered_map<std::uint32_t, std::uint32_t> acquired_;          ///< by this block: other block -> time
  bool cooperative_ = false;
  bool block_begun_ = false;  ///< in this launch
  std::uint32_t last_grid_barrier_ = 0;
  std::unordered_map<std::uint32_t, OfBlock> aside_;  ///< blocks that wait for their turn
};

}  // namespace remeasure::simt
