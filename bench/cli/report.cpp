// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "bench/cli/commands.h"
#include "bench/cli/exit_codes.h"
#include "reports/record_io.h"
#include "reports/text_file.h"
#include "reports/writers.h"

namespace remeasure::bench::cli {
namespace {

std::string rendered(const std::string& format, const std::vector<reports::Record>& records,
                     const Console& console, bool to_file) {
  if (format == "md") return reports::markdown_report(records);
  if (format == "html") return reports::html_report(records);
  if (format == "csv") return reports::csv_report(records);
  if (format == "json") return reports::json_report(records);
  if (format == "junit") return reports::junit_report(records);
  if (format == "benchmark") return reports::benchmark_report(records);
  return reports::terminal_report(
      records, {.columns = static_cast<int>(console.width()), .colour = !to_file && console.colour()});
}

}  // namespace

int report(const ReportOptions& options, const Program&, Console& console) {
  if (!std::filesystem::is_directory(options.folder)) {
    throw CommandError(fmt::format("{}: no such folder; `remeasure run --all --out {}` makes it",
                                   options.folder, options.folder));
  }
  const auto records = reports::read_records(options.folder);
  if (records.empty()) {
    throw CommandError(fmt::format("{}: no results in it; `remeasure run --all --out {}` makes them",
                                   options.folder, options.folder));
  }
  if (options.format == "all") {
    for (const auto& path : reports::write_reports(options.folder, records)) {
      console.print(fmt::format("{}\n", path.string()));
    }
    return kFine;
  }
  const std::string text = rendered(options.format, records, console, !options.output.empty());
  if (options.output.empty()) {
    console.print(text);
  } else {
    reports::write_text_file(options.output, text);
    console.print(fmt::format("{}\n", options.output));
  }
  return kFine;
}

}  // namespace remeasure::bench::cli
