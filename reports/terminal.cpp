// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>

#include "reports/text_table.h"
#include "reports/view.h"
#include "reports/writers.h"

namespace remeasure::reports {
namespace {

constexpr std::size_t kIndent = 2;

class Writer {
 public:
  explicit Writer(const TerminalOptions& options)
      : width_(static_cast<std::size_t>(std::max(options.columns, 60))), colour_(options.colour) {}

  std::string report(const std::vector<Record>& records) {
    if (records.empty()) return "No results.\n";
    for (const Record& record : records) {
      experiment(record);
    }
    claims(records);
    return std::move(out_);
  }

 private:
  /// `text` wrapped; lines after the first are indented by `hang` more.
  void paragraph(const std::string& text, std::size_t indent, std::size_t hang = 0, Tone tone = Tone::plain) {
    const std::vector<std::string> lines = wrapped(text, width_ - indent - hang);
    for (std::size_t i = 0; i < lines.size(); ++i) {
      out_ += std::string(indent + (i ? hang : 0), ' ') + coloured(lines[i], tone, colour_) + "\n";
    }
  }

  void table(const TextTable& it) { out_ += it.text(width_, kIndent, colour_); }

  void experiment(const Record& record) {
    out_ +=
        strong(record.experiment, colour_) + fmt::format(" · {} · {} size", record.theme, record.size) + "\n";
    paragraph(record.title + (record.venue.empty() ? "" : ", " + record.venue) +
                  (record.arxiv.empty() ? "" : ", arXiv " + record.arxiv),
              kIndent);
    paragraph(machine_line(record.system), kIndent, 0, Tone::dim);
    if (const std::string state = state_line(record); !state.empty()) {
      paragraph(state, kIndent, 2, Tone::bad);
    }
    for (const std::string& error : case_errors(record)) {
      paragraph("ended early: " + error, kIndent, 2, Tone::bad);
    }
    variants(record);
    metrics(record);
    own_tables(record);
    checks(record);
    kernels(record);
    for (const std::string& note : record.notes) {
      paragraph("note: " + note, kIndent, 2);
    }
    out_ += "\n";
  }

  void variants(const Record& record) {
    const VariantsView view = view_variants(record);
    if (view.any_row) {
      out_ += "\n";
      std::vector<TextTable::Column> columns = {
          {"variant", false, 10, false}, {"on", false, 4, true}, {"time or status", false, 12, false}};
      if (view.any_speedup) columns.push_back({"speedup over", false, 10, false});
      if (view.any_floor) columns.push_back({"floor", true, 5, true});
      columns.push_back({"error / limit", false, 11, false});
      if (view.any_memory) columns.push_back({"memory", true, 8, true});
      TextTable rows(std::move(columns));
      for (const CaseRows& test : view.cases) {
        if (test.rows.empty()) continue;
        rows.add_heading(test.heading);
        for (const VariantRow& row : test.rows) {
          rows.add(cells(row, view));
        }
      }
      table(rows);
    }
    for (const std::string& line : view.footnotes) paragraph(line, kIndent, 4);
    for (const std::string& line : view.left_out) paragraph(line, kIndent, 2);
    for (const std::string& line : view.legend) paragraph(line, kIndent, 2, Tone::dim);
  }

  /// A time stands only where the status is `passed`, so the two share a column.
  static std::vector<TextTable::Cell> cells(const VariantRow& row, const VariantsView& view) {
    std::string speedups;
    for (const std::string& text : row.speedups) {
      speedups += (speedups.empty() ? "" : "\n") + text;
    }
    std::vector<TextTable::Cell> cells = {
        {row.variant},
        {row.where},
        row.time.empty() ? TextTable::Cell{row.status, row.tone} : TextTable::Cell{row.time}};
    if (view.any_speedup) cells.push_back({speedups});
    if (view.any_floor) cells.push_back({row.floor});
    cells.push_back({row.error});
    if (view.any_memory) cells.push_back({row.memory});
    return cells;
  }

  void metrics(const Record& record) {
    const std::vector<MetricRow> rows = view_metrics(record);
    if (rows.empty()) return;
    const bool reported =
        std::any_of(rows.begin(), rows.end(), [](const MetricRow& it) { return !it.reported.empty(); });
    const bool several =
        std::any_of(rows.begin(), rows.end(), [&](const MetricRow& it) { return it.test != rows[0].test; });
    out_ += "\n";
    std::vector<TextTable::Column> columns = {{"metric", false, 20, false}};
    if (several) columns.push_back({"case", false, 20, false});
    columns.push_back({"measured", false, 12, false});
    if (reported) columns.push_back({"reported", false, 10, false});
    TextTable it(std::move(columns));
    std::string before;
    for (const MetricRow& row : rows) {
      std::vector<TextTable::Cell> cells = {{row.metric == before ? "" : row.metric}};
      before = row.metric;
      if (several) cells.push_back({row.test});
      cells.push_back({row.value});
      if (reported) cells.push_back({row.reported});
      it.add(std::move(cells));
    }
    table(it);
  }

  void own_tables(const Record& record) {
    for (const CaseResult& test : record.cases) {
      for (const Table& own : test.tables) {
        out_ += "\n";
        paragraph(fmt::format("{} ({})", own.title, test.name), kIndent);
        std::vector<TextTable::Column> columns;
        for (const std::string& title : own.columns) columns.push_back({title, false, 6, false});
        TextTable it(std::move(columns));
        for (const auto& row : own.rows) {
          std::vector<TextTable::Cell> cells;
          for (const std::string& text : row) cells.push_back({text});
          it.add(std::move(cells));
        }
        table(it);
      }
    }
  }

  void checks(const Record& record) {
    std::size_t passed = 0;
    std::size_t all = 0;
    std::vector<std::string> failed;
    for (const CaseResult& test : record.cases) {
      for (const Check& check : test.checks) {
        ++all;
        passed += check.passed ? 1 : 0;
        if (!check.passed)
          failed.push_back(fmt::format("FAILED {} ({}): {}", check.name, test.name, check.detail));
      }
    }
    if (all == 0) return;
    out_ += "\n";
    paragraph(fmt::format("checks: {} of {} passed", passed, all), kIndent);
    for (const std::string& line : failed) paragraph(line, kIndent, 2, Tone::bad);
  }

  /// The whole table is long: `remeasure kernels` has it.
  void kernels(const Record& record) {
    const KernelsView view = view_kernels(record);
    if (view.summary.empty()) return;
    paragraph("kernels: " + view.summary, kIndent, 2);
    for (const std::string& line : view.least) paragraph(line, kIndent + 2, 2, Tone::dim);
    constexpr std::size_t kMost = 3;
    for (std::size_t i = 0; i < std::min(kMost, view.spills.size()); ++i) {
      paragraph(view.spills[i], kIndent + 2, 2, Tone::bad);
    }
    if (view.spills.size() > kMost) {
      paragraph(
          fmt::format("and {} more: remeasure kernels {}", view.spills.size() - kMost, record.experiment),
          kIndent + 2, 2, Tone::bad);
    }
  }

  void claims(const std::vector<Record>& records) {
    TextTable it({{"claim", false, 24, false},
                  {"reported", false, 16, false},
                  {"measured", false, 16, false},
                  {"verdict", false, 16, false}});
    std::size_t count = 0;
    for (const Record& record : records) {
      if (record.claims.empty()) continue;
      it.add_heading(record.experiment);
      for (const ClaimResult& claim : record.claims) {
        const ClaimRow row = view_claim(claim);
        it.add({{row.id + ": " + row.text},
                {row.reported + (row.reported_on.empty() ? "" : "\n" + row.reported_on)},
                {row.measured + (row.measured_on.empty() ? "" : "\n" + row.measured_on)},
                {row.verdict + (row.why.empty() ? "" : "\n" + row.why), row.tone}});
        ++count;
      }
    }
    if (count == 0) return;
    out_ += strong("Claims", colour_) + "\n\n";
    table(it);
    out_ += "\n";
    paragraph(fmt::format("{} claim{}: {}", count, count == 1 ? "" : "s", verdict_totals(records)), 0);
  }

  std::string out_;
  std::size_t width_;
  bool colour_;
};

}  // namespace

std::string terminal_report(const std::vector<Record>& records, const TerminalOptions& options) {
  return Writer(options).report(records);
}

}  // namespace remeasure::reports
