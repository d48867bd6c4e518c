// SPDX-License-Identifier: Apache-2.0
//
// Every report is a view of records: a function of them alone, the same bytes for the same records.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "reports/record.h"

namespace remeasure::reports {

struct TerminalOptions {
  int columns = 100;
  bool colour = false;  ///< for a terminal that has it; every word is there without it
};

struct HtmlOptions {
  std::string gnuplot =
      "gnuplot";  ///< a program on PATH or a file; plots say what is missing if it isn't there
};

std::string terminal_report(const std::vector<Record>& records, const TerminalOptions& options = {});
std::string markdown_report(const std::vector<Record>& records);
/// One tidy table: experiment, case, variant, where, quantity, value, low, high, unit, status.
std::string csv_report(const std::vector<Record>& records);
/// An array of the records as they are in their files.
std::string json_report(const std::vector<Record>& records);
/// A testcase per claim, per check and per variant that wasn't right.
std::string junit_report(const std::vector<Record>& records);
/// Google Benchmark's JSON, for its tools/compare.py.
std::string benchmark_report(const std::vector<Record>& records);
/// One page without outside resources.
std::string html_report(const std::vector<Record>& records, const HtmlOptions& options = {});

/// All of the above but the terminal's: index.html, report.md, results.csv, results.json, junit.xml,
/// benchmark.json. Returns the paths written.
std::vector<std::filesystem::path> write_reports(const std::filesystem::path& folder,
                                                 const std::vector<Record>& records,
                                                 const HtmlOptions& options = {});

}  // namespace remeasure::reports
