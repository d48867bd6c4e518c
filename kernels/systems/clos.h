// SPDX-License-Identifier: Apache-2.0
//
// A rail-optimised Clos network as the kernels and their references see it: numbers of links, paths of flows.
// A rail (NIC r of every node) has leaves and uplinks of its own, so its flows share no link with those of
// another one.
#pragma once

#include <cstdint>

#include "kernels/device/philox.h"
#include "kernels/device/qualifiers.h"

namespace remeasure::kernels {

inline constexpr int kPorts = 2;                       ///< of a NIC
inline constexpr std::uint32_t kRateUnits = 1u << 20;  ///< in 1 Gb/s: rates and capacities are integers

struct ClosShape {
  int nodes = 0, rails = 8, groups = 1, uplinks = 1;
  int pairs = 0, jobs = 0;  ///< (node, next node of its job's ring), in the order of jobs and members
  int qps = 1;              ///< flows of a pair on a rail
  std::uint32_t nvlink = 362 * kRateUnits;  ///< cap of a pair on a rail

  RM_HOST_DEVICE constexpr int rail_flows() const { return pairs * qps; }
  RM_HOST_DEVICE constexpr int flows() const { return rails * rail_flows(); }
  /// Flows are numbered by pair, rail, queue pair: the order of planning.
  RM_HOST_DEVICE constexpr int flow(int pair, int rail, int qp) const {
    return (pair * rails + rail) * qps + qp;
  }

  /// Links of a rail: tx [node, port], rx [node, port], up [group, port, spine], down [group, port, spine].
  RM_HOST_DEVICE constexpr int tx(int node, int port) const { return node * kPorts + port; }
  RM_HOST_DEVICE constexpr int rx(int node, int port) const { return kPorts * nodes + node * kPorts + port; }
  RM_HOST_DEVICE constexpr int up(int group, int port, int spine) const {
    return 2 * kPorts * nodes + (group * kPorts + port) * uplinks + spine;
  }
  RM_HOST_DEVICE constexpr int down(int group, int port, int spine) const {
    return 2 * kPorts * nodes + (groups * kPorts + group * kPorts + port) * uplinks + spine;
  }
  RM_HOST_DEVICE constexpr int rail_links() const { return 2 * kPorts * (nodes + groups * uplinks); }
  RM_HOST_DEVICE constexpr int links() const { return rails * rail_links(); }
};

/// Ports at both ends and the spine, which is meaningless inside a leaf. 16 bits: up to 16383 uplinks.
struct FlowPath {
  int out = 0, in = 0, spine = 0;

  RM_HOST_DEVICE constexpr std::uint16_t code() const {
    return static_cast<std::uint16_t>(spine * 4 + in * 2 + out);
  }
  RM_HOST_DEVICE static constexpr FlowPath of(std::uint16_t code) {
    return {code & 1, code >> 1 & 1, code >> 2};
  }
};
inline constexpr int kMostUplinks = 16'383;

/// Groups of a pair's nodes.
struct PairGroups {
  int from = 0, to = 0;
};

/// Whether a path leaves its leaf: also from one port side to the other inside a group, since each side has
/// leaves of its own.
RM_HOST_DEVICE constexpr bool crosses_spine(PairGroups pair, FlowPath path) {
  return pair.from != pair.to || path.out != path.in;
}

/// Who chooses a flow's path.
enum class Routing : int {
  hashed,   ///< the switches: ports and spine by the flow's hash (ECMP)
  ports,    ///< C4P the ports, the same side at both ends; the switches the spine
  planned,  ///< C4P both; the switches where the planned spine is dead
};

/// The path of a flow in one trial: Philox4x32-10, key = (seed, trial), counter = flow. `capacity`: of this
/// rail's links; a spine is dead for a pair if its uplink or its downlink has none. Where all are dead the
/// path stays, and carries nothing.
RM_HOST_DEVICE inline FlowPath choose_path(const ClosShape& shape, Routing routing, std::uint16_t planned,
                                           std::uint32_t seed, std::uint32_t trial, std::uint32_t flow,
                                           int qp, PairGroups pair, const std::uint32_t* capacity) {
  FlowPath path = FlowPath::of(planned);
  const std::uint64_t key = static_cast<std::uint64_t>(trial) << 32 | seed;
  const auto below = [](std::uint32_t word, int n) {
    return static_cast<int>(static_cast<std::uint64_t>(word) * static_cast<std::uint32_t>(n) >> 32);
  };
  if (routing != Routing::planned) {
    const Philox4 random = philox(key, flow);
    path.out = routing == Routing::ports ? qp % kPorts : static_cast<int>(random.word[0] & 1u);
    path.in = routing == Routing::ports ? qp % kPorts : static_cast<int>(random.word[0] >> 1 & 1u);
    path.spine = below(random.word[1], shape.uplinks);
  }
  if (!crosses_spine(pair, path)) return path;
  const auto alive = [&](int spine) {
    return capacity[shape.up(pair.from, path.out, spine)] != 0 &&
           capacity[shape.down(pair.to, path.in, spine)] != 0;
  };
  if (alive(path.spine)) return path;
  int healthy = 0;
  for (int s = 0; s < shape.uplinks; ++s) healthy += alive(s) ? 1 : 0;
  int left = healthy == 0 ? -1 : below(philox(key, flow).word[2], healthy);
  for (int s = 0; s < shape.uplinks && left >= 0; ++s) {
    if (alive(s) && left-- == 0) path.spine = s;
  }
  return path;
}

}  // namespace remeasure::kernels
