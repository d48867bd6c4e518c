// SPDX-License-Identifier: Apache-2.0
#include "bench/cli/run_summary.h"

#include <fmt/format.h>

#include <map>
#include <set>
#include <tuple>
#include <vector>

#include "bench/runner/resume.h"
#include "bench/runner/shard.h"
#include "reports/text_table.h"
#include "reports/view.h"

namespace remeasure::bench::cli {
namespace {

using reports::Tone;

Tone tone_of(const runner::Outcome& outcome, const runner::Tally& tally, bool broken) {
  if (broken || tally.incorrect + tally.failed + tally.failed_checks > 0) return Tone::bad;
  if (outcome.state == reports::RunState::complete) return Tone::good;
  return outcome.state == reports::RunState::interrupted ? Tone::fair : Tone::bad;
}

std::string experiments_table(const runner::RunReport& report, std::size_t width, bool colour) {
  reports::TextTable table({{.title = "experiment", .whole = true},
                            {.title = "state", .whole = true},
                            {.title = "cases", .right = true, .whole = true},
                            {.title = "variants", .least = 16},
                            {.title = "time", .right = true, .whole = true}});
  for (const auto& outcome : report.outcomes) {
    if (!outcome.ran) continue;
    const auto tally = runner::tally_of(outcome.record);
    std::int64_t finished = 0, broken = 0;
    for (const auto& result : outcome.record.cases) {
      if (result.not_reached.empty()) ++(result.error.empty() ? finished : broken);
    }
    table.add({{outcome.id},
               {reports::to_string(outcome.state), tone_of(outcome, tally, broken > 0)},
               {fmt::format("{}/{}", finished, std::max<std::int64_t>(outcome.cases_total, finished))},
               {runner::format_tally(tally) +
                (broken == 0 ? "" : fmt::format(", {} case{} failed", broken, broken == 1 ? "" : "s"))},
               {runner::format_duration(outcome.seconds)}});
  }
  return table.text(width, 0, colour);
}

/// Reason -> experiment -> variants, so that "no CUDA device" is said once.
using Grouped = std::map<std::pair<std::string, std::string>, std::map<std::string, std::set<std::string>>>;

/// Whom a reason is about. What is merely absent (no GPU) may be most of all variants: beyond a few their
/// number stands for their names, which the tables have. What went wrong is always named.
std::string who(const std::string& status, const std::map<std::string, std::set<std::string>>& experiments) {
  constexpr std::size_t kMostNames = 12, kMostExperiments = 6;
  const bool absent = status == reports::to_string(reports::Status::not_run) ||
                      status == reports::to_string(reports::Status::not_supported);
  std::size_t count = 0;
  std::vector<std::string> names, counts;
  for (const auto& [id, variants] : experiments) {
    count += variants.size();
    names.push_back(fmt::format("{} {}", id, fmt::join(variants, ", ")));
    counts.push_back(fmt::format("{} of {}", variants.size(), id));
  }
  if (!absent || count <= kMostNames) return fmt::format("{}", fmt::join(names, "; "));
  if (experiments.size() <= kMostExperiments)
    return fmt::format("{} variants: {}", count, fmt::join(counts, ", "));
  return fmt::format("{} variants of {} experiments", count, experiments.size());
}

std::string grouped_reasons(const runner::RunReport& report, std::size_t width) {
  Grouped grouped;
  std::map<std::string, std::vector<std::string>> left_out, not_reached;
  std::string text;
  const auto add_line = [&](const std::string& line) {
    const auto lines = reports::wrapped(line, width - 2);
    for (std::size_t i = 0; i < lines.size(); ++i) text += (i == 0 ? "" : "  ") + lines[i] + "\n";
  };
  for (const auto& outcome : report.outcomes) {
    if (!outcome.ran) continue;
    if (!outcome.error.empty()) {
      add_line(fmt::format("{} {}: {}", outcome.id, reports::to_string(outcome.state), outcome.error));
    }
    for (const auto& result : outcome.record.cases) {
      if (!result.error.empty() && outcome.error.find(result.error) == std::string::npos) {
        add_line(fmt::format("{} {}: {}", outcome.id, result.name, result.error));
      }
      if (!result.not_reached.empty())
        not_reached[result.not_reached].push_back(outcome.id + " " + result.name);
      if (!result.left_out.empty()) left_out[result.left_out].push_back(outcome.id + " " + result.name);
      for (const auto& check : result.checks) {
        if (check.passed) continue;
        add_line(fmt::format("{} {}: \"{}\" does not hold: {}", outcome.id, result.name, check.name,
                             check.detail));
      }
      for (const auto& variant : result.variants) {
        if (variant.status == reports::Status::passed) continue;
        grouped[{reports::to_string(variant.status), variant.reason}][outcome.id].insert(variant.name);
      }
    }
  }
  for (const auto& [reason, cases] : left_out) {
    add_line(fmt::format("left out: {} ({})", reason, fmt::join(cases, "; ")));
  }
  for (const auto& [reason, cases] : not_reached) {
    add_line(fmt::format("not run: {} ({})", reason, fmt::join(cases, "; ")));
  }
  for (const auto& [key, experiments] : grouped) {
    add_line(fmt::format("{}: {} ({})", key.first, key.second, who(key.first, experiments)));
  }
  return text;
}

}  // namespace

std::string resume_command(const RunCommand& options) {
  std::string command = "remeasure run";
  if (options.all) command += " --all";
  for (const auto& id : options.ids) command += " " + runner::shell_word(id);
  const auto add = [&](const char* name, const std::string& value) {
    command += fmt::format(" {} {}", name, runner::shell_word(value));
  };
  if (options.size != "smoke") add("--size", options.size);
  if (!options.filter.empty()) add("--filter", options.filter);
  for (const auto& variant : options.variants) add("--variant", variant);
  if (options.min_time) add("--min-time", fmt::format("{}", *options.min_time));
  if (options.seed != 1) add("--seed", std::to_string(options.seed));
  if (options.timeout) add("--timeout", fmt::format("{}", *options.timeout));
  if (options.out != "results") add("--out", options.out);
  if (!options.data.empty()) add("--data", options.data);
  if (!options.shard.empty()) add("--shard", options.shard);
  if (!options.budget.empty()) add("--budget", options.budget);
  return command + " --resume";
}

std::string run_summary(const runner::RunReport& report, const RunCommand& options, std::size_t width,
                        bool colour) {
  std::string text;
  bool any = false, crashed = false;
  std::vector<reports::Record> records;
  for (const auto& outcome : report.outcomes) {
    if (!outcome.ran) continue;
    any = true;
    crashed = crashed || outcome.state == reports::RunState::crashed ||
              outcome.state == reports::RunState::timed_out;
    records.push_back(outcome.record);
  }
  if (any) {
    text += experiments_table(report, width, colour);
    const std::string reasons = grouped_reasons(report, width);
    if (!reasons.empty()) text += "\n" + reasons;
    const std::string totals = reports::verdict_totals(records);
    if (!totals.empty()) text += fmt::format("\nclaims   {}\n", totals);
    const std::string out = runner::shell_word(options.out);
    text += fmt::format("results  {}/ (a JSON record and a log per experiment)\n", out);
    text += fmt::format("tables   remeasure report {}\n", out);
    text += fmt::format("page     remeasure report {} --format html --output {}/index.html\n", out, out);
    text += fmt::format("compare  remeasure check {}\n", out);
  }
  if (report.interrupted) {
    text += fmt::format("interrupted; what is finished is kept. Go on with: {}\n", resume_command(options));
  } else if (!report.unreached.empty()) {
    text += fmt::format("budget spent; {} case{} had no turn. Go on with: {}\n", report.unreached.size(),
                        report.unreached.size() == 1 ? "" : "s", resume_command(options));
  } else if (crashed) {
    text += fmt::format("try what failed again with: {}\n", resume_command(options));
  }
  return text;
}

}  // namespace remeasure::bench::cli
