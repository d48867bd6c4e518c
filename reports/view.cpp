// SPDX-License-Identifier: Apache-2.0
#include "reports/view.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "reports/format.h"

namespace remeasure::reports {
namespace {

Tone tone_of(Status status) {
  switch (status) {
    case Status::passed:
      return Tone::good;
    case Status::incorrect:
    case Status::failed:
    case Status::timed_out:
      return Tone::bad;
    case Status::not_verified:
      return Tone::fair;
    case Status::not_supported:
    case Status::not_run:
      break;
  }
  return Tone::dim;
}

Tone tone_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::reproduced:
      return Tone::good;
    case Verdict::partly:
      return Tone::fair;
    case Verdict::not_reproduced:
      return Tone::bad;
    case Verdict::not_comparable:
    case Verdict::not_measured:
      break;
  }
  return Tone::dim;
}

/// Footnotes of one table: the same text has one number.
class Footnotes {
 public:
  explicit Footnotes(std::vector<std::string>& lines) : lines_(lines) {}
  /// A line without a number, once.
  void say(const std::string& text) {
    if (std::find(lines_.begin(), lines_.end(), text) == lines_.end()) lines_.push_back(text);
  }
  /// " [2]".
  std::string mark(const std::string& text) {
    auto found = std::find(texts_.begin(), texts_.end(), text);
    if (found == texts_.end()) {
      texts_.push_back(text);
      lines_.push_back(fmt::format("[{}] {}", texts_.size(), text));
      found = texts_.end() - 1;
    }
    return fmt::format(" [{}]", found - texts_.begin() + 1);
  }

 private:
  std::vector<std::string> texts_;
  std::vector<std::string>& lines_;
};

bool has_nothing_to_show(const VariantResult& variant) {
  return variant.status == Status::not_run || variant.status == Status::not_supported;
}

/// The comparison nearest to (or furthest beyond) its limit.
const Accuracy* worst(const std::vector<Accuracy>& all) {
  const auto closeness = [](const Accuracy& it) {
    return it.limit > 0 ? it.value / it.limit : (it.value > 0 ? 1e300 : 0);
  };
  const auto found = std::max_element(all.begin(), all.end(), [&](const Accuracy& a, const Accuracy& b) {
    return std::pair(!a.passed, closeness(a)) < std::pair(!b.passed, closeness(b));
  });
  return found == all.end() ? nullptr : &*found;
}

std::string error_cell(const VariantResult& variant, bool& sampled) {
  const Accuracy* it = worst(variant.accuracy);
  if (!it) return "";
  sampled = sampled || it->sampled;
  std::string limit = it->limit == 0 ? "exact" : error_text(it->limit);
  if (it->at_least && it->value < *it->at_least)
    limit = fmt::format("at least {}", error_text(*it->at_least));
  return fmt::format("{} / {}{}", error_text(it->value), limit, it->sampled ? " s" : "");
}

/// What qualifies a time. The other modes stand beside a launch-bound one, where they tell another story.
std::vector<std::string> time_notes(const TimeResult& time) {
  std::vector<std::string> notes;
  if (time.launch_bound) {
    std::string note = "launch-bound: below 10 µs the launch is what is measured";
    for (const OtherMode& other : time.other_modes) {
      note += other.seconds ? fmt::format("; {} {}", other.mode, time_text(*other.seconds))
                            : fmt::format("; no {} time: {}", other.mode, other.missing);
    }
    notes.push_back(note);
  }
  if (!time.disturbed.empty()) notes.push_back("not to be quoted: " + time.disturbed + " meanwhile");
  if (!time.throttled.empty()) {
    const std::string share = time.throttled.size() == time.samples.size()
                                  ? fmt::format("all {}", time.samples.size())
                                  : fmt::format("{} of {}", time.throttled.size(), time.samples.size());
    notes.push_back(fmt::format("{} samples were taken while the clock was limited", share));
  }
  if (!time.unhidden.empty()) notes.push_back("with the launch's latency in it: " + time.unhidden);
  if (!time.quoted_because.empty())
    notes.push_back(fmt::format("{} time: {}", time.mode, time.quoted_because));
  return notes;
}

std::string time_cell(const VariantResult& variant, Footnotes& footnotes) {
  if (variant.where == Where::simt) {
    return variant.status == Status::passed ? "checked, not timed" : "";
  }
  if (!variant.time) return "";
  const TimeResult& time = *variant.time;
  std::string text = time_text(time.seconds);
  if (variant.where == Where::gpu && time.mode != "cold") text += " " + time.mode;
  for (const std::string& note : time_notes(time)) text += footnotes.mark(note);
  return text;
}

std::string memory_cell(const VariantResult& variant) {
  if (!variant.memory) return "";
  if (variant.memory->device_peak) return bytes_text(*variant.memory->device_peak);
  if (variant.memory->host_peak) return bytes_text(*variant.memory->host_peak);
  return "";
}

VariantRow row_of(const VariantResult& variant, const CaseResult& test, Footnotes& footnotes, bool& sampled) {
  VariantRow row;
  row.variant = variant.name;
  row.where = to_string(variant.where);
  row.dtype = variant.dtype;
  row.status = to_string(variant.status);
  row.tone = tone_of(variant.status);
  if (variant.status != Status::passed) row.status += footnotes.mark(variant.reason);
  row.time = time_cell(variant, footnotes);
  row.error = error_cell(variant, sampled);
  row.memory = memory_cell(variant);
  if (variant.memory && !variant.memory->device_note.empty()) {
    footnotes.say(fmt::format("memory of {}: {}", variant.name, variant.memory->device_note));
  }
  if (variant.roofline && variant.roofline->fraction_of_floor) {
    row.floor = percent_text(*variant.roofline->fraction_of_floor);
  }
  if (!variant.time) return row;
  for (const Speedup& speedup : test.speedups) {
    if (speedup.variant != variant.name) continue;
    std::string text = fmt::format("{} {}", ratio_text(speedup.ratio.median), speedup.base);
    if (!speedup.withheld.empty())
      text += footnotes.mark("no verdict rests on this speedup: " + speedup.withheld);
    row.speedups.push_back(text);
  }
  return row;
}

using LeftOutKey = std::tuple<Status, std::string, Where>;

/// Variants that did not run for the same reason in every case, so that the reason is said once.
std::map<LeftOutKey, std::vector<std::string>> left_out_everywhere(const Record& record) {
  std::map<std::pair<LeftOutKey, std::string>, std::size_t> count;
  std::vector<std::pair<LeftOutKey, std::string>> order;
  std::size_t cases = 0;
  for (const CaseResult& test : record.cases) {
    cases += test.variants.empty() ? 0 : 1;
    for (const VariantResult& variant : test.variants) {
      if (!has_nothing_to_show(variant)) continue;
      const std::pair key{LeftOutKey{variant.status, variant.reason, variant.where}, variant.name};
      if (++count[key] == 1) order.push_back(key);
    }
  }
  std::map<LeftOutKey, std::vector<std::string>> result;
  for (const auto& key : order) {
    if (count[key] == cases) result[key.first].push_back(key.second);
  }
  return result;
}

/// The ceilings that the floors of this record rest on.
std::string floor_legend(const Record& record) {
  std::set<std::string> used;
  for (const CaseResult& test : record.cases) {
    for (const VariantResult& variant : test.variants) {
      if (!variant.roofline || !variant.roofline->fraction_of_floor) continue;
      // Names in full: "read-dram" is also the end of "gpu-read-dram".
      const std::string names = ", " + variant.roofline->ceilings + ",";
      for (const auto& [name, rate] : record.ceilings) {
        if (names.find(", " + name + ",") != std::string::npos) used.insert(name);
      }
    }
  }
  std::vector<std::string> texts;
  for (const std::string& name : used) {
    texts.push_back(fmt::format("{} {}", name, ceiling_text(name, record.ceilings.at(name))));
  }
  return fmt::format(
      "floor: share of the time that its bytes and operations need at least; ceilings measured on this "
      "machine: {}",
      fmt::join(texts, ", "));
}

}  // namespace

VariantsView view_variants(const Record& record) {
  VariantsView view;
  Footnotes footnotes(view.footnotes);
  const auto left_out = left_out_everywhere(record);
  bool sampled = false;
  bool simt = false;
  for (const CaseResult& test : record.cases) {
    CaseRows rows{&test, fmt::format("{} · {}", test.name, data_kind(test)), {}};
    for (const VariantResult& variant : test.variants) {
      if (has_nothing_to_show(variant)) {
        const auto found = left_out.find({variant.status, variant.reason, variant.where});
        if (found != left_out.end() &&
            std::find(found->second.begin(), found->second.end(), variant.name) != found->second.end()) {
          continue;
        }
      }
      VariantRow row = row_of(variant, test, footnotes, sampled);
      // Rows that differ only in the variant's name are one row.
      if (has_nothing_to_show(variant) && !rows.rows.empty() && rows.rows.back().status == row.status &&
          rows.rows.back().where == row.where) {
        rows.rows.back().variant += ", " + row.variant;
        continue;
      }
      simt = simt || variant.where == Where::simt;
      view.any_speedup = view.any_speedup || !row.speedups.empty();
      view.any_floor = view.any_floor || !row.floor.empty();
      view.any_memory = view.any_memory || !row.memory.empty();
      view.any_row = true;
      rows.rows.push_back(std::move(row));
    }
    view.cases.push_back(std::move(rows));
  }
  for (const auto& [key, names] : left_out) {
    const auto& [status, reason, where] = key;
    view.left_out.push_back(
        fmt::format("{} on {}: {}: {}", fmt::join(names, ", "), to_string(where), to_string(status), reason));
  }
  if (view.any_floor) view.legend.push_back(floor_legend(record));
  if (sampled) view.legend.push_back("s: a sample of the output was compared, tile edges included");
  if (simt) view.legend.push_back("simt: the CUDA kernel run on the CPU, to check it; it has no time");
  return view;
}

ClaimRow view_claim(const ClaimResult& claim) {
  ClaimRow row;
  row.id = claim.id;
  row.text = claim.text;
  row.reported =
      claim.reported_text.empty() ? interval_text(claim.reported, claim.unit) : claim.reported_text;
  row.reported_on = claim.reported_on;
  if (!claim.source.empty()) row.reported_on += (row.reported_on.empty() ? "" : ", ") + claim.source;
  if (claim.measured) row.measured = interval_text(*claim.measured, claim.unit);
  if (!claim.measured_text.empty()) row.measured += (row.measured.empty() ? "" : "; ") + claim.measured_text;
  if (row.measured.empty()) row.measured = "–";
  row.measured_on = claim.measured_on;
  row.verdict = to_string(claim.verdict);
  row.why = claim.why;
  if (claim.modelled) row.why += row.why.empty() ? "modelled" : "; modelled";
  row.tone = tone_of(claim.verdict);
  return row;
}

std::vector<MetricRow> view_metrics(const Record& record) {
  std::vector<MetricRow> rows;
  for (const CaseResult& test : record.cases) {
    for (const Metric& metric : test.metrics) {
      std::string value = number_text(metric.value, metric.error ? "" : metric.unit);
      if (metric.error) value += " ±" + number_text(*metric.error, metric.unit);
      // A metric's cases stand together.
      const auto same = std::find_if(rows.rbegin(), rows.rend(),
                                     [&](const MetricRow& it) { return it.metric == metric.name; });
      rows.insert(same == rows.rend() ? rows.end() : same.base(),
                  {test.name, metric.name, value,
                   metric.reported ? interval_text(*metric.reported, metric.unit) : std::string()});
    }
  }
  return rows;
}

std::vector<MemoryRow> view_memory(const Record& record) {
  const auto text = [](const std::optional<double>& bytes) {
    return bytes ? bytes_text(*bytes) : std::string();
  };
  std::vector<MemoryRow> rows;
  for (const CaseResult& test : record.cases) {
    for (const VariantResult& variant : test.variants) {
      if (!variant.memory) continue;
      const Memory& it = *variant.memory;
      rows.push_back({test.name, variant.name, to_string(variant.where), text(it.device_peak),
                      text(it.inputs), text(it.outputs), text(it.workspace), text(it.host_peak),
                      text(it.device_used), text(it.formula)});
    }
  }
  return rows;
}

std::vector<SettingRow> view_settings(const Record& record) {
  std::vector<SettingRow> rows;
  for (const CaseResult& test : record.cases) {
    for (const VariantResult& variant : test.variants) {
      if (!variant.setting.empty()) rows.push_back({test.name, variant.name, variant.setting});
    }
  }
  return rows;
}

int count_verdict(const std::vector<Record>& records, Verdict verdict) {
  int count = 0;
  for (const Record& record : records) {
    for (const ClaimResult& claim : record.claims) {
      count += claim.verdict == verdict ? 1 : 0;
    }
  }
  return count;
}

std::string verdict_totals(const std::vector<Record>& records) {
  std::vector<std::string> texts;
  for (const Verdict verdict : {Verdict::reproduced, Verdict::partly, Verdict::not_reproduced,
                                Verdict::not_comparable, Verdict::not_measured}) {
    texts.push_back(fmt::format("{} {}", count_verdict(records, verdict), to_string(verdict)));
  }
  return fmt::format("{}", fmt::join(texts, ", "));
}

std::string data_kind(const CaseResult& test) {
  return test.synthetic ? "generated data" : "real data";
}

std::string machine_line(const System& system) {
  std::string line = system.gpu.empty() ? "no GPU" : system.gpu;
  if (!system.cpu.empty()) line += " · " + system.cpu;
  if (system.cores > 0) line += fmt::format(", {} core{}", system.cores, system.cores == 1 ? "" : "s");
  return line;
}

std::string build_line(const Build& build) {
  std::string line = "remeasure " + build.version;
  if (!build.git_commit.empty()) {
    line += fmt::format(" ({}{})", build.git_commit.substr(0, 10), build.git_dirty ? ", modified" : "");
  }
  if (!build.compiler.empty()) line += " · " + build.compiler;
  line += build.cuda_toolkit.empty() ? " · built without CUDA" : " · CUDA " + build.cuda_toolkit;
  return line;
}

std::string state_line(const Record& record) {
  if (record.state == RunState::complete) return "";
  return to_string(record.state) + (record.error.empty() ? std::string() : ": " + record.error);
}

std::vector<std::string> case_errors(const Record& record) {
  std::vector<std::string> lines;
  for (const CaseResult& test : record.cases) {
    if (!test.error.empty()) lines.push_back(fmt::format("{}: {}", test.name, test.error));
  }
  // Cases left out for one reason stand on one line.
  std::map<std::string, std::vector<std::string>> left_out;
  for (const CaseResult& test : record.cases) {
    if (!test.left_out.empty()) left_out["left out: " + test.left_out].push_back(test.name);
    if (!test.not_reached.empty()) left_out["not run: " + test.not_reached].push_back(test.name);
  }
  for (const auto& [reason, names] : left_out) {
    lines.push_back(fmt::format("{}: {}", reason, fmt::join(names, "; ")));
  }
  return lines;
}

}  // namespace remeasure::reports
