// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "reports/check.h"
#include "reports/record_io.h"

namespace remeasure::reports {

CheckResult judge_run(const std::vector<Record>& run) {
  CheckResult result;
  for (const Record& record : run) {
    if (record.state == RunState::crashed || record.state == RunState::timed_out) {
      result.broken.push_back(
          fmt::format("{}: {}: {}", record.experiment, to_string(record.state), record.error));
    }
    for (const CaseResult& test : record.cases) {
      const std::string place = fmt::format("{}, {}", record.experiment, test.name);
      if (!test.error.empty()) result.broken.push_back(fmt::format("{}: ended early: {}", place, test.error));
      for (const VariantResult& variant : test.variants) {
        const bool wrong = variant.status == Status::incorrect;
        const bool broken = variant.status == Status::failed || variant.status == Status::timed_out;
        if (!wrong && !broken) continue;
        (wrong ? result.incorrect : result.broken)
            .push_back(fmt::format("{}: {} on {}: {}: {}", place, variant.name, to_string(variant.where),
                                   to_string(variant.status), variant.reason));
      }
      for (const Check& check : test.checks) {
        if (!check.passed) {
          result.incorrect.push_back(
              fmt::format("{}: check failed: {}: {}", place, check.name, check.detail));
        }
      }
    }
  }
  result.exit_code = !result.incorrect.empty() ? ExitCode::incorrect
                     : !result.broken.empty()  ? ExitCode::broken
                                               : ExitCode::fine;
  return result;
}

std::vector<Record> read_recorded(const std::filesystem::path& folder, const std::vector<Record>& run) {
  std::error_code error;
  std::set<std::filesystem::path> devices;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    if (entry.is_directory()) devices.insert(entry.path());
  }
  if (error) {
    throw RecordError(
        fmt::format("can't read the folder of reference results {}: {}", folder.string(), error.message()));
  }
  std::vector<Record> candidates;
  for (const auto& device : devices) {
    const std::vector<Record> records = read_records(device);
    candidates.insert(candidates.end(), records.begin(), records.end());
  }
  std::vector<Record> chosen;
  for (const Record& record : run) {
    const auto better = [&](const Record& candidate) {
      return candidate.experiment == record.experiment
                 ? 1 + 2 * (candidate.size == record.size) + (candidate.system.id == record.system.id)
                 : 0;
    };
    const auto best =
        std::max_element(candidates.begin(), candidates.end(),
                         [&](const Record& a, const Record& b) { return better(a) < better(b); });
    const bool taken = std::any_of(chosen.begin(), chosen.end(),
                                   [&](const Record& it) { return it.experiment == record.experiment; });
    if (best != candidates.end() && better(*best) > 0 && !taken) chosen.push_back(*best);
  }
  return chosen;
}

}  // namespace remeasure::reports
