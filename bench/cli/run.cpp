// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <regex>
#include <set>
#include <system_error>

#include "bench/cli/commands.h"
#include "bench/cli/exit_codes.h"
#include "bench/cli/nearest.h"
#include "bench/cli/run_summary.h"
#include "bench/runner/folder_lock.h"
#include "bench/runner/interrupt.h"
#include "bench/runner/runner.h"
#include "bench/runner/shard.h"
#include "kernels/device/faults.h"

namespace remeasure::bench::cli {
namespace {

/// The experiments in the program's order: chosen by name or all, then the shard's part.
std::vector<Registered> choose(const RunCommand& options, const Program& program) {
  std::vector<std::string> ids = options.all ? ids_of(program.experiments) : options.ids;
  for (const auto& id : ids) find_experiment(id, program);
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  if (!options.shard.empty()) ids = runner::take_shard(ids, runner::parse_shard(options.shard));
  std::vector<Registered> chosen;
  for (const auto& entry : program.experiments) {
    if (std::find(ids.begin(), ids.end(), entry.experiment->paper.id) != ids.end()) chosen.push_back(entry);
  }
  return chosen;
}

void check_filter(const std::string& filter) {
  try {
    std::regex{filter};
  } catch (const std::regex_error& error) {
    throw CommandError(fmt::format("--filter '{}' is not a regular expression: {}", filter, error.what()));
  }
}

void check_variant_names(const std::vector<std::string>& names) {
  const std::vector<std::string> places = {"gpu", "cpu", "simt"};
  for (const auto& name : names) {
    const auto at = name.find('@');
    if (at == std::string::npos) continue;
    const std::string place = name.substr(at + 1);
    if (std::find(places.begin(), places.end(), place) == places.end()) {
      throw CommandError(
          unknown_name("place", place, places, "a variant's place is gpu, cpu or simt: kernel@simt"));
    }
  }
}

/// Every experiment writes its data and oracles there; better one clear line now than one error per
/// experiment.
void check_data_folder(const std::filesystem::path& folder) {
  std::error_code failed;
  std::filesystem::create_directories(folder, failed);
  std::string why = failed ? failed.message() : "";
  if (!failed && ::access(folder.c_str(), W_OK | X_OK) != 0) why = std::strerror(errno);
  if (!failed && !std::filesystem::is_directory(folder)) why = "it is a file";
  if (!why.empty()) {
    throw CommandError(
        fmt::format("can't write to the data folder {}: {}; choose another --data", folder.string(), why));
  }
}

runner::Settings settings_of(const RunCommand& options) {
  runner::Settings settings;
  settings.size = options.size == "paper" ? Size::paper : Size::smoke;
  settings.seed = options.seed;
  settings.variants = options.variants;
  settings.min_time = options.min_time;
  settings.filter = options.filter;
  settings.timeout = options.timeout.value_or(runner::default_timeout(settings.size));
  settings.out = options.out;
  settings.data = data_folder(options.data);
  settings.resume = options.resume;
  if (!options.budget.empty()) {
    settings.budget = runner::parse_duration(options.budget);
    settings.recorded = recorded_folder();
  }
  return settings;
}

/// A variant that no case of any experiment has. Known only after the cases have declared theirs.
std::string unknown_variant(const RunCommand& options, const runner::RunReport& report) {
  std::set<std::string> declared;
  for (const auto& outcome : report.outcomes)
    declared.insert(outcome.declared_variants.begin(), outcome.declared_variants.end());
  if (declared.empty()) return {};
  const std::vector<std::string> names(declared.begin(), declared.end());
  for (const auto& asked : options.variants) {
    const std::string plain = asked.substr(0, asked.find('@'));
    if (!declared.contains(plain)) {
      return unknown_name("variant", plain, names, fmt::format("there are: {}", fmt::join(names, ", ")));
    }
  }
  return {};
}

}  // namespace

int run(const RunCommand& options, const Program& program, Console& console) {
  static_cast<void>(faults::parse(faults::planned_text()));  // refused here where it can't be read
  check_filter(options.filter);
  check_variant_names(options.variants);
  const auto experiments = choose(options, program);
  if (experiments.empty()) {
    console.print(fmt::format("nothing to do: no experiment in part {}\n", options.shard));
    return kFine;
  }
  const auto settings = settings_of(options);
  check_data_folder(settings.data);
  const runner::FolderLock lock(settings.out, ids_of(experiments));

  ::signal(SIGXFSZ, SIG_IGN);  // see worker.cpp
  runner::RunReport report;
  {
    const runner::InterruptGuard guard;
    runner::ProgressView view(stderr, ::isatty(STDERR_FILENO) == 1, runner::locale_is_unicode());
    report = runner::run_experiments(experiments, settings, {}, view, runner::InterruptGuard::count);
  }
  console.print(run_summary(report, options, console.width(), console.colour()));
  const int code = runner::exit_code(report);
  if (code == kIncorrect) return code;
  if (!report.refused.empty()) throw CommandError(report.refused);
  if (const auto unknown = unknown_variant(options, report); !unknown.empty()) throw CommandError(unknown);
  const bool any = std::any_of(report.outcomes.begin(), report.outcomes.end(),
                               [](const auto& outcome) { return outcome.ran; });
  const bool waits = !report.unreached.empty();
  if (!any && !waits && !report.interrupted) {
    throw CommandError(fmt::format("no case matches --filter '{}'; `remeasure describe {}` shows the cases",
                                   options.filter, experiments.front().experiment->paper.id));
  }
  return code;
}

}  // namespace remeasure::bench::cli
