// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "bench/experiment.h"
#include "bench/runner/budget.h"
#include "bench/runner/progress.h"
#include "bench/runner/settings.h"
#include "reports/record.h"

namespace remeasure::bench::runner {

/// How one experiment ended. The record on disk has the rest.
struct Outcome {
  std::string id, theme;
  bool ran = false;  ///< false: no case matches the filter
  reports::RunState state = reports::RunState::partial;
  std::string error;
  std::int64_t cases_total = 0, cases_reused = 0;
  double seconds = 0;
  reports::Record record;
  std::vector<std::string> declared_variants;
  int device_errors = 0;  ///< workers that an error ended which no later device call survives
  std::string refused;    ///< why no experiment can run this way (a full disk); then no record was written
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
  const std::function<int()>& interrupts;  ///< how often the user has asked to stop
  std::chrono::steady_clock::time_point start;
};

/// Runs one experiment in workers and completes its record with what a worker couldn't write: that it crashed
/// or was stopped, in which case, and how. After a crash, and after an error that broke a device for its
/// process, a fresh worker goes on. `number` of `count` is for the eye.
class Supervisor {
 public:
  Supervisor(const Registered& registered, int number, int count, const RunContext& context);
  ~Supervisor();

  /// Every case that is selected.
  void run_all();
  /// The cases of a turn, until `budget_end`. Gives back which of them had their turn: those that ended,
  /// however, and the one that was ended. All that wait, if the experiment can't run at all.
  std::vector<std::string> run_turn(const Turn& turn, std::chrono::steady_clock::time_point budget_end);
  /// After the last turn: rows for what had none.
  void leave(const std::vector<Unreached>& unreached);
  const Outcome& outcome() const;

 private:
  class Life;
  std::unique_ptr<Life> life_;
};

}  // namespace remeasure::bench::runner
