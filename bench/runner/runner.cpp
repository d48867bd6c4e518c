// SPDX-License-Identifier: Apache-2.0
#include "bench/runner/runner.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <regex>

#include "bench/runner/resume.h"
#include "bench/system.h"
#include "reports/check.h"
#include "reports/record_io.h"

namespace remeasure::bench::runner {
namespace {

/// What an earlier record says of a case's time. The first source that knows something decides.
void estimate_from(const reports::Record& source, const Settings& settings, const reports::System& machine,
                   Candidate& candidate) {
  if (candidate.expected || source.system.id != machine.id) return;
  const auto took = [](const reports::CaseResult& result) {
    return result.left_out.empty() && result.elapsed_seconds > 0;
  };
  if (source.size == to_string(settings.size)) {
    for (const auto& result : source.cases) {
      if (result.name != candidate.name || !took(result)) continue;
      const bool out_of_time =
          std::any_of(result.variants.begin(), result.variants.end(),
                      [](const auto& variant) { return variant.status == reports::Status::timed_out; });
      candidate.expected = result.elapsed_seconds;
      candidate.cut_short = out_of_time || !result.error.empty();
      candidate.at_least = candidate.cut_short;
    }
  } else if (settings.size == Size::paper) {
    double sum = 0;
    std::size_t count = 0;
    for (const auto& result : source.cases) {
      if (!took(result)) continue;
      sum += result.elapsed_seconds;
      ++count;
    }
    if (count == 0) return;
    candidate.expected = sum / static_cast<double>(count);
    candidate.at_least = true;
  }
}

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
      if (record.state == reports::RunState::complete &&
          record.command == canonical_command(name, settings)) {
        estimator.expect(name, record.elapsed_seconds);
      }
    } catch (const std::exception&) {
      // No estimate from a file that can't be read.
    }
  }
  return estimator;
}

}  // namespace

namespace {

void report_experiment(const Outcome& outcome, int number, int count, ProgressView& view) {
  if (!outcome.ran) return;
  const bool complete = outcome.state == reports::RunState::complete;
  view.line(fmt::format(
      "[{}/{}] {} {}: {} ({})", number, count, outcome.id, reports::to_string(outcome.state),
      complete ? format_tally(tally_of(outcome.record)) : outcome.error, format_duration(outcome.seconds)));
}

std::optional<reports::Record> readable(const std::filesystem::path& path) {
  try {
    if (std::filesystem::exists(path)) return reports::read_record(path);
  } catch (const std::exception&) {
    // No estimate from a file that can't be read; its worker says that it measures again.
  }
  return std::nullopt;
}

/// Turns until the budget is spent or nothing is left, then rows for what had none.
void run_turns(std::span<const Registered> experiments, const RunContext& context, RunReport& report) {
  const Settings& settings = context.settings;
  const auto machine = system_info();
  std::vector<Candidate> all;
  std::map<std::string, std::unique_ptr<Supervisor>> supervisors;
  const int count = static_cast<int>(experiments.size());
  int number = 0;
  for (const auto& entry : experiments) {
    const auto candidates = candidates_of(entry, settings, machine);
    all.insert(all.end(), candidates.begin(), candidates.end());
    supervisors[entry.experiment->paper.id] = std::make_unique<Supervisor>(entry, ++number, count, context);
  }
  BudgetPlan plan(all, *settings.budget);
  const auto spent = [&] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - context.start).count();
  };
  const auto end = context.start + std::chrono::duration_cast<std::chrono::steady_clock::duration>(
                                       std::chrono::duration<double>(*settings.budget));
  for (auto turn = plan.next(spent()); turn && context.interrupts() == 0; turn = plan.next(spent())) {
    Supervisor& supervisor = *supervisors.at(turn->experiment);
    plan.done(*turn, supervisor.run_turn(*turn, end));
    if (!supervisor.outcome().refused.empty()) {
      report.refused = fmt::format("{}: {}", turn->experiment, supervisor.outcome().refused);
      break;
    }
    context.view.line(fmt::format(
        "[budget] {} of {} left, {} case{} to go", format_duration(std::max(0.0, *settings.budget - spent())),
        format_duration(*settings.budget), plan.waiting(), plan.waiting() == 1 ? "" : "s"));
  }
  report.unreached = context.interrupts() > 0 ? std::vector<Unreached>() : plan.unreached(spent());
  number = 0;
  for (const auto& entry : experiments) {
    Supervisor& supervisor = *supervisors.at(entry.experiment->paper.id);
    std::vector<Unreached> own;
    for (const auto& one : report.unreached) {
      if (one.experiment == entry.experiment->paper.id && !one.name.empty()) own.push_back(one);
    }
    if (report.refused.empty()) supervisor.leave(own);
    report_experiment(supervisor.outcome(), ++number, count, context.view);
    report.outcomes.push_back(supervisor.outcome());
  }
}

}  // namespace

std::vector<Candidate> candidates_of(const Registered& registered, const Settings& settings,
                                     const reports::System& machine) {
  const std::string& id = registered.experiment->paper.id;
  std::vector<CaseDefinition> definitions;
  try {
    definitions = registered.experiment->cases(settings.size);
  } catch (const std::exception&) {
    return {{.experiment = id, .name = {}}};  // its worker will say why
  }
  const auto command = canonical_command(id, settings);
  const auto own = readable(record_path(settings, id));
  ResumeDecision decision;
  if (settings.resume)
    decision = decide_resume(own ? &*own : nullptr, resume_key(command, build_info(), machine));
  std::vector<reports::Record> sources;
  if (own) sources.push_back(*own);
  if (!settings.recorded.empty()) {
    reports::Record wanted;
    wanted.experiment = id;
    wanted.size = to_string(settings.size);
    wanted.system = machine;
    try {
      for (auto& record : reports::read_recorded(settings.recorded, {wanted}))
        sources.push_back(std::move(record));
    } catch (const std::exception&) {
      // A reference that can't be read gives no estimate.
    }
  }
  std::vector<Candidate> candidates;
  const std::regex filter(settings.filter.empty() ? ".*" : settings.filter);
  for (const auto& definition : definitions) {
    Candidate candidate{.experiment = id,
                        .name = to_string(definition.name),
                        .priority = definition.priority,
                        .free = !definition.left_out.empty()};
    if (decision.finished.contains(candidate.name) || !std::regex_search(id + "/" + candidate.name, filter))
      continue;
    for (const auto& source : sources) estimate_from(source, settings, machine, candidate);
    candidates.push_back(std::move(candidate));
  }
  return candidates;
}

RunReport run_experiments(std::span<const Registered> experiments, const Settings& settings,
                          const WorkerCommand& worker, ProgressView& view,
                          const std::function<int()>& interrupts) {
  RunReport report;
  Estimator estimator = make_estimator(experiments, settings);
  const RunContext context = {settings,  worker,     view,
                              estimator, interrupts, std::chrono::steady_clock::now()};
  if (settings.budget) {
    run_turns(experiments, context, report);
  } else {
    const int count = static_cast<int>(experiments.size());
    int number = 0;
    for (const auto& entry : experiments) {
      if (interrupts() > 0) break;
      Supervisor supervisor(entry, ++number, count, context);
      supervisor.run_all();
      const Outcome& outcome = supervisor.outcome();
      if (!outcome.refused.empty()) {
        report.refused = fmt::format("{}: {}", outcome.id, outcome.refused);
        break;
      }
      estimator.finished(outcome.id, outcome.seconds);
      report_experiment(outcome, number, count, view);
      report.outcomes.push_back(outcome);
    }
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
