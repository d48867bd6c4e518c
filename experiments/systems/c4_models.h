// SPDX-License-Identifier: Apache-2.0
//
// What c4 says of production jobs, from assumptions: time of a training step by its share of communication,
// downtime by its causes. Nothing here reproduces anything; the tables say how far the answers move with the
// assumptions.
#pragma once

#include "experiments/systems/c4_problem.h"
#include "kernels/device/philox.h"

namespace remeasure::experiments::c4_problem {

inline constexpr const char* kStepModel = "model: a step of computation and exposed communication";
inline constexpr const char* kDowntimeModel = "model: errors at random, assumed costs";

/// Time of a step that takes 1 on an ideal network, `communication` of it exposed, at `busbw` of `ideal`.
inline double step_time(double communication, double busbw, double ideal) {
  return 1 - communication + communication * ideal / busbw;
}

/// Loss against ideal scaling with ECMP, and what planning gains, for shares of communication.
inline void report_steps(Trial& t, const Statistics& ecmp, double planned) {
  reports::Table table{
      .name = "steps",
      .title =
          "Model of a step, ECMP at q = 8 against a planned network (assumed shares of exposed "
          "communication)",
      .columns = {"communication, % of an ideal step", "loss against ideal, %", "gain by planning, %"},
      .rows = {}};
  const auto loss = [&](double share, double busbw) {
    return 100 * (1 - 1 / step_time(share, busbw, planned));
  };
  for (const int percent : {5, 10, 20, 30, 40}) {
    const double share = percent / 100.0;
    table.rows.push_back({std::to_string(percent), fmt::format("{:.1f}", loss(share, ecmp.mean)),
                          fmt::format("{:.1f}", 100 * (step_time(share, ecmp.mean, planned) - 1))});
  }
  t.table(std::move(table));
  constexpr double kShare = 0.3, kModerate = 0.2;
  t.claim("ideal-gap",
          {reports::Estimate{loss(kShare, ecmp.mean), loss(kShare, ecmp.mean + 1.96 * ecmp.error),
                             loss(kShare, ecmp.mean - 1.96 * ecmp.error)},
           kStepModel,
           {}});
  t.metric(metric("modelled throughput gain, 20 % communication",
                  100 * (step_time(kModerate, ecmp.mean, planned) - 1), "%", Interval{15, 15}));
}

/// What an error costs, in hours.
struct Operations {
  double checkpoint = 4, detect = 0.5, isolate_median = 2, isolate_sigma = 1, restart = 0.25;

  /// Lost work since a checkpoint is uniform, isolation lognormal.
  double mean_cost() const {
    return checkpoint / 2 + detect + isolate_median * std::exp(isolate_sigma * isolate_sigma / 2) + restart;
  }
};
inline constexpr Operations kBefore = {};
inline constexpr Operations kAfter = {
    .checkpoint = 1.0 / 6, .detect = 0.5 / 60, .isolate_median = 5.0 / 60, .isolate_sigma = 0};

/// Part of `days` in which no work is done that counts. Errors strike while the job works, `rate` a day.
inline double downtime(const Operations& o, double rate, double days, std::uint64_t seed) {
  double clock = 0, down = 0;
  for (std::uint64_t event = 0; clock < 24 * days; ++event) {
    const Philox4 random = philox(seed, event), more = philox(seed, event, 1);
    clock += -std::log(uniform_double(random.word[0], random.word[1])) * 24 / rate;
    const double cost = o.checkpoint * uniform_double(random.word[2], random.word[3]) + o.detect + o.restart +
                        o.isolate_median * std::exp(o.isolate_sigma * normal_double(more).first);
    clock += cost;
    down += cost;
  }
  return down / clock;
}

/// The long run's downtime: cost over time between errors and cost.
inline double expected_downtime(const Operations& o, double rate) {
  return rate * o.mean_cost() / (24 + rate * o.mean_cost());
}

inline Statistics downtime_statistics(const Operations& o, double rate, double days, std::uint64_t seed,
                                      int seeds) {
  std::vector<double> samples;
  for (int i = 0; i < seeds; ++i)
    samples.push_back(100 * downtime(o, rate, days, seed * 1000 + static_cast<std::uint64_t>(i)));
  return statistics_of(std::move(samples));
}

inline void measure_downtime(Trial& t) {
  constexpr int kSeeds = 200;
  constexpr double kDays = 365;
  reports::Table table{
      .name = "downtime",
      .title = "Modelled downtime, % of a year (assumed costs; mean +- standard error over 200 jobs)",
      .columns = {"errors a day", "before", "after", "before, isolation 8 h", "after, checkpoints every hour",
                  "before / after"},
      .rows = {}};
  Operations slow = kBefore, rare = kAfter;
  slow.isolate_median = 8;
  rare.checkpoint = 1;
  const auto text = [](const Statistics& s) { return fmt::format("{:.2f} +- {:.2f}", s.mean, s.error); };
  for (const double rate : {0.25, 0.5, 1.0, 2.0, 4.0}) {
    const auto of = [&](const Operations& o) {
      return downtime_statistics(o, rate, kDays, t.seed(), kSeeds);
    };
    const Statistics before = of(kBefore), after = of(kAfter);
    table.rows.push_back({fmt::format("{:g}", rate), text(before), text(after), text(of(slow)),
                          text(of(rare)), fmt::format("{:.1f}", before.mean / after.mean)});
    if (rate != 1.0) continue;
    const double exact = 100 * expected_downtime(kBefore, rate);
    t.check("simulated downtime is the expected one", std::abs(before.mean - exact) < 5 * before.error + 0.1,
            fmt::format("{:.3f} +- {:.3f} %, expected {:.3f} %", before.mean, before.error, exact));
    t.metric(metric("modelled downtime before, 1 error a day", before.mean, "%", Interval{31.19, 31.19},
                    before.error));
    t.metric(
        metric("modelled downtime after, 1 error a day", after.mean, "%", Interval{1.16, 1.16}, after.error));
    t.metric(metric("modelled cut of overhead, 1 error a day", before.mean - after.mean, "% of job time",
                    Interval{30, 30}));
    t.claim("downtime",
            {reports::Estimate{before.mean / after.mean, (before.mean - 1.96 * before.error) / after.mean,
                               (before.mean + 1.96 * before.error) / after.mean},
             kDowntimeModel,
             {}});
  }
  t.table(std::move(table));
}

}  // namespace remeasure::experiments::c4_problem
