// SPDX-License-Identifier: Apache-2.0
//
// C4D's rules on logs with planted faults: every variant's means and verdicts, and how often a verdict is
// right.
#pragma once

#include <array>

#include "baselines/systems/delay_means.h"
#include "experiments/systems/c4_problem.h"
#include "kernels/systems/delay_localise_reference.h"

namespace remeasure::experiments::c4_problem {

using datasets::CollectiveDelays;
using kernels::DelayShape;

inline constexpr int kFaults = 7;
inline constexpr std::array<const char*, kFaults> kFaultNames = {
    "none", "sender slow", "receiver slow", "link slow", "straggler", "hang", "communication hang"};

struct DelayCase {
  int ranks = 16, windows = 70;
  std::string pattern = "all";
  int seeds = 2;
};

/// z above which a delay is hot: the paper's card, and one that also holds for thousands of cells and for a
/// spread that is estimated from a few.
inline constexpr float kCardHot = 6, kSafeHot = 10;

inline DelayShape shape_of(const CollectiveDelays& d, float hot = kCardHot) {
  return {.windows = d.windows, .collectives = d.collectives, .ranks = d.ranks, .ring = d.ring, .hot = hot};
}

inline CollectiveDelays load_delays(Trial& t, const DelayCase& c, double factor, std::uint64_t seed) {
  return datasets::read_collective_delays(
      *t.open(datasets::collective_delays_definition,
              datasets::collective_delays(c.ranks, c.windows, 16, factor, c.pattern, seed))
           .reader);
}

template <class Scalar>
struct Localised {
  std::vector<Scalar> mean;
  std::vector<std::int32_t> verdict;
};

template <class Scalar>
Localised<Scalar> localise(const CollectiveDelays& d, float hot = kCardHot) {
  const DelayShape s = shape_of(d, hot);
  Localised<Scalar> out{std::vector<Scalar>(at(s.windows) * at(s.cells())),
                        std::vector<std::int32_t>(at(s.windows) * kernels::kDelayVerdict)};
  kernels::delay_localise_reference<Scalar>(s, d.delay, d.wait, d.entered, d.finished, out.mean, out.verdict);
  return out;
}

/// How verdicts meet the truth. Right: fault and place.
struct Score {
  std::array<std::array<int, kFaults>, kFaults> confusion = {};  ///< [truth][verdict]
  std::array<int, kFaults> right = {};

  void add(const CollectiveDelays& d, std::span<const std::int32_t> verdict) {
    for (std::size_t w = 0; w < at(d.windows); ++w) {
      const std::int32_t *truth = &d.truth[3 * w], *said = &verdict[w * at(kernels::kDelayVerdict)];
      ++confusion[at(truth[0])][at(said[0])];
      right[at(truth[0])] += truth[0] == said[0] && truth[1] == said[1] && truth[2] == said[2] ? 1 : 0;
    }
  }
  int windows(std::size_t fault) const {
    int sum = 0;
    for (const int n : confusion[fault]) sum += n;
    return sum;
  }
  int said(std::size_t fault) const {
    int sum = 0;
    for (const auto& row : confusion) sum += row[fault];
    return sum;
  }
  double recall(std::size_t fault) const {
    return windows(fault) == 0 ? 1 : static_cast<double>(right[fault]) / windows(fault);
  }
  double precision(std::size_t fault) const {
    return said(fault) == 0 ? 1 : static_cast<double>(right[fault]) / said(fault);
  }
  double alarms() const { return 1 - recall(0); }
};

inline Score score_of(Trial& t, const DelayCase& c, double factor, float hot) {
  Score score;
  for (int i = 0; i < c.seeds; ++i) {
    const CollectiveDelays d = load_delays(t, c, factor, t.seed() + 100 + static_cast<std::uint64_t>(i));
    score.add(d, localise<float>(d, hot).verdict);
  }
  return score;
}

/// With the card's threshold rates are reported; they must hold where they do, with few cells of a well-known
/// spread.
inline void report_scores(Trial& t, const DelayCase& c, float hot) {
  const std::string at_z = fmt::format(", z > {:g}", hot);
  const bool holds = hot == kSafeHot || (c.ranks == 16 && c.pattern == "all");
  reports::Plot plot{.name = fmt::format("recall-z{:g}", hot),
                     .title = "Right verdicts against the size of the fault" + at_z,
                     .x_label = "least factor of a planted delay",
                     .y_label = "recall",
                     .curves = {{.label = "mean over the faults"}}};
  for (const double factor : {1.0, 1.1, 1.5, 3.0}) {
    const Score score = score_of(t, c, factor, hot);
    if (factor == 1) {
      if (holds)
        t.check("no fault, alarms in 1 % of the windows at most" + at_z, score.alarms() <= 0.01,
                fmt::format("{:.2f} %", 100 * score.alarms()));
      t.metric(metric("alarms without a fault" + at_z, 100 * score.alarms(), "%"));
      continue;
    }
    double recall = 0;
    int present = 0;
    for (std::size_t f = 1; f < kFaults; ++f) {
      if (score.windows(f) > 0) recall += score.recall(f), ++present;
    }
    plot.curves[0].x.push_back(factor);
    plot.curves[0].y.push_back(recall / present);
    if (factor != 3) continue;
    reports::Table table{.name = fmt::format("confusion-z{:g}", hot),
                         .title = "Verdicts (columns) on planted faults of factor 3 to 10 (rows)" + at_z,
                         .columns = {"planted"},
                         .rows = {}};
    for (const char* name : kFaultNames) table.columns.push_back(name);
    table.columns.insert(table.columns.end(), {"recall with place", "precision"});
    double least_recall = 1, least_precision = 1;
    for (std::size_t f = 0; f < kFaults; ++f) {
      if (score.windows(f) == 0) continue;
      auto& row = table.rows.emplace_back(std::vector<std::string>{kFaultNames[f]});
      for (const int n : score.confusion[f]) row.push_back(std::to_string(n));
      row.insert(row.end(),
                 {fmt::format("{:.3f}", score.recall(f)), fmt::format("{:.3f}", score.precision(f))});
      if (f > 0)
        least_recall = std::min(least_recall, score.recall(f)),
        least_precision = std::min(least_precision, score.precision(f));
    }
    t.table(std::move(table));
    if (holds)
      t.check("recall of every fault is 0.99 or more" + at_z, least_recall >= 0.99,
              fmt::format("{:.3f}", least_recall));
    if (holds)
      t.check("precision of every fault is 0.95 or more" + at_z, least_precision >= 0.95,
              fmt::format("{:.3f}", least_precision));
    t.metric(metric("least recall" + at_z, least_recall, ""));
    t.metric(metric("least precision" + at_z, least_precision, ""));
  }
  t.plot(std::move(plot));
}

inline void declare_delay_variants(Trial& t, const bench::InputSets<CollectiveDelays>& in) {
  const CollectiveDelays& first = in[0];
  const DelayShape s = shape_of(first);
  const double windows = s.windows, numbers = windows * s.collectives * s.ranks;
  const Accept mean{.output = "mean",
                    .metric = ErrorMetric::max_scaled,
                    .limit = 1e-6,
                    .at_least = 1e-9,
                    .reason = "f32: a sum of 16 terms of one sign, 16 roundings of 6e-8"};
  const Accept exact{.output = "verdict",
                     .metric = ErrorMetric::mismatches,
                     .limit = 0,
                     .reason = "a verdict is right or wrong"};
  const auto sums = [&](const char* name) {
    return Accept{.output = name,
                  .metric = ErrorMetric::max_scaled,
                  .limit = 2e-6,
                  .at_least = 1e-9,
                  .reason = "f32: a mean of means, longer sums"};
  };
  const bench::Work work{
      .flops = windows * kernels::delay_localise_flops(s),
      .bytes = 4 * numbers * s.ranks + 12 * numbers + 4 * windows * (s.cells() + kernels::kDelayVerdict)};
  const bench::Work means{.flops = windows * (s.cells() * (s.collectives + 3.0)),
                          .bytes = 4 * numbers * s.ranks + 4 * windows * (s.cells() + 2.0 * s.ranks)};

  VariantInfo kernel{.name = "kernel",
                     .what = "a block a window; medians by four passes of a histogram",
                     .dtype = "f32",
                     .accept = {mean, exact},
                     .work = work};
  kernel.work.bytes -= 12 * numbers;  // of the numbers what the rules look at: all waits, the last snapshots
  kernel.work.bytes += 4 * numbers + 8 * windows * s.ranks * (s.timeout + 1.0);
  kernel.formula_bytes =
      4 * numbers * s.ranks + 12 * numbers + 4 * windows * (s.cells() + kernels::kDelayVerdict);
  t.kernel(std::move(kernel), [&in]<class Target>(DeviceBench<Target>& bench) -> Run {
    const CollectiveDelays& d = in[bench.set()];
    const DelayShape shape = shape_of(d);
    const kernels::DelayLog<Target> log{bench.input(d.delay), bench.input(d.wait), bench.input(d.entered),
                                        bench.input(d.finished)};
    const auto means_out = bench.template output<float>("mean", at(shape.windows) * at(shape.cells()));
    const auto verdict =
        bench.template output<std::int32_t>("verdict", at(shape.windows) * kernels::kDelayVerdict);
    auto& stream = bench.stream();
    return [=, &stream] { kernels::delay_localise<Target>(stream, shape, log, means_out, verdict); };
  });
  t.host({.name = "method",
          .what = "C4D's rules in plain loops, windows dealt out to the cores",
          .dtype = "f32",
          .accept = {mean, exact},
          .work = work},
         [&in](HostBench& bench) -> Run {
           const CollectiveDelays& d = in[bench.set()];
           const DelayShape shape = shape_of(d);
           bench.input(d.delay);
           const auto out = bench.output<float>("mean", at(shape.windows) * at(shape.cells()));
           const auto verdict =
               bench.output<std::int32_t>("verdict", at(shape.windows) * kernels::kDelayVerdict);
           return [=, &d] {
             kernels::delay_localise_reference<float>(shape, d.delay, d.wait, d.entered, d.finished, out,
                                                      verdict);
           };
         });
  const std::vector<Accept> three = {mean, sums("row"), sums("column")};
  t.host({.name = "eigen",
          .what = "colwise().mean() of each window, then means of rows and columns; no verdict",
          .dtype = "f32",
          .accept = three,
          .work = means},
         [&in](HostBench& bench) -> Run {
           const CollectiveDelays& d = in[bench.set()];
           const DelayShape shape = shape_of(d);
           bench.input(d.delay);
           const std::size_t n = at(shape.windows) * at(shape.ranks);
           const auto out = bench.output<float>("mean", n * at(shape.ranks)),
                      row = bench.output<float>("row", n), column = bench.output<float>("column", n);
           return [=, &d] { baselines::eigen_delay_means(shape, d.delay, out, row, column); };
         });
  t.vendor({.name = "vendor",
            .what = "three cublasSgemvStridedBatched: means of windows, rows and columns; no verdict",
            .dtype = "f32",
            .accept = three,
            .work = means},
           [&in]<class Target>(DeviceBench<Target>& bench) -> Run {
             const CollectiveDelays& d = in[bench.set()];
             const DelayShape shape = shape_of(d);
             const auto delay = bench.input(d.delay);
             const std::size_t n = at(shape.windows) * at(shape.ranks);
             const auto out = bench.template output<float>("mean", n * at(shape.ranks)),
                        row = bench.template output<float>("row", n),
                        column = bench.template output<float>("column", n);
             auto& library = bench.template own<baselines::CublasDelayMeans>(bench.stream(), shape);
             return [=, &library] { library(delay, out, row, column); };
           });
}

inline void declare_delay_oracles(Trial& t, const CollectiveDelays& d) {
  const auto exact = std::make_shared<const Localised<double>>(localise<double>(d));
  const auto doubles = [](const auto& v) { return std::vector<double>(v.begin(), v.end()); };
  t.oracle("mean", 1, [=] { return OracleOutput{.values = exact->mean}; });
  t.oracle("verdict", 1, [=] { return OracleOutput{.values = doubles(exact->verdict)}; });
  for (const bool row : {true, false}) {
    t.oracle(row ? "row" : "column", 1, [=, &d] {
      const DelayShape s = shape_of(d);
      const double each = s.transfers() / s.ranks;
      OracleOutput out{.values = std::vector<double>(at(s.windows) * at(s.ranks))};
      for (std::size_t i = 0; i < exact->mean.size(); ++i) {
        const std::size_t n = at(s.ranks), window = i / (n * n);
        out.values[window * n + (row ? i / n % n : i % n)] += exact->mean[i] / each;
      }
      return out;
    });
  }
}

inline void measure_localise(Trial& t, const DelayCase& c) {
  const auto in = t.inputs([&](std::uint64_t seed) { return load_delays(t, c, 3, seed); });
  declare_delay_oracles(t, in[0]);
  declare_delay_variants(t, in);
  t.measure();
  t.speedup("kernel", "vendor");
  t.speedup("method", "eigen");
  for (const float hot : {kCardHot, kSafeHot}) report_scores(t, c, hot);
}

}  // namespace remeasure::experiments::c4_problem
