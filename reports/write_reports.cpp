// SPDX-License-Identifier: Apache-2.0
#include <utility>

#include "reports/text_file.h"
#include "reports/writers.h"

namespace remeasure::reports {

std::vector<std::filesystem::path> write_reports(const std::filesystem::path& folder,
                                                 const std::vector<Record>& records,
                                                 const HtmlOptions& options) {
  std::filesystem::create_directories(folder);
  const std::vector<std::pair<const char*, std::string>> files = {
      {"index.html", html_report(records, options)}, {"report.md", markdown_report(records)},
      {"results.csv", csv_report(records)},          {"results.json", json_report(records)},
      {"junit.xml", junit_report(records)},          {"benchmark.json", benchmark_report(records)}};
  std::vector<std::filesystem::path> paths;
  for (const auto& [name, text] : files) {
    paths.push_back(folder / name);
    write_text_file(paths.back(), text);
  }
  return paths;
}

}  // namespace remeasure::reports
