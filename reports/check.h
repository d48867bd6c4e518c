// SPDX-License-Identifier: Apache-2.0
//
// Did this run get worse than the reference? What is compared where:
//   on any machine         status of every variant, errors, memory, metrics, checks, verdicts of claims that
//   aren't
//                          times, and the kernels' static figures (registers, spills, shared memory, stack)
//   on the same machine    (equal System::id) and device: times, speedups, verdicts of claims that are times
// How two values are compared: compare.h. A side may be several runs of one experiment: times, speedups and
// the host's memory are compared with the spread between runs, the rest by each side's first run in which all
// passed; a wrong result of any run is one of the whole. What else counts as worse:
//  (21) a variant that passed before and now doesn't, or is gone; but one that didn't run on another machine
//  than the
//       reference's is unclear (there is no GPU, no such library)
//  (22) a check that passed before and now fails or is gone; an exact or tolerated metric that is gone
//  (23) a verdict that fell (reproduced > partly > not reproduced), or that can no longer be had on the same
//  machine;
//       for a time it is unclear as long as the measured ranges overlap, or if the claim lacks a value for
//       disturbed times
//  (24) static figures of a kernel on an architecture: check_kernels.h
//  (25) a case that is gone from a run that says it is complete
//  (26) data whose content changed under an unchanged seed; that case's errors and metrics are then not
//  compared
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "reports/compare.h"
#include "reports/record.h"
#include "reports/writers.h"

namespace remeasure::reports {

/// What `check` and `run` return to the shell; the first that applies of: 4, 5, 1, 3, 0.
enum class ExitCode { fine = 0, regression = 1, nothing_comparable = 3, incorrect = 4, broken = 5 };

struct CheckRow {
  std::string experiment, test, variant, quantity;
  std::string before, after;          ///< as text
  std::optional<double> change = {};  ///< after / before - 1
  Judgement judgement = {};
};

struct CheckResult {
  std::vector<CheckRow> rows;            ///< everything that was compared
  std::vector<std::string> not_applied;  ///< what was not, and why: said loudly
  std::vector<std::string>
      incorrect;  ///< wrong results and failed checks of the run, whatever the reference says
  std::vector<std::string> broken;  ///< crashes, timeouts, failures of the run
  ExitCode exit_code = ExitCode::fine;

  std::size_t count(Outcome outcome) const;
};

/// Several records of one experiment are several runs of it, of one build, command and machine.
/// `times`: false compares as between two machines even on one: no times, and memory as loosely. For a
/// machine whose load isn't one's own, such as a shared CI runner.
CheckResult check(const std::vector<Record>& reference, const std::vector<Record>& run, bool times = true);

/// What was wrong with a run by itself: fills `incorrect` and `broken`, and the exit code 0, 4 or 5.
CheckResult judge_run(const std::vector<Record>& run);

/// A table of what changed, then what was not compared, then the sum in one line.
std::string check_text(const CheckResult& result, const TerminalOptions& options = {});

/// Reference records from a folder with one folder per device (reports/recorded): for each experiment of the
/// run the one of the same machine, else the first that has the experiment in the same size.
std::vector<Record> read_recorded(const std::filesystem::path& folder, const std::vector<Record>& run);

}  // namespace remeasure::reports
