// SPDX-License-Identifier: Apache-2.0
//
// Each writer's text for the sample records stands in testdata/*.golden. After a wanted change of a writer:
//   REMEASURE_WRITE_GOLDEN=1 build/reports_test "[golden]"
// writes them anew; read the diff before it is committed.
#include "reports/writers.h"

#include <fmt/format.h>
#include <stdlib.h>

#include <testing/beside_program.h>
#include <testing/catch.h>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>
#include <sstream>

#include "reports/check.h"
#include "reports/escape.h"
#include "reports/record_io.h"
#include "reports/run_program.h"
#include "reports/sample_records.h"
#include "reports/text_file.h"
#include "reports/text_table.h"

namespace remeasure::reports {
namespace {

using Catch::Matchers::ContainsSubstring;

void check_golden(const std::string& name, const std::string& text) {
  const auto path =
      testing::beside_program("testdata", std::filesystem::path(REMEASURE_SOURCE_DIR) / "reports/testdata") /
      (name + ".golden");
  if (std::getenv("REMEASURE_WRITE_GOLDEN")) {
    std::filesystem::create_directories(path.parent_path());
    write_text_file(path, text);
    return;
  }
  std::istringstream expected(read_text_file(path));
  std::istringstream found(text);
  std::string expected_line, found_line;
  for (int line = 1;; ++line) {
    const bool more_expected = static_cast<bool>(std::getline(expected, expected_line));
    const bool more_found = static_cast<bool>(std::getline(found, found_line));
    if (!more_expected && !more_found) return;
    INFO(path.filename().string() << ", line " << line);
    REQUIRE((more_found ? found_line : "<end>") == (more_expected ? expected_line : "<end>"));
  }
}

/// Plots differ between versions of gnuplot, so the golden page is made without it.
HtmlOptions without_gnuplot() {
  return {.gnuplot = "no-such-gnuplot"};
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

TEST_CASE("terminal report is as recorded", "[cpu][golden]") {
  check_golden("terminal", terminal_report(samples::all()));
}
TEST_CASE("coloured terminal report is as recorded", "[cpu][golden]") {
  check_golden("terminal-colour", terminal_report({samples::bessel()}, {.columns = 80, .colour = true}));
}
TEST_CASE("Markdown report is as recorded", "[cpu][golden]") {
  check_golden("report.md", markdown_report(samples::all()));
}
TEST_CASE("CSV report is as recorded", "[cpu][golden]") {
  check_golden("results.csv", csv_report(samples::all()));
}
TEST_CASE("JSON report is as recorded", "[cpu][golden]") {
  check_golden("results.json", json_report(samples::all()));
}
TEST_CASE("JUnit report is as recorded", "[cpu][golden]") {
  check_golden("junit.xml", junit_report(samples::all()));
}
TEST_CASE("Google Benchmark report is as recorded", "[cpu][golden]") {
  check_golden("benchmark.json", benchmark_report({samples::bessel()}));
}
TEST_CASE("HTML report is as recorded", "[cpu][golden]") {
  check_golden("index.html", html_report(samples::all(), without_gnuplot()));
}
TEST_CASE("check's text is as recorded", "[cpu][golden]") {
  std::vector<Record> run = samples::all();
  run[0].cases[1].variants[0].time = samples::time_of(46.3e-6);
  run[0].kernels[0].spill_bytes = 8;
  run[0].cases[0].variants[0].accuracy[0].value = 1.5e-2;
  run[1].system.id = "another";
  run[2].cases[0].metrics[0].value = 25;
  run[2].cases[0].variants[0].time = samples::time_of(0.76, 0.1);
  run.pop_back();
  check_golden("check", check_text(check(samples::all(), run)));
}

TEST_CASE("no line of a terminal report is wider than the terminal", "[cpu]") {
  for (const int columns : {80, 100}) {
    for (const std::string& line : lines_of(terminal_report(samples::all(), {.columns = columns}))) {
      INFO(line);
      CHECK(text_width(line) <= static_cast<std::size_t>(columns));
    }
  }
  CHECK(terminal_report({}) == "No results.\n");
}

TEST_CASE("a reason that holds in every case is said once", "[cpu]") {
  Record record = samples::bessel();
  for (int i = 0; i < 20; ++i) {
    record.cases.push_back(record.cases[0]);
    record.cases.back().name = fmt::format("case {}", i);
  }
  const std::string text = terminal_report({record});
  const std::string reason = "not run: no CUDA device";
  const auto at = text.find(reason);
  REQUIRE(at != std::string::npos);
  CHECK(text.find(reason, at + 1) == std::string::npos);
}

TEST_CASE("every report says generated or real, and that simt isn't timed", "[cpu]") {
  const std::vector<Record> records = {samples::attention()};
  for (const std::string& text :
       {terminal_report(records), markdown_report(records), html_report(records, without_gnuplot())}) {
    CHECK_THAT(text, ContainsSubstring("generated data"));
    CHECK_THAT(text, ContainsSubstring("real data"));
    CHECK_THAT(text, ContainsSubstring("checked, not timed"));
    CHECK_THAT(text, ContainsSubstring("triad 4.10 TB/s"));
  }
  CHECK_THAT(csv_report(records), ContainsSubstring(",generated\n") && ContainsSubstring(",real\n"));
  CHECK_THAT(benchmark_report(records), ContainsSubstring("real data"));
  CHECK(csv_report(records).find("simt,time") == std::string::npos);
  CHECK(benchmark_report(records).find("/simt") == std::string::npos);
}

TEST_CASE("CSV has as many fields in every line", "[cpu]") {
  for (const std::string& line : lines_of(csv_report(samples::all()))) {
    int fields = 1;
    bool quoted = false;
    for (const char c : line) {
      if (c == '"') quoted = !quoted;
      fields += c == ',' && !quoted;
    }
    INFO(line);
    CHECK(fields == 11);
  }
}

TEST_CASE("JUnit counts what it lists, and its times are plain decimals", "[cpu]") {
  const std::string text = junit_report(samples::all());
  const auto count = [&](const std::string& what) {
    int found = 0;
    for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++found;
    return found;
  };
  std::smatch head;
  REQUIRE(std::regex_search(
      text, head,
      std::regex("<testsuites name=\"remeasure\" tests=\"(\\d+)\" failures=\"(\\d+)\" errors=\"(\\d+)\" "
                 "skipped=\"(\\d+)\"")));
  CHECK(count("<testcase ") == std::stoi(head[1]));
  CHECK(count("<failure ") == std::stoi(head[2]));
  CHECK(count("<error ") == std::stoi(head[3]));
  CHECK(count("<skipped ") == std::stoi(head[4]));
  CHECK(count("<failure ") == 3);  // one check, a variant in two cases
  // A claim that isn't reproduced is a finding, not a failing build.
  CHECK(count("type=\"not reproduced\"") == 0);
  CHECK(count("<system-out>not reproduced: ") == 1);
  CHECK(count("<error ") == 3);  // the crash, a timeout in two cases
  CHECK_FALSE(std::regex_search(text, std::regex(" time=\"[^\"]*e")));
  CHECK_THAT(text, ContainsSubstring("timestamp=\"2025-01-31T12:00:00\""));
  CHECK_THAT(text, ContainsSubstring("v&lt;=10 &lt;x&gt; &amp; &quot;y&quot;"));
  const auto folder = std::filesystem::temp_directory_path();
  write_text_file(folder / "junit-check.xml", text);
  const ProgramResult lint =
      run_program({"xmllint", "--noout", (folder / "junit-check.xml").string()}, folder, 20);
  std::filesystem::remove(folder / "junit-check.xml");
  if (lint.found) {
    CHECK(lint.exit_code == 0);
  }
}

TEST_CASE("text that XML can't hold is replaced", "[cpu]") {
  CHECK(xml_text("a<b> & \"c\" 'd'") == "a&lt;b&gt; &amp; &quot;c&quot; &#39;d&#39;");
  CHECK(xml_text("µ × – 𝄞") == "µ × – 𝄞");
  CHECK(xml_text(std::string("\x01\x1b[0m\x00", 6)) == "\uFFFD\uFFFD[0m\uFFFD");
  CHECK(xml_text("\xff\xc3") == "\uFFFD\uFFFD");
  CHECK(xml_text("\xed\xa0\x80") == "\uFFFD\uFFFD\uFFFD");  // half of a surrogate pair
  CHECK(xml_text("\xc0\xaf") == "\uFFFD\uFFFD");            // an overlong slash
}

TEST_CASE("Google Benchmark's fields are those that compare.py reads", "[cpu]") {
  Record record = samples::attention();
  record.cases[0].variants[0].time->samples.assign(5000, 1e-5);
  const auto document = nlohmann::json::parse(benchmark_report({record}));
  std::set<std::string> names;
  int repetitions = 0;
  for (const auto& it : document["benchmarks"]) {
    names.insert(it["run_name"].get<std::string>());
    CHECK(it["time_unit"] == "ns");
    CHECK(it.contains("real_time"));
    CHECK(it.contains("cpu_time"));
    repetitions += it["run_type"] == "iteration" && it["run_name"] == "dfss/n=256/kernel/gpu";
    if (it["run_type"] == "aggregate" && it["aggregate_name"] == "median" &&
        it["run_name"] == "dfss/n=512/eigen/cpu") {
      CHECK(std::abs(it["real_time"].get<double>() - 2.31e6) < 1);
    }
  }
  CHECK(names.size() == 6);
  CHECK(repetitions == 100);
}

TEST_CASE("the page is whole in itself and its ids are unique", "[cpu]") {
  std::vector<Record> records = samples::all();
  records[2].cases.push_back(records[2].cases[0]);
  records[2].cases[1].name = "n=48 d=96";
  const std::string page = html_report(records);
  CHECK(page.find("<script") == std::string::npos);
  CHECK(page.find("<link") == std::string::npos);
  CHECK(page.find("src=") == std::string::npos);
  CHECK(page.find("url(http") == std::string::npos);
  std::set<std::string> ids;
  const std::regex id(" id=[\"']([^\"']*)[\"']");
  for (std::sregex_iterator it(page.begin(), page.end(), id), end; it != end; ++it) {
    INFO((*it)[1]);
    CHECK(ids.insert((*it)[1]).second);
  }
  const std::regex link("href=[\"']#([^\"']*)[\"']");
  for (std::sregex_iterator it(page.begin(), page.end(), link), end; it != end; ++it) {
    INFO((*it)[1]);
    CHECK(ids.count((*it)[1]) == 1);
  }
}

TEST_CASE("all reports are written into a folder", "[cpu]") {
  std::string name = (std::filesystem::temp_directory_path() / "reports.XXXXXX").string();
  REQUIRE(::mkdtemp(name.data()) != nullptr);
  const auto folder = std::filesystem::path(name) / "new" / "folder";
  const auto paths = write_reports(folder, samples::all(), without_gnuplot());
  CHECK(paths.size() == 6);
  for (const auto& path : paths) CHECK(std::filesystem::file_size(path) > 1000);
  CHECK(read_text_file(folder / "report.md") == markdown_report(samples::all()));
  std::filesystem::remove_all(name);
}

TEST_CASE("a case that a budget didn't reach is not run in every table, and no failure", "[cpu]") {
  Record record = samples::attention();
  CaseResult waiting;
  waiting.name = "n=9";
  waiting.not_reached = "budget spent";
  record.cases.push_back(waiting);
  CHECK(from_json(to_json(record), "text").cases.back().not_reached == "budget spent");
  CHECK_THAT(terminal_report({record}), ContainsSubstring("not run: budget spent: n=9"));
  CHECK_THAT(markdown_report({record}), ContainsSubstring("not run: budget spent: n=9"));
  CHECK_THAT(html_report({record}), ContainsSubstring("not run: budget spent: n=9"));
  CHECK_THAT(csv_report({record}), ContainsSubstring("n=9,,,case,0,,,s,not run,"));
  const std::string junit = junit_report({record});
  const auto at = junit.find("case n=9");
  REQUIRE(at != std::string::npos);
  CHECK_THAT(junit.substr(at, 400), ContainsSubstring("<skipped"));
}

}  // namespace
}  // namespace remeasure::reports
