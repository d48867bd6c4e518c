// SPDX-License-Identifier: Apache-2.0
//
// C4P's traffic planning (Dong et al., "Boosting Large-scale Parallel Training Efficiency with C4", section
// 4) on the host: rings of the jobs, capacities of the links, paths of the flows.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/systems/clos.h"

namespace remeasure::kernels {

struct DeadCable {
  int group = 0, rail = 0, port = 0, spine = 0;
};

/// The traffic of all jobs and the network that it is on.
struct Traffic {
  ClosShape shape = {};
  std::vector<std::int32_t> group = {};                    ///< of each node
  std::vector<std::int32_t> from = {}, to = {}, job = {};  ///< of each pair
  std::vector<std::uint32_t> capacity = {};                ///< [rails, rail_links]

  PairGroups groups(int pair) const {
    const auto at = [&](const std::vector<std::int32_t>& node) {
      return group[static_cast<std::size_t>(node[static_cast<std::size_t>(pair)])];
    };
    return {at(from), at(to)};
  }
  std::span<const std::uint32_t> rail_capacity(int rail) const {
    const auto links = static_cast<std::size_t>(shape.rail_links());
    return std::span(capacity).subspan(static_cast<std::size_t>(rail) * links, links);
  }
};

/// Uplinks carry together what the ports under a leaf do (1:1). Throws std::invalid_argument for a shape that
/// the kernels don't take.
Traffic ring_traffic(int nodes, int rails, int uplinks, int qps, double port_gbps, double nvlink_gbps,
                     std::vector<std::int32_t> group, std::span<const std::vector<std::int32_t>> jobs);

/// Takes both directions of each cable away.
void fail(Traffic& traffic, std::span<const DeadCable> cables);

/// Link numbers of a flow on its rail; -1 for those that a path inside a leaf doesn't use.
std::array<int, 4> links_of(const Traffic& traffic, int pair, const FlowPath& path);

/// Path codes of all flows by C4P: queue pair i on port i mod 2 at both ends; flows in their order take the
/// spine with the smallest max(flows on the uplink, flows on the downlink), the lowest of equals, never a
/// dead one.
std::vector<std::uint16_t> plan_paths(const Traffic& traffic);

/// After a failure: flows whose planned spine is dead are planned anew by the same rule, the others stay.
std::vector<std::uint16_t> replan_paths(const Traffic& traffic, std::span<const std::uint16_t> plan);

/// Largest difference between the flows on two uplinks (or two downlinks) of one leaf, dead ones aside.
int uplink_imbalance(const Traffic& traffic, std::span<const std::uint16_t> paths);

/// Rate at which a pair finishes: each queue pair has the part w_i of the bytes, first 1/q; in each round w_i
/// becomes its rate's share. 0 rounds: q min rate.
double finishing_rate(std::span<const double> rates, int rounds);

}  // namespace remeasure::kernels
