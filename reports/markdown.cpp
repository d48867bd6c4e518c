// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "reports/escape.h"
#include "reports/format.h"
#include "reports/view.h"
#include "reports/writers.h"

namespace remeasure::reports {
namespace {

class Writer {
 public:
  std::string report(const std::vector<Record>& records) {
    out_ = "# Re-measured results\n\n";
    index(records);
    for (const Record& record : records) {
      experiment(record);
    }
    return std::move(out_);
  }

 private:
  using Row = std::vector<std::string>;

  /// Cells are text, not Markdown.
  void table(const Row& header, const std::vector<Row>& rows) {
    const auto line = [&](const Row& row) {
      for (const std::string& cell : row) {
        out_ += "| " + markdown_text(cell) + (cell.empty() ? "" : " ");
      }
      out_ += "|\n";
    };
    line(header);
    for (std::size_t i = 0; i < header.size(); ++i) out_ += "|---";
    out_ += "|\n";
    for (const Row& row : rows) line(row);
    out_ += "\n";
  }

  void bullets(const std::vector<std::string>& lines) {
    for (const std::string& line : lines) out_ += "- " + markdown_text(line) + "\n";
    if (!lines.empty()) out_ += "\n";
  }

  void index(const std::vector<Record>& records) {
    std::vector<Row> rows;
    for (const Record& record : records) {
      for (const ClaimResult& claim : record.claims) {
        const ClaimRow row = view_claim(claim);
        rows.push_back({record.experiment, row.text, row.reported, row.reported_on, row.measured, row.verdict,
                        row.measured_on});
      }
    }
    if (rows.empty()) {
      out_ += "No claims in these results.\n\n";
      return;
    }
    out_ += fmt::format("{} claims: {}.\n\n", rows.size(), verdict_totals(records));
    table({"paper", "claim", "reported", "reported on", "measured", "verdict", "measured on"}, rows);
  }

  void experiment(const Record& record) {
    out_ += fmt::format("## {}\n\n{}", markdown_text(record.experiment), markdown_text(record.title));
    if (!record.authors.empty()) out_ += ". " + markdown_text(record.authors);
    if (!record.venue.empty()) out_ += ". " + markdown_text(record.venue);
    if (!record.arxiv.empty()) out_ += fmt::format(". [arXiv {0}](https://arxiv.org/abs/{0})", record.arxiv);
    out_ += ".\n";
    if (!record.summary.empty()) out_ += markdown_text(record.summary) + "\n";
    out_ += fmt::format("\n{} size · {} · {}\n\n", record.size, markdown_text(machine_line(record.system)),
                        markdown_text(build_line(record.build)));
    if (const std::string state = state_line(record); !state.empty()) {
      out_ += "**" + markdown_text(state) + "**\n\n";
    }
    bullets(case_errors(record));
    claims(record);
    variants(record);
    memory(record);
    settings(record);
    metrics(record);
    own_tables(record);
    plots(record);
    checks(record);
    kernels(record);
    if (!record.notes.empty()) out_ += "### Notes\n\n";
    bullets(record.notes);
  }

  void claims(const Record& record) {
    if (record.claims.empty()) return;
    std::vector<Row> rows;
    for (const ClaimResult& claim : record.claims) {
      const ClaimRow row = view_claim(claim);
      rows.push_back({row.id, row.reported, row.measured, row.verdict, row.why, claim.tolerance});
    }
    table({"claim", "reported", "measured", "verdict", "why", "tolerance"}, rows);
  }

  void variants(const Record& record) {
    const VariantsView view = view_variants(record);
    for (const CaseRows& test : view.cases) {
      if (test.rows.empty()) continue;
      out_ += "### " + markdown_text(test.heading) + "\n\n";
      std::vector<Row> rows;
      for (const VariantRow& row : test.rows) {
        std::string speedups;
        for (const std::string& text : row.speedups) speedups += (speedups.empty() ? "" : "\n") + text;
        rows.push_back(
            {row.variant, row.where, row.dtype, row.status, row.time, speedups, row.floor, row.error});
      }
      table({"variant", "on", "dtype", "status", "time", "speedup over", "floor", "error / limit"}, rows);
    }
    bullets(view.footnotes);
    bullets(view.left_out);
    bullets(view.legend);
  }

  void memory(const Record& record) {
    std::vector<Row> rows;
    for (const MemoryRow& it : view_memory(record)) {
      rows.push_back({it.test, it.variant, it.where, it.device_peak, it.inputs, it.outputs, it.workspace,
                      it.host_peak, it.driver, it.formula});
    }
    if (rows.empty()) return;
    out_ += "### Memory\n\n";
    table({"case", "variant", "on", "device peak", "inputs", "outputs", "workspace", "host peak",
           "driver counts", "formula"},
          rows);
  }

  void settings(const Record& record) {
    std::vector<Row> rows;
    for (const SettingRow& it : view_settings(record)) rows.push_back({it.test, it.variant, it.setting});
    if (rows.empty()) return;
    out_ += "### What libraries chose\n\n";
    table({"case", "variant", "setting"}, rows);
  }

  void metrics(const Record& record) {
    std::vector<Row> rows;
    for (const MetricRow& it : view_metrics(record)) {
      rows.push_back({it.metric, it.test, it.value, it.reported});
    }
    if (rows.empty()) return;
    out_ += "### Metrics\n\n";
    table({"metric", "case", "measured", "reported"}, rows);
  }

  void own_tables(const Record& record) {
    for (const CaseResult& test : record.cases) {
      for (const Table& own : test.tables) {
        out_ += fmt::format("### {} ({})\n\n", markdown_text(own.title), markdown_text(test.name));
        table(own.columns, own.rows);
      }
    }
  }

  /// Markdown has no plots without files beside it: their numbers stand in a table that folds.
  void plots(const Record& record) {
    for (const CaseResult& test : record.cases) {
      for (const Plot& plot : test.plots) {
        out_ += fmt::format("<details><summary>{} ({}): the plot's numbers</summary>\n\n",
                            markdown_text(plot.title), markdown_text(test.name));
        std::vector<Row> rows;
        for (const Curve& curve : plot.curves) {
          for (std::size_t i = 0; i < curve.x.size(); ++i) {
            std::string y = number_text(curve.y[i]);
            if (!curve.error.empty()) y += " ±" + number_text(curve.error[i]);
            rows.push_back({curve.label, number_text(curve.x[i]), y});
          }
        }
        table({"curve", plot.x_label, plot.y_label}, rows);
        out_ += "</details>\n\n";
      }
    }
  }

  void checks(const Record& record) {
    std::vector<Row> rows;
    for (const CaseResult& test : record.cases) {
      for (const Check& check : test.checks) {
        rows.push_back({check.name, test.name, check.passed ? "passed" : "FAILED", check.detail});
      }
    }
    if (rows.empty()) return;
    out_ += "### Checks\n\n";
    table({"check", "case", "result", "detail"}, rows);
  }

  void kernels(const Record& record) {
    const KernelsView view = view_kernels(record);
    if (view.rows.empty()) return;
    std::vector<Row> rows;
    for (const KernelRow& row : view.rows) {
      rows.push_back({row.kernel, row.architecture, row.registers, row.spilled, row.stack, row.shared,
                      row.block, row.occupancy});
    }
    out_ += "### Kernels\n\nFrom ptxas: " + markdown_text(view.summary) + ".\n\n";
    table({"kernel", "architecture", "registers", "spilled", "stack", "shared memory", "block", "occupancy"},
          rows);
    if (!view.others.empty()) bullets({view.others});
  }

  std::string out_;
};

}  // namespace

std::string markdown_report(const std::vector<Record>& records) {
  return Writer().report(records);
}

}  // namespace remeasure::reports
