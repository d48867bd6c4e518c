// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>

#include "reports/escape.h"
#include "reports/format.h"
#include "reports/html_parts.h"
#include "reports/plot.h"

namespace remeasure::reports::html {
namespace {

std::string heading(const Record& record) {
  std::string facts = xml_text(record.authors);
  const auto add = [&](const std::string& html) {
    facts += (facts.empty() || html.empty() ? "" : " · ") + html;
  };
  add(xml_text(record.venue));
  if (!record.arxiv.empty()) {
    add(fmt::format("<a href=\"https://arxiv.org/abs/{0}\">arXiv {0}</a>", xml_text(record.arxiv)));
  }
  std::string out =
      fmt::format("<h2>{}</h2>\n<p class=\"quiet\"><code>{}</code> · {}{}{}</p>\n", xml_text(record.title),
                  xml_text(record.experiment), xml_text(record.theme), facts.empty() ? "" : " · ", facts);
  if (!record.summary.empty()) out += paragraph(record.summary);
  if (const std::string state = state_line(record); !state.empty()) out += paragraph(state, "alarm");
  for (const std::string& error : case_errors(record)) {
    out += paragraph("Ended early: " + error, "alarm");
  }
  return out;
}

/// The index says where each was reported and measured; here is by which rule it was judged.
std::string claims(const Record& record) {
  Group group;
  for (const ClaimResult& claim : record.claims) {
    const ClaimRow row = view_claim(claim);
    group.rows.push_back({text(row.id),
                          text(row.reported),
                          text(row.measured),
                          {badge(row.verdict, row.tone)},
                          text(row.why),
                          text(claim.tolerance)});
  }
  if (group.rows.empty()) return "";
  return table("Claims", {"claim", "reported", "measured", "verdict", "why", "tolerance"}, {group});
}

std::string variants(const Record& record) {
  const VariantsView view = view_variants(record);
  std::vector<Group> groups;
  for (const CaseRows& test : view.cases) {
    if (test.rows.empty()) continue;
    Group group{fmt::format("{} <span>· {}</span>", xml_text(test.test->name), data_kind(*test.test)), {}};
    for (const VariantRow& row : test.rows) {
      std::string speedups;
      for (const std::string& it : row.speedups) speedups += (speedups.empty() ? "" : "<br>") + xml_text(it);
      const std::size_t mark = row.status.find(" [");
      const std::string status = badge(row.status.substr(0, mark), row.tone) +
                                 (mark == std::string::npos ? "" : xml_text(row.status.substr(mark)));
      group.rows.push_back({text(row.variant),
                            text(row.where),
                            text(row.dtype),
                            {status},
                            number(row.time),
                            {speedups, true},
                            number(row.floor),
                            number(row.error),
                            number(row.memory)});
    }
    groups.push_back(std::move(group));
  }
  std::string out;
  if (view.any_row) {
    out += table(
        "Time, speedup, accuracy, memory",
        {"variant", "on", "dtype", "status", "time", "speedup over", "floor", "error / limit", "peak memory"},
        groups);
  }
  return out + list(view.footnotes, "notes") + list(view.left_out, "notes") + list(view.legend, "notes");
}

/// What each variant is, said once.
std::string meanings(const Record& record) {
  std::vector<std::string> seen;
  std::string out;
  for (const CaseResult& test : record.cases) {
    for (const VariantResult& variant : test.variants) {
      if (variant.what.empty() || std::find(seen.begin(), seen.end(), variant.name) != seen.end()) continue;
      seen.push_back(variant.name);
      out += fmt::format("<dt>{}</dt><dd>{}{}</dd>\n", xml_text(variant.name), xml_text(variant.what),
                         variant.determinism.empty() ? "" : "; " + xml_text(variant.determinism));
    }
  }
  return out.empty()
             ? out
             : "<details><summary>What the variants are</summary>\n<dl>\n" + out + "</dl>\n</details>\n";
}

std::string memory(const Record& record) {
  Group group;
  for (const MemoryRow& it : view_memory(record)) {
    group.rows.push_back({text(it.test), text(it.variant), text(it.where), number(it.device_peak),
                          number(it.inputs), number(it.outputs), number(it.workspace), number(it.host_peak),
                          number(it.driver), number(it.formula)});
  }
  if (group.rows.empty()) return "";
  return table("Memory",
               {"case", "variant", "on", "device peak", "inputs", "outputs", "workspace", "host peak",
                "driver counts", "formula"},
               {group});
}

std::string settings(const Record& record) {
  Group group;
  for (const SettingRow& it : view_settings(record))
    group.rows.push_back({text(it.test), text(it.variant), text(it.setting)});
  return group.rows.empty() ? "" : table("What libraries chose", {"case", "variant", "setting"}, {group});
}

std::string metrics(const Record& record) {
  Group group;
  for (const MetricRow& it : view_metrics(record)) {
    group.rows.push_back({text(it.metric), text(it.test), number(it.value), number(it.reported)});
  }
  return group.rows.empty() ? "" : table("Metrics", {"metric", "case", "measured", "reported"}, {group});
}

std::string own_tables(const Record& record) {
  std::string out;
  for (const CaseResult& test : record.cases) {
    for (const Table& own : test.tables) {
      Group group;
      for (const auto& row : own.rows) {
        std::vector<Cell> cells;
        for (const std::string& cell : row) cells.push_back(text(cell));
        group.rows.push_back(std::move(cells));
      }
      out += table(fmt::format("{} ({})", own.title, test.name), own.columns, {group});
    }
  }
  return out;
}

std::string plots(const Record& record, const HtmlOptions& options) {
  std::string out;
  int count = 0;
  for (const CaseResult& test : record.cases) {
    for (const Plot& plot : test.plots) {
      // Starts with a letter, whatever the experiment is called.
      const std::string id = fmt::format("plot-{}-{}", anchor_text(record.experiment), ++count);
      const Drawing drawing = draw(plot, id, options.gnuplot);
      out += fmt::format(
          "<figure><figcaption>{} <span class=\"quiet\">· {} · {}</span></figcaption>\n{}</figure>\n",
          xml_text(plot.title), xml_text(test.name), data_kind(test),
          drawing.svg.empty() ? paragraph("No plot: " + drawing.problem + ".", "alarm") : drawing.svg);
    }
  }
  return out.empty() ? out : "<div class=\"plots\">\n" + out + "</div>\n";
}

std::string checks(const Record& record) {
  Group group;
  std::size_t passed = 0;
  for (const CaseResult& test : record.cases) {
    for (const Check& check : test.checks) {
      passed += check.passed ? 1 : 0;
      group.rows.push_back(
          {text(check.name),
           text(test.name),
           {badge(check.passed ? "passed" : "failed", check.passed ? Tone::good : Tone::bad)},
           text(check.detail)});
    }
  }
  const std::size_t all = group.rows.size();
  if (all == 0) return "";
  return fmt::format("<details{}><summary>Checks: {} of {} passed</summary>\n{}</details>\n",
                     passed == all ? "" : " open", passed, all,
                     table("Checks", {"check", "case", "result", "detail"}, {group}));
}

std::string kernels(const Record& record) {
  const KernelsView view = view_kernels(record);
  if (view.rows.empty()) return "";
  Group group;
  for (const KernelRow& row : view.rows) {
    const Cell spilled =
        row.tone == Tone::bad ? Cell{badge(row.spilled, row.tone), true} : number(row.spilled);
    group.rows.push_back({text(row.kernel), text(row.architecture), number(row.registers), spilled,
                          number(row.stack), number(row.shared), number(row.block), number(row.occupancy)});
  }
  return fmt::format("<details{}><summary>Kernels: {}</summary>\n", view.spills.empty() ? "" : " open",
                     xml_text(view.summary)) +
         table("Kernels",
               {"kernel", "architecture", "registers", "spilled", "stack", "shared memory", "block",
                "occupancy"},
               {group}) +
         (view.others.empty() ? "" : paragraph(view.others, "quiet")) + "</details>\n";
}

std::string environment(const Record& record) {
  std::string out = "<details><summary>Where and how it was measured</summary>\n<dl>\n";
  const auto add = [&](const std::string& name, const std::string& value) {
    if (!value.empty()) out += fmt::format("<dt>{}</dt><dd>{}</dd>\n", xml_text(name), xml_text(value));
  };
  const System& system = record.system;
  add("machine", machine_line(system));
  add("system", system.os);
  add("memory", system.memory_bytes > 0 ? bytes_text(system.memory_bytes) : "");
  add("CPU governor", system.governor);
  add("GPU driver", system.gpu_driver);
  for (const auto& [name, value] : system.more) add(name, value);
  for (const auto& [name, value] : record.ceilings) add("ceiling " + name, ceiling_text(name, value));
  add("build", build_line(record.build));
  add("flags", record.build.flags);
  add("SIMD", record.build.simd);
  add("size", record.size);
  add("command", record.command);
  add("took", seconds_text(record.elapsed_seconds));
  add("run", record.run_id);
  for (const CaseResult& test : record.cases) {
    add("data of " + test.name,
        fmt::format("{}{}{}, {}, seed {}", test.dataset, test.dataset_sha256.empty() ? "" : ", SHA-256 ",
                    test.dataset_sha256.substr(0, 16), data_kind(test), test.seed));
  }
  return out + "</dl>\n</details>\n";
}

}  // namespace

std::string paper_section(const Record& record, const HtmlOptions& options) {
  std::string out = fmt::format("<section class=\"paper\" id=\"{}\">\n", anchor_text(record.experiment));
  out += heading(record) + claims(record) + plots(record, options) + variants(record) + meanings(record);
  out += memory(record) + settings(record) + metrics(record) + own_tables(record) + checks(record) +
         kernels(record);
  if (!record.notes.empty()) out += "<h3>Notes</h3>\n" + list(record.notes);
  return out + environment(record) + "</section>\n";
}

}  // namespace remeasure::reports::html
