// SPDX-License-Identifier: Apache-2.0
//
// A GPU cluster on a rail-optimised two-layer Clos network, the jobs on it and its failed links.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "datasets/dataset.h"

namespace remeasure::datasets {

/// "clos_cluster": parameters nodes, groups, uplinks, jobs, failures. 8 rails (NICs) a node, 2 ports a NIC, a
/// leaf for each (group, rail, port). Node n is in group n mod groups, so neighbours of a ring meet on the
/// spines. Jobs:
///   ring      one job of all nodes, in order
///   pairs     nodes 2j and 2j + 1 are job j
///   scattered the same of the nodes in random order
/// Failures are drawn: (group, rail, port, spine) of a cable, both directions of it.
extern const Definition clos_cluster_definition;

Parameters clos_cluster(int nodes, int groups, int uplinks, const std::string& jobs, int failures,
                        std::uint64_t seed);

struct FailedLink {
  std::int32_t group = 0, rail = 0, port = 0, spine = 0;
  bool operator==(const FailedLink&) const = default;
};

struct ClosCluster {
  int nodes = 0, rails = 0, ports = 0, uplinks = 0, groups = 0;
  double port_gbps = 0, nvlink_gbps = 0;
  std::vector<std::int32_t> group = {};              ///< of each node
  std::vector<std::vector<std::int32_t>> jobs = {};  ///< nodes of each job, in the order of its ring
  std::vector<FailedLink> failures = {};
};

/// Checked: groups from 0 up without a gap and of one size, a node in one job at most, failures that exist,
/// each once.
ClosCluster read_clos_cluster(Reader& reader);

}  // namespace remeasure::datasets
