// SPDX-License-Identifier: Apache-2.0
//
// Clusters and logs of c4 as the kernels take them.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "datasets/systems/clos_cluster.h"
#include "datasets/systems/collective_delays.h"
#include "experiments/vocabulary.h"
#include "kernels/systems/ecmp_trials_reference.h"

namespace remeasure::experiments::c4_problem {

using kernels::Routing;
using kernels::Traffic;
using Run = std::function<void()>;

inline constexpr const char* kModel = "model: max-min fair flows on a Clos network";

struct ClusterChoice {
  int nodes = 16, groups = 2, uplinks = 8;
  std::string jobs = "pairs";
  int failures = 0;
};

/// What the cluster carries with q queue pairs a pair of nodes; dead cables are already taken away.
inline Traffic traffic_of(const datasets::ClosCluster& c, int qps) {
  Traffic traffic =
      kernels::ring_traffic(c.nodes, c.rails, c.uplinks, qps, c.port_gbps, c.nvlink_gbps, c.group, c.jobs);
  std::vector<kernels::DeadCable> dead;
  for (const datasets::FailedLink& f : c.failures) dead.push_back({f.group, f.rail, f.port, f.spine});
  kernels::fail(traffic, dead);
  return traffic;
}

inline Traffic load(Trial& t, const ClusterChoice& c, int qps, std::uint64_t seed) {
  const auto parameters = datasets::clos_cluster(c.nodes, c.groups, c.uplinks, c.jobs, c.failures, seed);
  return traffic_of(
      datasets::read_clos_cluster(*t.open(datasets::clos_cluster_definition, parameters).reader), qps);
}

inline std::size_t at(int i) {
  return static_cast<std::size_t>(i);
}
inline double gbps(double units) {
  return units / kernels::kRateUnits;
}

/// Mean with its standard error and the 5 % quantile.
struct Statistics {
  double mean = 0, error = 0, p5 = 0, least = 0;

  reports::Estimate estimate() const { return {mean, mean - 1.96 * error, mean + 1.96 * error}; }
};

inline Statistics statistics_of(std::vector<double> samples) {
  Statistics s;
  const auto n = static_cast<double>(samples.size());
  for (const double x : samples) s.mean += x / n;
  double squares = 0;
  for (const double x : samples) squares += (x - s.mean) * (x - s.mean);
  s.error = n > 1 ? std::sqrt(squares / (n - 1) / n) : 0;
  std::sort(samples.begin(), samples.end());
  s.p5 = samples[static_cast<std::size_t>(0.05 * n)];
  s.least = samples.front();
  return s;
}

inline Measured modelled(const reports::Estimate& value) {
  return {value, kModel, {}};
}

/// Gain in percent of `better` over `base`, with the base's interval.
inline reports::Estimate gain_of(double better, const Statistics& base) {
  const auto gain = [&](double of) { return 100 * (better / of - 1); };
  return {gain(base.mean), gain(base.mean + 1.96 * base.error), gain(base.mean - 1.96 * base.error)};
}

inline reports::Metric metric(std::string name, double value, std::string unit,
                              std::optional<Interval> reported = {}, std::optional<double> error = {}) {
  return {.name = std::move(name),
          .value = value,
          .unit = std::move(unit),
          .reported = reported,
          .error = error,
          .tolerance = 1e-6};
}

}  // namespace remeasure::experiments::c4_problem
