// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <vector>

#include "kernels/device/testing/test_bench.h"
#include "kernels/systems/ecmp_trials.h"
#include "kernels/systems/traffic_plan.h"

namespace remeasure::kernels::testing {

struct Cluster {
  int nodes = 16, groups = 2, uplinks = 8, qps = 4, rails = 8;
  bool ring = true;        ///< else jobs of two nodes
  unsigned scattered = 0;  ///< seed of a random placement; 0 = in order
  double nvlink = 362;
};

/// Node n in group n mod groups.
inline Traffic traffic_of(const Cluster& c) {
  std::vector<std::int32_t> group(static_cast<std::size_t>(c.nodes)), order(group.size());
  for (int n = 0; n < c.nodes; ++n) group[static_cast<std::size_t>(n)] = n % c.groups;
  std::iota(order.begin(), order.end(), 0);
  for (std::size_t i = order.size() - 1; c.scattered != 0 && i > 0; --i)
    std::swap(order[i], order[philox(c.scattered, i).word[0] % (i + 1)]);
  std::vector<std::vector<std::int32_t>> jobs;
  if (c.ring) jobs.push_back(order);
  for (std::size_t n = 0; !c.ring && n + 1 < order.size(); n += 2) jobs.push_back({order[n], order[n + 1]});
  return ring_traffic(c.nodes, c.rails, c.uplinks, c.qps, 200, c.nvlink, group, jobs);
}

struct Trials {
  std::vector<std::uint32_t> even, weighted, rates;
  bool operator==(const Trials&) const = default;
};

template <class Target>
Trials run_trials(remeasure::testing::TestBench<Target>& bench, const Traffic& t, Routing routing,
                  const std::vector<std::uint16_t>& plan, std::uint32_t seed, int trials, RailTeam team,
                  bool with_rates = true) {
  const auto group = bench.upload(t.group), from = bench.upload(t.from), to = bench.upload(t.to),
             job = bench.upload(t.job);
  const auto capacity = bench.upload(t.capacity);
  const auto paths = bench.upload(plan);
  const auto jobs = static_cast<std::size_t>(trials) * static_cast<std::size_t>(t.shape.jobs);
  auto even = bench.template output<std::uint32_t>(jobs),
       weighted = bench.template output<std::uint32_t>(jobs);
  auto rates = bench.template output<std::uint32_t>(
      with_rates ? static_cast<std::size_t>(trials) * static_cast<std::size_t>(t.shape.flows()) : 0);
  const DeviceTraffic<Target> traffic{t.shape, group, from, to, job, capacity};
  ecmp_trials<Target>(bench.stream(), traffic, routing, paths, seed, trials, even, weighted, rates, team);
  Trials result{bench.download(even), bench.download(weighted), {}};
  if (with_rates) result.rates = bench.download(rates);
  return result;
}

}  // namespace remeasure::kernels::testing
