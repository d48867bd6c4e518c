// SPDX-License-Identifier: Apache-2.0
//
// Which of a library's algorithms is the baseline: the fastest one, tried on the problem itself. A library's
// heuristics order their candidates by a model; a speedup over a slower candidate would be a speedup over a
// guess.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string>

namespace remeasure::baselines {

struct Candidate {
  std::string name;  ///< library, algorithm and its settings
  std::size_t workspace_bytes = 0;
};

struct Choice {
  std::size_t index = 0;
  double seconds = 0;
  std::size_t failed = 0;  ///< candidates that threw, or took no measurable time
  /// "<name>, workspace 4 MiB; fastest of 17 (2 failed)"
  std::string setting;
};

/// Calls `seconds(i)` once for each candidate; the least time wins, of equal times the smaller workspace,
/// then the earlier. A candidate that throws is left out. Throws DeviceError if none is left, with the reason
/// of the last.
Choice choose_fastest(std::span<const Candidate> candidates,
                      const std::function<double(std::size_t)>& seconds);

}  // namespace remeasure::baselines
