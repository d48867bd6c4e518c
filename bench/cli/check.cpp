// SPDX-License-Identifier: Apache-2.0
#include "reports/check.h"

#include <fmt/format.h>

#include <cstdlib>
#include <iterator>
#include <nlohmann/json.hpp>
#include <set>

#include "bench/build_info.h"
#include "bench/cli/commands.h"
#include "bench/cli/exit_codes.h"
#include "bench/runner/process.h"
#include "reports/record_io.h"

namespace remeasure::bench::cli {
namespace {

std::vector<reports::Record> records_of(const std::string& folder) {
  if (!std::filesystem::is_directory(folder)) {
    throw CommandError(
        fmt::format("{}: no such folder; `remeasure run --all --out {}` makes it", folder, folder));
  }
  auto records = reports::read_records(folder);
  if (records.empty()) {
    throw CommandError(
        fmt::format("{}: no results in it; `remeasure run --all --out {}` makes them", folder, folder));
  }
  return records;
}

std::vector<reports::Record> records_of(const std::vector<std::string>& folders) {
  std::vector<reports::Record> all;
  std::set<std::filesystem::path> seen;
  for (const std::string& folder : folders) {
    auto records = records_of(folder);
    if (!seen.insert(std::filesystem::weakly_canonical(folder)).second) {
      throw CommandError(fmt::format("{} is given twice: one run counts once", folder));
    }
    std::move(records.begin(), records.end(), std::back_inserter(all));
  }
  return all;
}

std::string as_json(const reports::CheckResult& result) {
  auto rows = nlohmann::json::array();
  for (const auto& row : result.rows) {
    nlohmann::json entry = {{"experiment", row.experiment},
                            {"case", row.test},
                            {"variant", row.variant},
                            {"quantity", row.quantity},
                            {"before", row.before},
                            {"after", row.after},
                            {"outcome", reports::to_string(row.judgement.outcome)},
                            {"note", row.judgement.note},
                            {"threshold", row.judgement.threshold}};
    if (row.change) entry["change"] = *row.change;
    rows.push_back(std::move(entry));
  }
  return nlohmann::json{{"exit_code", static_cast<int>(result.exit_code)},
                        {"rows", rows},
                        {"not_applied", result.not_applied},
                        {"incorrect", result.incorrect},
                        {"broken", result.broken}}
             .dump(2) +
         "\n";
}

}  // namespace

std::filesystem::path recorded_folder() {
  if (const char* variable = std::getenv("REMEASURE_RECORDED"); variable != nullptr && *variable != '\0') {
    if (!std::filesystem::is_directory(variable)) {
      throw CommandError(fmt::format("$REMEASURE_RECORDED is {}, which is no folder", variable));
    }
    return variable;
  }
  const auto sources = std::filesystem::path(REMEASURE_SOURCE_DIR_TEXT) / "reports" / "recorded";
  for (const auto& folder : {sources, runner::own_program().parent_path() / "recorded"}) {
    if (std::filesystem::is_directory(folder)) return folder;
  }
  return {};
}

int check(const CheckOptions& options, const Program&, Console& console) {
  const auto run = records_of(options.folders);
  std::vector<reports::Record> reference;
  std::string source = fmt::format("{}", fmt::join(options.against, ", "));
  if (source == "recorded") {
    const auto folder = recorded_folder();
    if (!folder.empty()) reference = reports::read_recorded(folder, run);
    source = folder.empty() ? "the recorded reference (none is here)" : folder.string();
  } else {
    reference = records_of(options.against);
  }
  const auto result = reports::check(reference, run, !options.no_times);
  if (options.format == "json") {
    console.print(as_json(result));
    return static_cast<int>(result.exit_code);
  }
  console.print(fmt::format("{} against {}\n", fmt::join(options.folders, ", "), source));
  console.print(reports::check_text(
      result, {.columns = static_cast<int>(console.width()), .colour = console.colour()}));
  return static_cast<int>(result.exit_code);
}

}  // namespace remeasure::bench::cli
