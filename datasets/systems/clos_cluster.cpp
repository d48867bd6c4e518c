// SPDX-License-Identifier: Apache-2.0
#include "datasets/systems/clos_cluster.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <span>

#include "datasets/random.h"
#include "datasets/schema.h"

namespace remeasure::datasets {
namespace {

constexpr int kRails = 8, kPorts = 2;
constexpr double kPortGbps = 200, kNvlinkGbps = 362;

enum Stream : std::uint64_t { placement_stream = 1, failure_stream = 2 };

std::vector<std::int32_t> placement(const std::string& jobs, int nodes, std::uint64_t seed) {
  std::vector<std::int32_t> order(static_cast<std::size_t>(nodes));
  std::iota(order.begin(), order.end(), 0);
  if (jobs != "scattered") return order;
  const Philox random(seed, placement_stream);
  for (std::size_t i = order.size() - 1; i > 0; --i) std::swap(order[i], order[random.integer(i, i + 1)]);
  return order;
}

/// The first `count` different cables of the stream.
std::vector<std::int32_t> draw_failures(int count, int groups, int uplinks, std::uint64_t seed) {
  const Philox random(seed, failure_stream);
  const auto cables =
      static_cast<std::uint64_t>(groups) * kRails * kPorts * static_cast<std::uint64_t>(uplinks);
  std::vector<std::uint64_t> chosen;
  for (std::uint64_t i = 0; chosen.size() < static_cast<std::size_t>(count); ++i) {
    const std::uint64_t cable = random.integer(i, cables);
    if (std::find(chosen.begin(), chosen.end(), cable) == chosen.end()) chosen.push_back(cable);
  }
  std::vector<std::int32_t> rows;
  for (const std::uint64_t cable : chosen) {
    const auto spines = static_cast<std::uint64_t>(uplinks), leaf = cable / spines;
    for (const std::uint64_t part :
         {leaf / (kRails * kPorts), leaf / kPorts % kRails, leaf % kPorts, cable % spines}) {
      rows.push_back(static_cast<std::int32_t>(part));
    }
  }
  return rows;
}

void generate(const Parameters& p, Writer& out) {
  const auto nodes = static_cast<int>(p.extent("nodes")), groups = static_cast<int>(p.extent("groups"));
  const auto uplinks = static_cast<int>(p.extent("uplinks"));
  const auto failures = static_cast<int>(p.integer("failures"));
  const std::string& jobs = p.text("jobs");
  if (jobs != "ring" && jobs != "pairs" && jobs != "scattered") {
    throw DatasetError(fmt::format("clos_cluster: jobs \"{}\"; there are ring, pairs and scattered", jobs));
  }
  if (nodes % groups != 0 || nodes < 2 || (jobs != "ring" && nodes % 2 != 0)) {
    throw DatasetError(fmt::format(
        "clos_cluster: {} nodes in {} groups with jobs \"{}\"; nodes are a multiple of the groups, "
        "two or more, and even for pairs",
        nodes, groups, jobs));
  }
  if (failures < 0 || failures > groups * kRails * kPorts * uplinks) {
    throw DatasetError(
        fmt::format("clos_cluster: {} failures of {} cables", failures, groups * kRails * kPorts * uplinks));
  }
  const auto number = [&](const char* path, std::int32_t value) {
    out.array(path, std::span<const std::int32_t>(&value, 1), {1});
  };
  number("/topology/nodes", nodes);
  number("/topology/rails", kRails);
  number("/topology/ports", kPorts);
  number("/topology/uplinks", uplinks);
  std::vector<std::int32_t> group(static_cast<std::size_t>(nodes));
  for (std::size_t n = 0; n < group.size(); ++n)
    group[n] = static_cast<std::int32_t>(n % static_cast<std::size_t>(groups));
  out.array("/topology/group", group, {group.size()});
  const std::vector<std::int32_t> members = placement(jobs, nodes, p.seed);
  const std::uint64_t width = jobs == "ring" ? members.size() : 2;
  out.array("/jobs/members", members, {members.size() / width, width});
  if (failures > 0) {
    out.array("/failures", draw_failures(failures, groups, uplinks, p.seed),
              {static_cast<std::uint64_t>(failures), 4});
  }
  out.attribute("port_gbps", kPortGbps);
  out.attribute("nvlink_gbps", kNvlinkGbps);
}

ArraySchema scalar(const char* path, const char* description) {
  return {.path = path,
          .type = ElementType::i32,
          .axes = {"one"},
          .description = description,
          .minimum = 1,
          .maximum = 65'536};
}

[[noreturn]] void wrong(const std::string& what) {
  throw DatasetError("clos_cluster: " + what);
}

void check(const ClosCluster& c) {
  std::vector<int> size(static_cast<std::size_t>(c.groups));
  for (const std::int32_t g : c.group) ++size[static_cast<std::size_t>(g)];
  if (std::any_of(size.begin(), size.end(), [&](int n) { return n * c.groups != c.nodes; })) {
    wrong("groups must be of one size, or a leaf's uplinks have no common capacity");
  }
  std::vector<bool> busy(static_cast<std::size_t>(c.nodes));
  for (const auto& job : c.jobs) {
    if (job.size() < 2) wrong(fmt::format("a job of {} nodes; two or more", job.size()));
    for (const std::int32_t node : job) {
      if (node >= c.nodes || busy[static_cast<std::size_t>(node)])
        wrong(fmt::format("node {} doesn't exist or is in two jobs", node));
      busy[static_cast<std::size_t>(node)] = true;
    }
  }
  for (auto it = c.failures.begin(); it != c.failures.end(); ++it) {
    if (it->group >= c.groups || it->rail >= c.rails || it->port >= c.ports || it->spine >= c.uplinks) {
      wrong(fmt::format("failure ({}, {}, {}, {}) is no cable", it->group, it->rail, it->port, it->spine));
    }
    if (std::find(c.failures.begin(), it, *it) != it) wrong("a failure is listed twice");
  }
}

}  // namespace

const Definition clos_cluster_definition = {
    .name = "clos_cluster",
    .title = "Jobs on a rail-optimised Clos network",
    .theme = "systems",
    .stands_for =
        "the test bed of C4: nodes with 8 NICs of 2 x 200 Gb/s ports, dual-homed to two leaves a rail, "
        "spines at 1:1, NVLink-limited to 362 Gb/s. Placement and failures there are not published",
    .source = "arXiv 2406.04594; synthetic",
    .arrays = {scalar("/topology/nodes", "nodes"),
               scalar("/topology/rails", "NICs of a node"),
               scalar("/topology/ports", "ports of a NIC"),
               scalar("/topology/uplinks", "spines that a leaf is connected to"),
               {.path = "/topology/group",
                .type = ElementType::i32,
                .axes = {"node"},
                .description = "leaf group of each node",
                .minimum = 0},
               {.path = "/jobs/members",
                .type = ElementType::i32,
                .axes = {"job", "member"},
                .description = "nodes of a job in the order of its ring; -1 pads",
                .minimum = -1},
               {.path = "/failures",
                .type = ElementType::i32,
                .axes = {"failure", "part"},
                .description = "group, rail, port, spine of a dead cable",
                .minimum = 0,
                .optional = true}},
    .extents =
        [](const Parameters& p) {
          return Extents{{"one", 1}, {"node", p.extent("nodes")}, {"part", 4}};
        },
    .generate = generate,
    .examples = {clos_cluster(4, 2, 2, "pairs", 0, 1), clos_cluster(16, 2, 8, "ring", 0, 1),
                 clos_cluster(16, 2, 8, "pairs", 1, 1)},
};

Parameters clos_cluster(int nodes, int groups, int uplinks, const std::string& jobs, int failures,
                        std::uint64_t seed) {
  return parameters(
      {{"nodes", nodes}, {"groups", groups}, {"uplinks", uplinks}, {"jobs", jobs}, {"failures", failures}},
      seed);
}

ClosCluster read_clos_cluster(Reader& reader) {
  const auto number = [&](const char* path) { return reader.i32(path).at(0); };
  ClosCluster c{.nodes = number("/topology/nodes"),
                .rails = number("/topology/rails"),
                .ports = number("/topology/ports"),
                .uplinks = number("/topology/uplinks"),
                .port_gbps = reader.number("port_gbps"),
                .nvlink_gbps = reader.number("nvlink_gbps"),
                .group = reader.i32("/topology/group")};
  if (c.ports != kPorts) wrong(fmt::format("{} ports a NIC; the model has {}", c.ports, kPorts));
  c.groups = *std::max_element(c.group.begin(), c.group.end()) + 1;
  const Shape shape = reader.shape("/jobs/members");
  const std::vector<std::int32_t> members = reader.i32("/jobs/members");
  for (std::size_t j = 0; j < shape[0]; ++j) {
    auto& job = c.jobs.emplace_back();
    for (std::size_t m = 0; m < shape[1]; ++m) {
      if (members[j * shape[1] + m] >= 0) job.push_back(members[j * shape[1] + m]);
    }
  }
  if (reader.has("/failures")) {
    const std::vector<std::int32_t> rows = reader.i32("/failures");
    for (std::size_t i = 0; i + 3 < rows.size(); i += 4)
      c.failures.push_back({rows[i], rows[i + 1], rows[i + 2], rows[i + 3]});
  }
  check(c);
  return c;
}

}  // namespace remeasure::datasets
