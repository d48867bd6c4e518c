// SPDX-License-Identifier: Apache-2.0
#include "datasets/systems/clos_cluster.h"

#include <testing/catch.h>
#include <algorithm>

#include "datasets/test_support.h"

using namespace remeasure::datasets;
using remeasure::datasets::testing::message_of;
using remeasure::datasets::testing::TemporaryFolder;

namespace {

ClosCluster cluster(const Parameters& parameters) {
  const TemporaryFolder folder;
  Store store(folder.path());
  const Opened opened = store.open(clos_cluster_definition, parameters);
  return read_clos_cluster(*opened.reader);
}

}  // namespace

TEST_CASE("a cluster has its groups in turn, and neighbours of a ring in different groups", "[cpu]") {
  const ClosCluster c = cluster(clos_cluster(16, 2, 8, "ring", 0, 1));
  CHECK(c.nodes == 16);
  CHECK(c.rails == 8);
  CHECK(c.groups == 2);
  CHECK(c.port_gbps == 200);
  CHECK(c.nvlink_gbps == 362);
  REQUIRE(c.jobs.size() == 1);
  REQUIRE(c.jobs[0].size() == 16);
  for (std::size_t i = 0; i < 16; ++i) {
    CHECK(c.group[static_cast<std::size_t>(c.jobs[0][i])] !=
          c.group[static_cast<std::size_t>(c.jobs[0][(i + 1) % 16])]);
  }
  CHECK(c.failures.empty());
}

TEST_CASE("pairs are neighbours, scattered jobs a permutation that the seed chooses", "[cpu]") {
  const ClosCluster pairs = cluster(clos_cluster(16, 2, 8, "pairs", 0, 1));
  REQUIRE(pairs.jobs.size() == 8);
  CHECK(pairs.jobs[3] == std::vector<std::int32_t>{6, 7});
  const ClosCluster one = cluster(clos_cluster(64, 8, 8, "scattered", 0, 1)),
                    two = cluster(clos_cluster(64, 8, 8, "scattered", 0, 2));
  CHECK(one.jobs.size() == 32);
  CHECK(one.jobs != two.jobs);  // that each node is in one job, reading has checked
}

TEST_CASE("failures are different cables, the same for the same seed, and all can fail", "[cpu]") {
  const ClosCluster c = cluster(clos_cluster(16, 2, 8, "pairs", 40, 3));
  CHECK(c.failures.size() == 40);
  CHECK(c.failures == cluster(clos_cluster(16, 2, 8, "ring", 40, 3)).failures);
  CHECK_FALSE(c.failures == cluster(clos_cluster(16, 2, 8, "pairs", 40, 4)).failures);
  CHECK(cluster(clos_cluster(4, 2, 2, "pairs", 64, 1)).failures.size() == 64);
}

TEST_CASE("clusters that can't be are refused", "[cpu]") {
  const TemporaryFolder folder;
  Store store(folder.path());
  const auto message = [&](const Parameters& p) {
    return message_of([&] { store.make(clos_cluster_definition, p); });
  };
  CHECK(message(clos_cluster(15, 2, 8, "ring", 0, 1)).find("15 nodes in 2 groups") != std::string::npos);
  CHECK(message(clos_cluster(9, 3, 3, "pairs", 0, 1)).find("even for pairs") != std::string::npos);
  CHECK(message(clos_cluster(16, 2, 8, "tree", 0, 1)).find("there are ring") != std::string::npos);
  CHECK(message(clos_cluster(4, 2, 2, "pairs", 65, 1)).find("65 failures of 64 cables") != std::string::npos);
}

namespace {

/// Arrays of a sound file of 4 nodes, to be spoilt.
struct Arrays {
  std::int32_t ports = 2;
  std::vector<std::int32_t> group = {0, 1, 0, 1}, members = {0, 1, 2, 3}, failures = {0, 0, 0, 0, 1, 7, 1, 1};
};

std::string message_of_reading(const Arrays& arrays) {
  Definition definition = clos_cluster_definition;
  definition.generate = [&](const Parameters&, Writer& out) {
    const auto number = [&](const char* path, std::int32_t value) {
      out.array(path, std::span<const std::int32_t>(&value, 1), {1});
    };
    number("/topology/nodes", 4);
    number("/topology/rails", 8);
    number("/topology/ports", arrays.ports);
    number("/topology/uplinks", 2);
    out.array("/topology/group", arrays.group, {4});
    out.array("/jobs/members", arrays.members, {2, 2});
    out.array("/failures", arrays.failures, {2, 4});
    out.attribute("port_gbps", 200.0);
    out.attribute("nvlink_gbps", 362.0);
  };
  const TemporaryFolder folder;
  Store store(folder.path());
  return message_of([&] {
    const Opened opened = store.open(definition, clos_cluster(4, 2, 2, "pairs", 2, 1));
    read_clos_cluster(*opened.reader);
  });
}

}  // namespace

TEST_CASE("a file with a node in two jobs, groups of two sizes or a failure of no cable is refused",
          "[cpu]") {
  CHECK(message_of_reading({}) == "no error");
  CHECK(message_of_reading({.members = {0, 1, 0, 3}}).find("node 0 doesn't exist or is in two jobs") !=
        std::string::npos);
  CHECK(message_of_reading({.members = {0, 1, 4, 3}}).find("node 4 doesn't exist") != std::string::npos);
  CHECK(message_of_reading({.members = {0, 1, 2, -1}}).find("a job of 1 nodes") != std::string::npos);
  CHECK(message_of_reading({.group = {0, 1, 1, 1}}).find("of one size") != std::string::npos);
  CHECK(message_of_reading({.failures = {0, 0, 0, 2, 1, 7, 1, 1}}).find("is no cable") != std::string::npos);
  CHECK(message_of_reading({.failures = {0, 0, 0, 1, 0, 0, 0, 1}}).find("listed twice") != std::string::npos);
  CHECK(message_of_reading({.ports = 4}).find("4 ports a NIC") != std::string::npos);
}
