// SPDX-License-Identifier: Apache-2.0
//
// Tables, metrics and claims of a region: speed over sub-boxes, errors by branch.
#pragma once

#include <fmt/format.h>

#include "bench/part_times.h"
#include "bench/system.h"
#include "experiments/science/log_bessel_points.h"
#include "experiments/vocabulary.h"

namespace remeasure::experiments::log_bessel_points {

using kernels::BranchTable;
using kernels::MuGuard;

inline constexpr LogBesselTable kFull = {BranchTable::full, MuGuard::paper};
inline constexpr LogBesselTable kReduced = {BranchTable::reduced, MuGuard::paper};

/// How much faster the method is than each library, over the sub-boxes of the region; both on one thread.
inline void compare_boxes(Trial& t, Function function, const std::string& region, const BesselPoints& points,
                          const std::vector<Answers>& libraries) {
  if (!t.passed("method")) return;
  const bool smoke = t.size() == bench::Size::smoke;
  const auto boxes = sub_boxes(datasets::bessel_region(region), points, smoke ? 16 : 128);
  const bench::StopRule rule = smoke ? bench::StopRule{.min_samples = 3, .min_seconds = 0, .max_samples = 3}
                                     : bench::StopRule{.min_samples = 7, .min_seconds = 0, .max_samples = 7};
  std::vector<std::string> subjects = {"method"};
  for (const Answers& answers : libraries) subjects.emplace_back(answers.library->name);
  std::vector<BesselPoints> parts;
  for (const auto& box : boxes) parts.push_back(points_of(points, box));
  std::vector<double> out(points.v.size());
  const auto times = bench::time_parts(
      parts.size(), subjects,
      [&](std::size_t part, std::size_t subject) -> std::function<void()> {
        const BesselPoints& p = parts[part];
        const std::span<double> results(out.data(), p.v.size());
        if (subject == 0) return [&p, results, function] { evaluate(function, p.v, p.x, results); };
        return [&p, results, compute = function_of(*libraries[subject - 1].library, function)] {
          compute(p.v, p.x, results);
        };
      },
      rule);

  std::vector<double> answered, all;  // ratios, all libraries
  reports::Table table{
      .name = "sub-boxes",
      .title = "Method against libraries over sub-boxes of the region, one thread each",
      .columns = {"library", "fails", "boxes", "answers all", "median", "max", "median of all", "max of all"},
      .rows = {}};
  const auto cell = [](const std::vector<double>& ratios, bool top) {
    return ratios.empty() ? std::string("-")
                          : fmt::format("{:.3g}x", top ? largest(ratios) : bench::median(ratios));
  };
  for (std::size_t l = 0; l < libraries.size(); ++l) {
    std::vector<double> its_answered, its_all;
    for (std::size_t b = 0; b < boxes.size(); ++b) {
      const double ratio = times[b][l + 1] / times[b][0];
      its_all.push_back(ratio);
      if (std::all_of(boxes[b].begin(), boxes[b].end(),
                      [&](std::size_t i) { return libraries[l].right[i] != 0; })) {
        its_answered.push_back(ratio);
      }
    }
    table.rows.push_back({subjects[l + 1], fmt::format("{:.1f} %", 100 * libraries[l].failing),
                          fmt::format("{}", boxes.size()), fmt::format("{}", its_answered.size()),
                          cell(its_answered, false), cell(its_answered, true), cell(its_all, false),
                          cell(its_all, true)});
    answered.insert(answered.end(), its_answered.begin(), its_answered.end());
    all.insert(all.end(), its_all.begin(), its_all.end());
  }
  // Ratios of times stay in the table: a metric would be compared between machines.
  table.rows.push_back(
      {"all", "", "", "", cell(answered, false), cell(answered, true), cell(all, false), cell(all, true)});
  t.table(std::move(table));
  // The mixed region's orders go to 1e5, and libraries recur over the order: its ratios grow with the bound
  // that we chose.
  if (answered.empty() || region == "mixed") return;
  const double top = largest(answered);
  t.claim("cpu-speedup-libs", {.value = bench::estimate(answered), .on = bench::cpu_name(), .missing = {}});
  t.claim("cpu-speedup-libs-max",
          {.value = reports::Estimate{top, top, top}, .on = bench::cpu_name(), .missing = {}});
}

/// Errors by branch, with the paper's thresholds, with the guards on the large-argument branches, and of the
/// reduced table.
inline void report_errors(Trial& t, Function function, const std::string& region, const BesselPoints& points,
                          const Reference& reference) {
  reports::Table table{.name = "errors",
                       .title = "|error| / max(1, |reference|) by branch",
                       .columns = {"table", "branch", "points", "median", "99 %", "max"},
                       .rows = {}};
  std::vector<double> out(points.v.size());
  for (const auto& [what, choice] : {std::pair{"full", kFull},
                                     {"full, guarded", {BranchTable::full, MuGuard::guarded}},
                                     {"reduced", kReduced},
                                     {"reduced, guarded", {BranchTable::reduced, MuGuard::guarded}}}) {
    for (const std::size_t i : reference.indices) {
      evaluate(function, {&points.v[i], 1}, {&points.x[i], 1}, {&out[i], 1}, choice);
    }
    const auto errors = errors_by_branch(points, reference, out, choice);
    if (choice.table == BranchTable::full)
      add_error_rows(table, what, errors);
    else
      add_error_rows(table, what, {{"all", errors.at("all")}});
    t.metric({.name = fmt::format("largest error, {}", what),
              .value = largest(errors.at("all")),
              .unit = "",
              .tolerance = 1});
    if (choice.table == BranchTable::full && choice.guard == MuGuard::paper) {
      const double middle = bench::median(errors.at("all")), top = largest(errors.at("all"));
      t.claim("precision", reports::Estimate{top, top, top});
      if (region != "mixed") {
        const double limit = function == Function::i ? 1e-15 : 1e-14;
        t.check("median error", middle <= limit, fmt::format("{:.1e}, limit {:.0e}", middle, limit));
      }
    }
  }
  t.table(std::move(table));
}

}  // namespace remeasure::experiments::log_bessel_points
