// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/simt/dim3.h"

namespace remeasure::simt {

/// The order in which a seed runs the blocks of a grid and the threads of a block. The same seed, grid and
/// block give the same order on every machine; seed 0 is ascending.
class Schedule {
 public:
  explicit Schedule(std::uint64_t seed = 0) : seed_(seed) {}

  bool ascending() const { return seed_ == 0; }
  /// For the launch that follows.
  void begin_launch(std::uint64_t blocks, unsigned block_threads);
  /// Block number of the `position`-th block to run; a bijection.
  std::uint64_t block_at(std::uint64_t position) const;
  /// Start order of the block's threads; null for ascending. Valid until the next call.
  const std::uint16_t* thread_order(std::uint64_t block);
  /// A number below `bound` for the next choice inside the block begun by thread_order().
  unsigned choose(unsigned bound);
  /// Which of several blocks of a cooperative launch has the next turn, in their order; and whether one that
  /// opens a block barrier gives its turn away there.
  unsigned next_turn(unsigned blocks);
  bool gives_turn_away();
  /// Whether waiting threads go on in a random order rather than the one they came in.
  bool shuffles_ready_threads() const { return style_ == Style::random; }

 private:
  // Four ways to be unkind; to the blocks of a cooperative launch as well. Descending order and whole warps
  // in random order find what a uniform shuffle rarely produces: a consumer that always runs before its
  // producer.
  enum class Style { descending, warps, lanes, random };

  std::uint64_t seed_;
  Style style_ = Style::random;
  std::uint64_t blocks_ = 0;
  std::uint64_t multiplier_ = 1;
  std::uint64_t offset_ = 0;
  std::uint64_t state_ = 0;
  std::vector<std::uint16_t> order_;
};

}  // namespace remeasure::simt
