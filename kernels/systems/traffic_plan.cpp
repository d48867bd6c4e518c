// SPDX-License-Identifier: Apache-2.0
#include "kernels/systems/traffic_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <utility>

namespace remeasure::kernels {
namespace {

std::size_t at(int i) {
  return static_cast<std::size_t>(i);
}

void check(const ClosShape& s, double largest_gbps) {
  const bool counts =
      s.nodes > 0 && s.rails > 0 && s.groups > 0 && s.uplinks > 0 && s.qps > 0 && s.pairs > 0 && s.jobs > 0;
  if (!counts || s.uplinks > kMostUplinks) {
    throw std::invalid_argument(fmt::format(
        "ring_traffic: {} nodes, {} rails, {} groups, {} uplinks, {} queue pairs, {} pairs, {} jobs; all "
        "positive, at most {} uplinks",
        s.nodes, s.rails, s.groups, s.uplinks, s.qps, s.pairs, s.jobs, kMostUplinks));
  }
  // 32 bits of 2^-20 Gb/s.
  if (largest_gbps >= 4096)
    throw std::invalid_argument(fmt::format("ring_traffic: a link of {} Gb/s; below 4096", largest_gbps));
}

/// Flows on the links of all rails, without dead spines.
class Loads {
 public:
  explicit Loads(const Traffic& traffic) : traffic_(traffic), flows_(traffic.capacity.size()) {}

  int& on(int rail, int link) { return flows_[at(rail * traffic_.shape.rail_links() + link)]; }
  bool alive(int rail, int link) const { return traffic_.rail_capacity(rail)[at(link)] != 0; }
  bool alive(int rail, PairGroups pair, const FlowPath& path) const {
    return alive(rail, traffic_.shape.up(pair.from, path.out, path.spine)) &&
           alive(rail, traffic_.shape.down(pair.to, path.in, path.spine));
  }
  void add(int rail, PairGroups pair, const FlowPath& path) {
    if (!crosses_spine(pair, path)) return;
    ++on(rail, traffic_.shape.up(pair.from, path.out, path.spine));
    ++on(rail, traffic_.shape.down(pair.to, path.in, path.spine));
  }
  /// The least loaded spine; the path's own if all are dead.
  int best(int rail, PairGroups pair, FlowPath path) {
    int chosen = path.spine, least = std::numeric_limits<int>::max();
    for (path.spine = 0; path.spine < traffic_.shape.uplinks; ++path.spine) {
      if (!alive(rail, pair, path)) continue;
      const int load = std::max(on(rail, traffic_.shape.up(pair.from, path.out, path.spine)),
                                on(rail, traffic_.shape.down(pair.to, path.in, path.spine)));
      if (load < least) least = load, chosen = path.spine;
    }
    return chosen;
  }

 private:
  const Traffic& traffic_;
  std::vector<int> flows_;
};

template <class Visit>
void for_each_flow(const ClosShape& s, Visit visit) {
  for (int pair = 0; pair < s.pairs; ++pair) {
    for (int rail = 0; rail < s.rails; ++rail) {
      for (int qp = 0; qp < s.qps; ++qp) visit(pair, rail, qp, at(s.flow(pair, rail, qp)));
    }
  }
}

}  // namespace

Traffic ring_traffic(int nodes, int rails, int uplinks, int qps, double port_gbps, double nvlink_gbps,
                     std::vector<std::int32_t> group, std::span<const std::vector<std::int32_t>> jobs) {
  Traffic t{.shape = {.nodes = nodes,
                      .rails = rails,
                      .uplinks = uplinks,
                      .jobs = static_cast<int>(jobs.size()),
                      .qps = qps},
            .group = std::move(group)};
  t.shape.groups = *std::max_element(t.group.begin(), t.group.end()) + 1;
  for (std::size_t j = 0; j < jobs.size(); ++j) {
    for (std::size_t i = 0; i < jobs[j].size(); ++i) {
      t.from.push_back(jobs[j][i]);
      t.to.push_back(jobs[j][(i + 1) % jobs[j].size()]);
      t.job.push_back(static_cast<std::int32_t>(j));
    }
  }
  t.shape.pairs = static_cast<int>(t.from.size());
  const double under_leaf = static_cast<double>(nodes) / t.shape.groups * port_gbps;
  check(t.shape, std::max({port_gbps, nvlink_gbps, under_leaf / uplinks}));
  const auto units = [](double gbps) { return static_cast<std::uint32_t>(std::floor(gbps * kRateUnits)); };
  t.shape.nvlink = units(nvlink_gbps);
  t.capacity.assign(at(t.shape.links()), units(under_leaf / uplinks));
  for (int rail = 0; rail < rails; ++rail) {
    std::fill_n(t.capacity.begin() + rail * t.shape.rail_links(), 2 * kPorts * nodes, units(port_gbps));
  }
  return t;
}

void fail(Traffic& traffic, std::span<const DeadCable> cables) {
  const ClosShape& s = traffic.shape;
  for (const DeadCable& c : cables) {
    traffic.capacity.at(at(c.rail * s.rail_links() + s.up(c.group, c.port, c.spine))) = 0;
    traffic.capacity.at(at(c.rail * s.rail_links() + s.down(c.group, c.port, c.spine))) = 0;
  }
}

std::array<int, 4> links_of(const Traffic& traffic, int pair, const FlowPath& path) {
  const ClosShape& s = traffic.shape;
  const PairGroups groups = traffic.groups(pair);
  const bool spine = crosses_spine(groups, path);
  return {s.tx(traffic.from[at(pair)], path.out), spine ? s.up(groups.from, path.out, path.spine) : -1,
          spine ? s.down(groups.to, path.in, path.spine) : -1, s.rx(traffic.to[at(pair)], path.in)};
}

std::vector<std::uint16_t> plan_paths(const Traffic& traffic) {
  std::vector<std::uint16_t> codes(at(traffic.shape.flows()));
  Loads loads(traffic);
  for_each_flow(traffic.shape, [&](int pair, int rail, int qp, std::size_t flow) {
    FlowPath path{qp % kPorts, qp % kPorts, 0};
    const PairGroups groups = traffic.groups(pair);
    if (crosses_spine(groups, path)) path.spine = loads.best(rail, groups, path);
    loads.add(rail, groups, path);
    codes[flow] = path.code();
  });
  return codes;
}

std::vector<std::uint16_t> replan_paths(const Traffic& traffic, std::span<const std::uint16_t> plan) {
  std::vector<std::uint16_t> codes(plan.begin(), plan.end());
  Loads loads(traffic);
  const auto affected = [&](int pair, int rail, std::size_t flow) {
    const PairGroups groups = traffic.groups(pair);
    const FlowPath path = FlowPath::of(plan[flow]);
    return crosses_spine(groups, path) && !loads.alive(rail, groups, path);
  };
  for_each_flow(traffic.shape, [&](int pair, int rail, int, std::size_t flow) {
    if (!affected(pair, rail, flow)) loads.add(rail, traffic.groups(pair), FlowPath::of(plan[flow]));
  });
  for_each_flow(traffic.shape, [&](int pair, int rail, int, std::size_t flow) {
    if (!affected(pair, rail, flow)) return;
    FlowPath path = FlowPath::of(plan[flow]);
    path.spine = loads.best(rail, traffic.groups(pair), path);
    loads.add(rail, traffic.groups(pair), path);
    codes[flow] = path.code();
  });
  return codes;
}

int uplink_imbalance(const Traffic& traffic, std::span<const std::uint16_t> paths) {
  const ClosShape& s = traffic.shape;
  Loads loads(traffic);
  for_each_flow(s, [&](int pair, int rail, int, std::size_t flow) {
    loads.add(rail, traffic.groups(pair), FlowPath::of(paths[flow]));
  });
  int worst = 0;
  for (int rail = 0; rail < s.rails; ++rail) {
    for (int leaf = 0; leaf < 2 * s.groups * kPorts; ++leaf) {  // up, then down
      int least = std::numeric_limits<int>::max(), most = 0;
      for (int spine = 0; spine < s.uplinks; ++spine) {
        const int link = s.up(0, 0, 0) + leaf * s.uplinks + spine;
        if (!loads.alive(rail, link)) continue;
        least = std::min(least, loads.on(rail, link));
        most = std::max(most, loads.on(rail, link));
      }
      worst = std::max(worst, most - std::min(least, most));
    }
  }
  return worst;
}

double finishing_rate(std::span<const double> rates, int rounds) {
  std::vector<double> part(rates.size(), 1.0 / static_cast<double>(rates.size()));
  for (int round = 0; round < rounds; ++round) {
    double sum = 0;
    for (const double rate : rates) sum += rate;
    if (sum <= 0) return 0;
    for (std::size_t i = 0; i < rates.size(); ++i) part[i] = rates[i] / sum;
  }
  double slowest = std::numeric_limits<double>::infinity();
  for (std::size_t i = 0; i < rates.size(); ++i) {
    if (part[i] > 0) slowest = std::min(slowest, rates[i] / part[i]);
  }
  return slowest;
}

}  // namespace remeasure::kernels
