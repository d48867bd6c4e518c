// SPDX-License-Identifier: Apache-2.0
//
// Runs experiments one after the other, each in a process of its own, so that a crash, a hang or an exhausted memory is
// one row of the result and the rest goes on.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "bench/experiment.h"
#include "bench/runner/progress.h"
#include "bench/runner/settings.h"
#include "bench/runner/supervisor.h"

namespace remeasure::bench::runner {

struct RunReport {
  std::vector<Outcome> outcomes;       ///< of the experiments that were started, in their order
  bool interrupted = false;
  std::string refused;                 ///< why the run can't go on, for any experiment; else empty
};

/// `interrupts` gives how often the user has asked to stop: once, the running case is abandoned and everything that is
/// finished kept; twice, the worker is killed at once.
RunReport run_experiments(std::span<const Registered> experiments, const Settings& settings,
                          const WorkerCommand& worker, ProgressView& view, const std::function<int()>& interrupts);

/// 0, 2, 4, 5 or 130: what a run says to the shell (see cli/exit_codes.h).
int exit_code(const RunReport& report);

}  // namespace remeasure::bench::runner
