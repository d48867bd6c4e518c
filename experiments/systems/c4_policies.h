// SPDX-License-Identifier: Apache-2.0
//
// What each way of choosing paths is worth: ECMP, ports, C4P, C4P after a failure, spraying, and a plan that
// was shuffled.
#pragma once

#include "experiments/systems/c4_models.h"
#include "experiments/systems/c4_problem.h"

namespace remeasure::experiments::c4_problem {

inline constexpr double kCap = 362;

/// busbw over trials: of the jobs' mean, and of the slowest job. "even": bytes split evenly; "weighted": by
/// the rates.
struct Policy {
  Statistics even, weighted, slowest_even, slowest_weighted;
};

inline Policy policy_of(const Traffic& t, int trials, const std::vector<std::uint32_t>& even,
                        const std::vector<std::uint32_t>& weighted) {
  const std::size_t jobs = at(t.shape.jobs);
  std::vector<double> means[2], slowest[2];
  for (std::size_t trial = 0; trial < at(trials); ++trial) {
    for (int which = 0; which < 2; ++which) {
      const std::uint32_t* of = (which == 0 ? even : weighted).data() + trial * jobs;
      double sum = 0;
      for (std::size_t j = 0; j < jobs; ++j) sum += gbps(of[j]);
      means[which].push_back(sum / static_cast<double>(jobs));
      slowest[which].push_back(gbps(*std::min_element(of, of + jobs)));
    }
  }
  return {statistics_of(means[0]), statistics_of(means[1]), statistics_of(slowest[0]),
          statistics_of(slowest[1])};
}

inline Policy drawn(const Traffic& t, Routing routing, const std::vector<std::uint16_t>& plan,
                    std::uint32_t seed, int trials) {
  std::vector<std::uint32_t> even(at(trials) * at(t.shape.jobs)), weighted(even.size());
  kernels::ecmp_trials_reference(t, routing, plan, seed, trials, even, weighted);
  return policy_of(t, trials, even, weighted);
}

inline Policy planned(const Traffic& t, const std::vector<std::uint16_t>& paths) {
  std::vector<std::uint32_t> even(at(t.shape.jobs)), weighted(even.size());
  kernels::path_trial(t, paths, even, weighted);
  return policy_of(t, 1, even, weighted);
}

/// The negative control: the plan's paths, dealt out to other flows.
inline Policy shuffled(const Traffic& t, std::vector<std::uint16_t> plan, std::uint32_t seed, int trials) {
  std::vector<std::uint32_t> even, weighted, e(at(t.shape.jobs)), w(e.size());
  for (int trial = 0; trial < trials; ++trial) {
    for (std::size_t i = plan.size() - 1; i > 0; --i) {
      const std::uint32_t random = philox(seed, i, static_cast<std::uint64_t>(trial)).word[0];
      std::swap(plan[i], plan[random % (i + 1)]);
    }
    kernels::path_trial(t, plan, e, w);
    even.insert(even.end(), e.begin(), e.end());
    weighted.insert(weighted.end(), w.begin(), w.end());
  }
  return policy_of(t, trials, even, weighted);
}

/// All policies at one number of queue pairs.
struct Policies {
  Policy ecmp, ports, plan, shuffled_plan, failed_static, failed_dynamic;
  double spray = 0, failed_spray = 0;
  int imbalance = 0;
};

inline Policies policies_of(const Traffic& whole, const Traffic& failed, std::uint32_t seed, int trials) {
  const auto plan = kernels::plan_paths(whole);
  const auto least = [](const std::vector<double>& v) { return *std::min_element(v.begin(), v.end()); };
  return {drawn(whole, Routing::hashed, {}, seed, trials),
          drawn(whole, Routing::ports, {}, seed, trials),
          planned(whole, plan),
          shuffled(whole, plan, seed, std::max(trials / 4, 20)),
          drawn(failed, Routing::planned, plan, seed, trials),
          planned(failed, kernels::replan_paths(failed, plan)),
          least(kernels::spray_busbw(whole)),
          least(kernels::spray_busbw(failed)),
          kernels::uplink_imbalance(whole, plan)};
}

struct PolicyCase {
  ClusterChoice cluster = {};
  int trials = 200;
  std::vector<int> qps = {2, 4, 8, 16};
};

inline void check_policies(Trial& t, int q, const Policies& p) {
  const std::string of = fmt::format(", q = {}", q);
  t.check("a plan without failures reaches the cap exactly" + of,
          p.plan.slowest_even.mean == kCap && p.plan.slowest_weighted.mean == kCap,
          fmt::format("{:.6f} of {} Gb/s", p.plan.slowest_even.mean, kCap));
  t.check("planned uplinks of a leaf differ by 2 flows at most" + of, p.imbalance <= 2,
          fmt::format("{} flows", p.imbalance));
  const double ecmp = p.ecmp.weighted.mean, control = p.shuffled_plan.weighted.mean;
  t.check("a shuffled plan is no better than ECMP" + of, std::abs(control / ecmp - 1) < 0.2,
          fmt::format("{:.1f} against {:.1f} Gb/s", control, ecmp));
  t.check("nothing beats the cap" + of, p.ecmp.weighted.mean <= kCap && p.spray <= kCap + 1e-6,
          fmt::format("{:.1f}", p.spray));
  t.check("dynamic is no worse than static after a failure" + of,
          p.failed_dynamic.slowest_weighted.mean >= p.failed_static.slowest_even.mean,
          fmt::format("{:.1f} against {:.1f} Gb/s", p.failed_dynamic.slowest_weighted.mean,
                      p.failed_static.slowest_even.mean));
}

inline void measure_policies(Trial& t, const PolicyCase& c) {
  ClusterChoice one_dead = c.cluster;
  one_dead.failures = 1;
  reports::Table table{.name = "policies",
                       .title =
                           "busbw, Gb/s: mean over the jobs of each one's slowest pair, with standard error "
                           "over the draws (5 % quantile)",
                       .columns = {"q", "ECMP, even", "ECMP, weighted", "ports only, weighted", "C4P",
                                   "shuffled plan", "spray", "gain, weighted, %", "gain, even, %"},
                       .rows = {}};
  reports::Table failure{
      .name = "failure",
      .title = "One cable dead: busbw of the slowest job, Gb/s",
      .columns = {"q", "static plan, even", "dynamic", "spray", "gain, %", "jobs' mean: static", "dynamic"},
      .rows = {}};
  reports::Plot plot{.name = "busbw",
                     .title = "busbw against queue pairs",
                     .x_label = "queue pairs of a pair of nodes",
                     .y_label = "Gb/s",
                     .log_x = true,
                     .curves = {{.label = "ECMP, even"},
                                {.label = "ECMP, weighted"},
                                {.label = "ports, weighted"},
                                {.label = "C4P"},
                                {.label = "shuffled plan"}}};
  const auto text = [](const Statistics& s) {
    return fmt::format("{:.1f} +- {:.1f} ({:.1f})", s.mean, s.error, s.p5);
  };
  for (const int q : c.qps) {
    const Traffic whole = load(t, c.cluster, q, t.seed()), failed = load(t, one_dead, q, t.seed());
    const Policies p = policies_of(whole, failed, static_cast<std::uint32_t>(t.seed()), c.trials);
    check_policies(t, q, p);
    const reports::Estimate gain = gain_of(p.plan.weighted.mean, p.ecmp.weighted),
                            even_gain = gain_of(p.plan.even.mean, p.ecmp.even);
    const reports::Estimate dynamic =
        gain_of(p.failed_dynamic.slowest_weighted.mean, p.failed_static.slowest_even);
    table.rows.push_back({std::to_string(q), text(p.ecmp.even), text(p.ecmp.weighted), text(p.ports.weighted),
                          fmt::format("{:.1f}", p.plan.weighted.mean), text(p.shuffled_plan.weighted),
                          fmt::format("{:.1f}", p.spray), fmt::format("{:+.1f}", gain.median),
                          fmt::format("{:+.1f}", even_gain.median)});
    failure.rows.push_back({std::to_string(q), text(p.failed_static.slowest_even),
                            fmt::format("{:.1f}", p.failed_dynamic.slowest_weighted.mean),
                            fmt::format("{:.1f}", p.failed_spray), fmt::format("{:+.1f}", dynamic.median),
                            text(p.failed_static.even),
                            fmt::format("{:.1f}", p.failed_dynamic.weighted.mean)});
    const Statistics* points[] = {&p.ecmp.even, &p.ecmp.weighted, &p.ports.weighted, &p.plan.weighted,
                                  &p.shuffled_plan.weighted};
    for (std::size_t i = 0; i < plot.curves.size(); ++i) {
      plot.curves[i].x.push_back(q);
      plot.curves[i].y.push_back(points[i]->mean);
      plot.curves[i].error.push_back(points[i]->error);
    }
    t.metric(metric(fmt::format("ECMP busbw, weighted, q = {}", q), p.ecmp.weighted.mean, "Gb/s", {},
                    p.ecmp.weighted.error));
    t.metric(
        metric(fmt::format("ECMP busbw, even, q = {}", q), p.ecmp.even.mean, "Gb/s", {}, p.ecmp.even.error));
    const bool reported_size = c.cluster.nodes == 16 && c.cluster.jobs == "pairs";
    if (reported_size && (q == 4 || q == 8)) t.claim("multi-job-busbw", modelled(gain));
    if (reported_size && (q == 2 || q == 4)) t.claim("dynamic-lb", modelled(dynamic));
    if (c.cluster.jobs == "ring" && q == 8) report_steps(t, p.ecmp.weighted, kCap);
  }
  t.table(std::move(table));
  t.table(std::move(failure));
  t.plot(std::move(plot));
}

/// One leaf group of eight nodes: collisions at the ports alone, since the one uplink of a leaf carries all
/// of them.
inline void measure_ports(Trial& t, int trials) {
  reports::Table table{
      .name = "ports",
      .title = "Eight nodes under one pair of leaves a rail: busbw, Gb/s",
      .columns = {"q", "ECMP, even", "ECMP, weighted", "least", "ports balanced", "gain, weighted, %"},
      .rows = {}};
  for (const int q : {2, 4, 8, 16}) {
    const Traffic traffic = load(t, {.nodes = 8, .groups = 1, .uplinks = 1, .jobs = "ring"}, q, t.seed());
    const Policy ecmp = drawn(traffic, Routing::hashed, {}, static_cast<std::uint32_t>(t.seed()), trials);
    const Policy ports = drawn(traffic, Routing::ports, {}, static_cast<std::uint32_t>(t.seed()), 1);
    const reports::Estimate gain = gain_of(ports.weighted.mean, ecmp.weighted);
    table.rows.push_back({std::to_string(q), fmt::format("{:.1f} +- {:.1f}", ecmp.even.mean, ecmp.even.error),
                          fmt::format("{:.1f} +- {:.1f}", ecmp.weighted.mean, ecmp.weighted.error),
                          fmt::format("{:.1f}", ecmp.weighted.least),
                          fmt::format("{:.1f}", ports.weighted.mean), fmt::format("{:+.1f}", gain.median)});
    t.check(fmt::format("balanced ports reach the cap, q = {}", q), ports.even.mean == kCap,
            fmt::format("{:.6f} Gb/s", ports.even.mean));
    if (q == 2)
      t.check("the worst pair of ECMP sits on one port", ecmp.even.least == 200 && ecmp.weighted.least == 200,
              fmt::format("{:.6f} Gb/s", ecmp.even.least));
    if (q == 8) t.claim("port-balance", modelled(gain));
  }
  t.table(std::move(table));
}

}  // namespace remeasure::experiments::c4_problem
