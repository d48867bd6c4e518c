// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "bench/experiment.h"
#include "bench/runner/progress.h"
#include "bench/runner/settings.h"
#include "reports/record.h"

namespace remeasure::bench::runner {

/// How one experiment ended. The record on disk has the rest.
struct Outcome {
  std::string id, theme;
  bool ran = false;                    ///< false: no case matches the filter
  reports::RunState state = reports::RunState::partial;
  std::string error;
  std::int64_t cases_total = 0, cases_reused = 0;
  double seconds = 0;
  reports::Record record;
  std::vector<std::string> declared_variants;
  std::string refused;                 ///< why no experiment can run this way (a full disk); then no record was written
};

/// `executable` and `leading_arguments` start this program as a worker; the assignment is appended.
struct WorkerCommand {
  std::filesystem::path executable = "/proc/self/exe";
  std::vector<std::string> leading_arguments = {"remeasure", "worker"};
};

/// What a supervisor needs from the run that it belongs to.
struct RunContext {
  const Settings& settings;
  const WorkerCommand& worker;
  ProgressView& view;
  const Estimator& estimator;
  const std::function<int()>& interrupts;   ///< how often the user has asked to stop
  std::chrono::steady_clock::time_point start;
};

/// Runs one experiment in a worker and completes its record with what the worker couldn't write: that it crashed or was
/// stopped, in which case, and how. `number` of `count` is for the eye.
Outcome supervise(const Registered& registered, int number, int count, const RunContext& context);

}  // namespace remeasure::bench::runner
