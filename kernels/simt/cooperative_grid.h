// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "kernels/simt/block_runner.h"
#include "kernels/simt/counts.h"

namespace remeasure::simt {

/// Runs cooperative launches: a runner for each block, which stay for the launches that follow.
class CooperativeGrid {
 public:
  /// All blocks, in turns. What was wrong, if anything was.
  std::optional<Finding> run(LaunchState& launch, const EngineOptions& options);
  void reset_counters();
  void add_counters(LaunchCounts& counts) const;

 private:
  std::optional<Finding> take_turns(Schedule& schedule);
  /// No block can go on. Whether all have returned; opens the grid barrier when all stand at one; else the
  /// error.
  bool resolve();
  Finding diagnose(TurnEnd others, const Site& site) const;

  std::vector<std::unique_ptr<BlockRunner>> blocks_;
  std::vector<TurnEnd> ends_;  ///< of each block of this launch, as of its latest turn
  std::optional<Finding> finding_;
  LaunchState* launch_ = nullptr;
};

}  // namespace remeasure::simt
