// SPDX-License-Identifier: Apache-2.0
//
// The training runs of grokking-stability: every plan with every seed, each on a thread of its own, and what
// is said of them: curves with errors over the seeds, a table, epochs at which something is reached.
#pragma once

#include <cmath>
#include <optional>

#include "experiments/learning/grokking_stability_step.h"
#include "kernels/parallel_tasks.h"

namespace remeasure::experiments::grokking {

using kernels::GradientRule;
using kernels::GrokkingPlan;
using kernels::GrokkingRecord;

struct TaskChoice {
  std::string operation = "add";  ///< add, multiply; parity: rows of `modulus` bits
  int modulus = 31, hidden = 64;
  double fraction = 0.6;
};
inline constexpr int kParityRows = 2000;

inline datasets::GrokkingTask open_task(Trial& t, const TaskChoice& c, std::uint64_t seed) {
  if (c.operation == "parity") {
    return read_sparse_parity(*t.open(datasets::sparse_parity_definition,
                                      datasets::sparse_parity(kParityRows, c.modulus, c.hidden, seed))
                                   .reader);
  }
  return read_modular_arithmetic(*t.open(datasets::modular_arithmetic_definition,
                                         datasets::modular_arithmetic(c.modulus, c.hidden, c.operation, seed))
                                      .reader);
}

struct PlannedRun {
  std::string label;
  GrokkingPlan plan;
};

/// One plan's records, [seed][point]; points are the same epochs for each seed.
struct SeedRuns {
  std::string label;
  std::vector<std::vector<GrokkingRecord>> of_seed;
};

/// 0 and about seven epochs a decade.
inline std::vector<int> log_epochs(int last) {
  std::vector<int> when{0};
  for (double e = 10; e < last; e *= 1.39) when.push_back(static_cast<int>(e));
  return when;
}

inline std::vector<GrokkingRecord> train(const datasets::GrokkingTask& task, double fraction,
                                         const GrokkingPlan& plan) {
  const auto rows = static_cast<std::size_t>(fraction * static_cast<double>(task.rows()));
  kernels::GrokkingNetwork<float> network(task.inputs, task.hidden, task.classes);
  network.set_weights(task.first, task.second, task.third);
  return train_grokking(network, plan, rows_of(task, 0, rows), rows_of(task, rows, task.rows()),
                        log_epochs(plan.epochs));
}

/// Seeds beginning with the trial's. Data is read before the threads begin (HDF5 has one).
inline std::vector<SeedRuns> train_all(Trial& t, const TaskChoice& choice, int seeds,
                                       const std::vector<PlannedRun>& plans) {
  std::vector<datasets::GrokkingTask> tasks;
  for (int seed = 0; seed < seeds; ++seed)
    tasks.push_back(open_task(t, choice, t.seed() + static_cast<std::uint64_t>(seed)));
  std::vector<SeedRuns> runs;
  for (const PlannedRun& planned : plans) runs.push_back({planned.label, {}});
  for (SeedRuns& run : runs) run.of_seed.resize(tasks.size());
  // The longest first.
  std::vector<std::size_t> order(plans.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return plans[a].plan.epochs > plans[b].plan.epochs; });
  kernels::for_each_row_block(static_cast<int>(plans.size() * tasks.size()), 1, 0, [&](int index, int, int) {
    const auto i = static_cast<std::size_t>(index);
    const std::size_t plan = order[i / tasks.size()], seed = i % tasks.size();
    runs[plan].of_seed[seed] = train(tasks[seed], choice.fraction, plans[plan].plan);
  });
  return runs;
}

using Field = std::function<double(const GrokkingRecord&)>;
inline double test_accuracy(const GrokkingRecord& r) {
  return r.test;
}
inline double collapsed_rows(const GrokkingRecord& r) {
  return r.collapsed;
}

/// Mean over the seeds and its standard error.
struct Spread {
  double mean = 0, error = 0;
  std::string text(int digits = 3) const {
    return fmt::format("{:.{}f} ± {:.{}f}", mean, digits, error, digits);
  }
};
inline Spread spread_of(const std::vector<double>& values) {
  Spread s;
  const auto count = static_cast<double>(values.size());
  for (const double x : values) s.mean += x / count;
  double squares = 0;
  for (const double x : values) squares += (x - s.mean) * (x - s.mean);
  if (count > 1) s.error = std::sqrt(squares / (count - 1) / count);
  return s;
}
inline Spread at_point(const SeedRuns& runs, std::size_t point, const Field& field) {
  std::vector<double> values;
  for (const auto& records : runs.of_seed) values.push_back(field(records[point]));
  return spread_of(values);
}
inline Spread at_end(const SeedRuns& runs, const Field& field) {
  return at_point(runs, runs.of_seed.front().size() - 1, field);
}

/// The first recorded epoch at which the field is at least `level`.
inline std::optional<int> reached(const std::vector<GrokkingRecord>& records, const Field& field,
                                  double level) {
  for (const GrokkingRecord& record : records) {
    if (field(record) >= level) return record.epoch;
  }
  return std::nullopt;
}
/// In words, for all seeds: "110, 110, never".
inline std::string reached_text(const SeedRuns& runs, const Field& field, double level) {
  std::string text;
  for (const auto& records : runs.of_seed) {
    const auto epoch = reached(records, field, level);
    text += (text.empty() ? "" : ", ") + (epoch ? fmt::format("{}", *epoch) : std::string("never"));
  }
  return text;
}
inline int seeds_that_reached(const SeedRuns& runs, const Field& field, double level) {
  int count = 0;
  for (const auto& records : runs.of_seed) count += reached(records, field, level) ? 1 : 0;
  return count;
}

inline reports::Curve curve_of(const SeedRuns& runs, const Field& field) {
  reports::Curve curve{.label = runs.label};
  const auto& first = runs.of_seed.front();
  for (std::size_t point = 1; point < first.size(); ++point) {  // epoch 0 has no place on a logarithmic axis
    const Spread s = at_point(runs, point, field);
    curve.x.push_back(first[point].epoch);
    curve.y.push_back(s.mean);
    curve.error.push_back(s.error);
  }
  return curve;
}

/// One curve for each plan, and the reported (or chance) value as a line.
inline void plot_runs(Trial& t, const std::string& name, const std::string& title, const std::string& y_label,
                      const std::vector<SeedRuns>& runs, const Field& field, const std::string& reference,
                      double level) {
  reports::Plot plot{
      .name = name, .title = title, .x_label = "epoch", .y_label = y_label, .log_x = true, .curves = {}};
  double last = 10;
  for (const SeedRuns& run : runs) {
    plot.curves.push_back(curve_of(run, field));
    last = std::max(last, plot.curves.back().x.back());
  }
  plot.curves.push_back(
      {.label = reference, .x = {10, last}, .y = {level, level}, .error = {}, .reference = true});
  t.plot(std::move(plot));
}

/// At every third recorded epoch and the last: mean and standard error over the seeds.
inline void table_of(Trial& t, const std::string& title, const std::vector<SeedRuns>& runs) {
  reports::Table table{
      .name = "accuracy",
      .title = title,
      .columns = {"run", "epoch", "train", "test", "collapsed", "loss", "|W3|", "cos(-g, w)"},
      .rows = {}};
  for (const SeedRuns& run : runs) {
    const auto& first = run.of_seed.front();
    for (std::size_t point = 0; point < first.size(); ++point) {
      if (point % 3 != 0 && point + 1 < first.size()) continue;
      const auto mean = [&](const Field& field) { return at_point(run, point, field); };
      table.rows.push_back(
          {run.label, fmt::format("{}", first[point].epoch),
           fmt::format("{:.3f}", mean([](const GrokkingRecord& r) { return r.train; }).mean),
           mean(test_accuracy).text(), mean(collapsed_rows).text(),
           fmt::format("{:.1e}", mean([](const GrokkingRecord& r) { return r.loss; }).mean),
           fmt::format("{:.1f}", mean([](const GrokkingRecord& r) { return r.output_norm; }).mean),
           mean([](const GrokkingRecord& r) { return r.whole_alignment; }).text()});
    }
  }
  t.table(std::move(table));
}

/// Accuracy and collapse at the end of each plan, as metrics.
inline void metrics_of(Trial& t, const std::vector<SeedRuns>& runs) {
  for (const SeedRuns& run : runs) {
    const auto add = [&](const char* what, const Field& field) {
      const Spread s = at_end(run, field);
      t.metric({.name = fmt::format("{} at epoch {}, {}", what, run.of_seed.front().back().epoch, run.label),
                .value = s.mean,
                .unit = "",
                .error = s.error,
                .tolerance = 0.5});
    };
    add("test accuracy", test_accuracy);
    add("collapsed rows", collapsed_rows);
  }
}

inline reports::Estimate estimate_of(const Spread& s) {
  return {s.mean, s.mean - 2 * s.error, s.mean + 2 * s.error};
}

}  // namespace remeasure::experiments::grokking
