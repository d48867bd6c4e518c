// SPDX-License-Identifier: Apache-2.0
#include "bench/runner/runner.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "bench/runner/resume.h"
#include "reports/record_io.h"

namespace remeasure::bench::runner {
namespace {

/// Times of an earlier run in the same folder, for the estimate.
Estimator make_estimator(std::span<const Registered> experiments, const Settings& settings) {
  std::vector<std::string> names;
  for (const auto& entry : experiments) names.push_back(entry.experiment->paper.id);
  Estimator estimator(names);
  for (const auto& name : names) {
    if (settings.resume) continue;  // what is left of an earlier run takes another time than the whole
    try {
      const auto path = record_path(settings, name);
      if (!std::filesystem::exists(path)) continue;
      const auto record = reports::read_record(path);
      if (record.state == reports::RunState::complete && record.command == canonical_command(name, settings)) {
        estimator.expect(name, record.elapsed_seconds);
      }
    } catch (const std::exception&) {
      // No estimate from a file that can't be read.
    }
  }
  return estimator;
}

}  // namespace

RunReport run_experiments(std::span<const Registered> experiments, const Settings& settings,
                          const WorkerCommand& worker, ProgressView& view, const std::function<int()>& interrupts) {
  RunReport report;
  Estimator estimator = make_estimator(experiments, settings);
  const RunContext context = {settings, worker, view, estimator, interrupts, std::chrono::steady_clock::now()};
  const int count = static_cast<int>(experiments.size());
  int number = 0;
  for (const auto& entry : experiments) {
    if (interrupts() > 0) break;
    Outcome outcome = supervise(entry, ++number, count, context);
    if (!outcome.refused.empty()) {
      report.refused = fmt::format("{}: {}", outcome.id, outcome.refused);
      break;
    }
    estimator.finished(outcome.id, outcome.seconds);
    if (outcome.ran) {
      const bool complete = outcome.state == reports::RunState::complete;
      view.line(fmt::format("[{}/{}] {} {}: {} ({})", number, count, outcome.id,
                            reports::to_string(outcome.state),
                            complete ? format_tally(tally_of(outcome.record)) : outcome.error,
                            format_duration(outcome.seconds)));
    }
    report.outcomes.push_back(std::move(outcome));
  }
  report.interrupted = interrupts() > 0;
  view.clear();
  return report;
}

int exit_code(const RunReport& report) {
  bool crashed = false;
  for (const auto& outcome : report.outcomes) {
    const Tally tally = tally_of(outcome.record);
    if (tally.incorrect + tally.failed_checks > 0) return 4;
    crashed = crashed || tally.failed > 0 || outcome.state == reports::RunState::crashed ||
              outcome.state == reports::RunState::timed_out ||
              std::any_of(outcome.record.cases.begin(), outcome.record.cases.end(),
                          [](const auto& result) { return !result.error.empty(); });
  }
  if (report.interrupted) return 130;
  if (!report.refused.empty()) return 2;
  return crashed ? 5 : 0;
}

}  // namespace remeasure::bench::runner
