// SPDX-License-Identifier: Apache-2.0
//
// Runs experiments one after the other, each in a process of its own, so that a crash, a hang or an exhausted
// memory is one row of the result and the rest goes on.
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
  std::vector<Outcome> outcomes;  ///< of the experiments that were started, in their order
  bool interrupted = false;
  std::vector<Unreached> unreached;  ///< cases that a budget left out
  std::string refused;               ///< why the run can't go on, for any experiment; else empty
};

/// `interrupts` gives how often the user has asked to stop: once, the running case is abandoned and
/// everything that is finished kept; twice, the worker is killed at once.
RunReport run_experiments(std::span<const Registered> experiments, const Settings& settings,
                          const WorkerCommand& worker, ProgressView& view,
                          const std::function<int()>& interrupts);

/// The cases that are still to run, with what earlier records say of their times: those of the same machine,
/// size and experiment in settings.out or settings.recorded; else the mean case of a smaller size as a lower
/// bound; else nothing.
std::vector<Candidate> candidates_of(const Registered& registered, const Settings& settings,
                                     const reports::System& machine);

/// 0, 2, 4, 5 or 130: what a run says to the shell (see cli/exit_codes.h).
int exit_code(const RunReport& report);

}  // namespace remeasure::bench::runner
