// SPDX-License-Identifier: Apache-2.0
#include "kernels/systems/traffic_plan.h"

#include <testing/catch.h>
#include <cmath>

#include "kernels/systems/ecmp_trials_reference.h"
#include "kernels/systems/testing/traffic_problem.h"

using namespace remeasure::kernels;
using namespace remeasure::kernels::testing;

namespace {

std::vector<std::int64_t> rates_of(const Traffic& t, const std::vector<std::uint16_t>& paths) {
  return fill_rates<std::int64_t>(t, paths).rates;
}

}  // namespace

TEST_CASE("hashed paths use every port and spine equally often, planned ports the same side at both ends",
          "[cpu]") {
  const Traffic t = traffic_of({.qps = 8});
  int out = 0, in = 0, same = 0;
  std::vector<int> spine(8);
  constexpr int kTrials = 20;
  for (std::uint32_t trial = 0; trial < kTrials; ++trial) {
    for (const std::uint16_t code : trial_paths(t, Routing::hashed, {}, 3, trial)) {
      const FlowPath path = FlowPath::of(code);
      out += path.out, in += path.in, same += path.out == path.in;
      ++spine.at(static_cast<std::size_t>(path.spine));
    }
  }
  const double n = kTrials * t.shape.flows();
  for (const int count : {out, in, same}) CHECK(std::abs(count / n - 0.5) < 5 * 0.5 / std::sqrt(n));
  for (const int count : spine) CHECK(std::abs(count / n - 0.125) < 5 * 0.331 / std::sqrt(n));
  CHECK(trial_paths(t, Routing::hashed, {}, 3, 0) != trial_paths(t, Routing::hashed, {}, 3, 1));
  CHECK(trial_paths(t, Routing::hashed, {}, 3, 0) != trial_paths(t, Routing::hashed, {}, 4, 0));
  const auto ports = trial_paths(t, Routing::ports, {}, 3, 0);
  for (std::size_t f = 0; f < ports.size(); ++f) {
    const FlowPath path = FlowPath::of(ports[f]);
    REQUIRE((path.out == static_cast<int>(f % 8 % 2) && path.in == path.out));
  }
}

TEST_CASE("a hash is rehashed evenly over the living spines alone", "[cpu]") {
  Traffic t = traffic_of({.nodes = 4, .groups = 2, .uplinks = 4, .qps = 16});
  fail(t, std::vector<DeadCable>{{0, 0, 0, 1}, {1, 0, 1, 3}});
  const Traffic whole = traffic_of({.nodes = 4, .groups = 2, .uplinks = 4, .qps = 16});
  std::vector<int> moved(4);
  for (std::uint32_t trial = 0; trial < 200; ++trial) {
    const auto paths = trial_paths(t, Routing::hashed, {}, 9, trial),
               before = trial_paths(whole, Routing::hashed, {}, 9, trial);
    for (int pair = 0; pair < t.shape.pairs; ++pair) {
      for (int qp = 0; qp < 16; ++qp) {
        const auto f = static_cast<std::size_t>(t.shape.flow(pair, 0, qp));
        const FlowPath path = FlowPath::of(paths[f]);
        const auto links = links_of(t, pair, path);
        REQUIRE(t.rail_capacity(0)[static_cast<std::size_t>(links[1])] > 0);
        REQUIRE(t.rail_capacity(0)[static_cast<std::size_t>(links[2])] > 0);
        const bool from0 = t.groups(pair).from == 0 && FlowPath::of(before[f]).out == 0 &&
                           FlowPath::of(before[f]).spine == 1;
        if (from0 && path.in == 0) ++moved[static_cast<std::size_t>(path.spine)];
      }
    }
  }
  const double n = moved[0] + moved[2] + moved[3];
  CHECK(n > 200);
  CHECK(moved[1] == 0);
  for (const int spine : {0, 2, 3})
    CHECK(std::abs(moved[static_cast<std::size_t>(spine)] / n - 1.0 / 3) < 5 * 0.47 / std::sqrt(n));
}

TEST_CASE(
    "a plan looks at both ends: a flow avoids the spine that another leaf's flow takes down to the same one",
    "[cpu]") {
  // Nodes 0 and 2 have leaves of their own, 1 and 3 share one. 0 -> 1 takes spine 0; 2 -> 3 finds both
  // uplinks free and one downlink taken.
  const std::vector<std::vector<std::int32_t>> jobs = {{0, 1}, {2, 3}};
  const Traffic t = ring_traffic(4, 1, 2, 1, 200, 362, {0, 2, 1, 2}, jobs);
  const auto plan = plan_paths(t);
  CHECK(FlowPath::of(plan[static_cast<std::size_t>(t.shape.flow(0, 0, 0))]).spine == 0);
  CHECK(FlowPath::of(plan[static_cast<std::size_t>(t.shape.flow(2, 0, 0))]).spine == 1);
}

TEST_CASE("filling shares one link evenly, and gives what a bottleneck leaves to the others", "[cpu]") {
  // Two queue pairs on port 0 and one on port 1: 100, 100 and 200 of 200 Gb/s each, inside a leaf.
  const Traffic t = traffic_of({.nodes = 2, .groups = 1, .uplinks = 1, .qps = 3, .rails = 1});
  const std::uint16_t low = FlowPath{0, 0, 0}.code(), high = FlowPath{1, 1, 0}.code();
  const std::vector<std::uint16_t> paths = {low, low, high, low, high, high};
  const std::int64_t unit = kRateUnits;
  CHECK(rates_of(t, paths) ==
        std::vector<std::int64_t>{100 * unit, 100 * unit, 200 * unit, 200 * unit, 100 * unit, 100 * unit});
  const auto jobs = busbw<std::int64_t>(t, rates_of(t, paths));
  CHECK(jobs.even[0] == 300 * unit);      // 3 x 100
  CHECK(jobs.weighted[0] == 362 * unit);  // 400, capped
  // A flow that crosses to the other port's leaf shares the uplink with none, and the receiver with all.
  const std::vector<std::uint16_t> crossed = {low, FlowPath{1, 0, 0}.code(), high, low, low, low};
  const auto rates = rates_of(t, crossed);
  CHECK(rates[0] == 100 * unit);
  CHECK(rates[1] == 100 * unit);
  CHECK(rates[2] == 100 * unit);  // what the crossing one leaves of port 1
}

TEST_CASE("rates are max-min fair: no link overfull, each flow with a full link; doubles agree", "[cpu]") {
  for (const Cluster& cluster :
       {Cluster{.qps = 8},
        Cluster{.nodes = 12, .groups = 3, .uplinks = 5, .qps = 7, .ring = false, .scattered = 3},
        Cluster{.nodes = 64, .groups = 8, .qps = 4}}) {
    const Traffic t = traffic_of(cluster);
    for (std::uint32_t trial = 0; trial < 3; ++trial) {
      const auto paths = trial_paths(t, Routing::hashed, {}, 1, trial);
      auto rates = rates_of(t, paths);
      FairnessFaults faults = fairness_faults(t, paths, rates);
      CHECK(faults.overfull == 0);
      CHECK(faults.without_bottleneck == 0);
      const Filling<double> real = fill_rates<double>(t, paths);
      for (std::size_t f = 0; f < rates.size(); ++f)
        REQUIRE(std::abs(static_cast<double>(rates[f]) - real.rates[f]) < 64);
      // Controls: a flow that takes more, and one that takes less than its share.
      rates[5] += 1000;
      CHECK(fairness_faults(t, paths, rates).overfull > 0);
      rates[5] -= 3000;
      CHECK(fairness_faults(t, paths, rates).without_bottleneck > 0);
    }
  }
}

TEST_CASE("the method rail by rail is the oracle over all links", "[cpu]") {
  for (const Cluster& cluster : {Cluster{.qps = 8, .ring = false},
                                 Cluster{.nodes = 6, .groups = 3, .uplinks = 5, .qps = 7, .rails = 3}}) {
    Traffic t = traffic_of(cluster);
    fail(t, std::vector<DeadCable>{{1, 1, 0, 2}});
    const auto jobs = static_cast<std::size_t>(t.shape.jobs);
    std::vector<std::uint32_t> even(4 * jobs), weighted(4 * jobs), one(jobs), other(jobs);
    ecmp_trials_reference(t, Routing::hashed, {}, 2, 4, even, weighted, 2);
    for (std::uint32_t trial = 0; trial < 4; ++trial) {
      const auto paths = trial_paths(t, Routing::hashed, {}, 2, trial);
      const auto exact = busbw<std::int64_t>(t, rates_of(t, paths));
      path_trial(t, paths, one, other);
      for (std::size_t j = 0; j < jobs; ++j) {
        CHECK(even[trial * jobs + j] == exact.even[j]);
        CHECK(weighted[trial * jobs + j] == exact.weighted[j]);
        CHECK(one[j] == exact.even[j]);
        CHECK(other[j] == exact.weighted[j]);
      }
    }
  }
}

TEST_CASE("a plan loads uplinks evenly and leaves dead spines out; planning anew moves only what must",
          "[cpu]") {
  Traffic t = traffic_of({.ring = false});
  const auto plan = plan_paths(t);
  CHECK(uplink_imbalance(t, plan) == 0);
  CHECK(uplink_imbalance(t, trial_paths(t, Routing::hashed, {}, 1, 0)) > 2);
  const DeadCable dead{1, 3, 1, 6};
  fail(t, std::span(&dead, 1));
  const auto again = replan_paths(t, plan);
  int moved = 0;
  for (int pair = 0; pair < t.shape.pairs; ++pair) {
    for (int rail = 0; rail < t.shape.rails; ++rail) {
      for (int qp = 0; qp < t.shape.qps; ++qp) {
        const auto f = static_cast<std::size_t>(t.shape.flow(pair, rail, qp));
        const auto links = links_of(t, pair, FlowPath::of(plan[f])),
                   now = links_of(t, pair, FlowPath::of(again[f]));
        const auto alive = [&](int link) {
          return t.rail_capacity(rail)[static_cast<std::size_t>(link)] > 0;
        };
        REQUIRE((alive(now[1]) && alive(now[2])));
        if (plan[f] == again[f]) continue;
        ++moved;
        CHECK_FALSE((alive(links[1]) && alive(links[2])));
      }
    }
  }
  CHECK(moved == 4);  // 16 flows on 8 spines of a leaf, two on the dead uplink and two on the downlink
  CHECK(uplink_imbalance(t, again) == 3);  // the other group's uplink to that spine lives, and leads nowhere
}

TEST_CASE("a pair finishes at q times its slowest rate, at the sum once its bytes follow the rates",
          "[cpu]") {
  const std::vector<double> rates = {50, 100, 25, 0.0};
  CHECK(finishing_rate(rates, 0) == 0);
  CHECK(finishing_rate(std::vector<double>{50, 100, 25}, 0) == Approx(75));
  for (const int rounds : {1, 4}) CHECK(finishing_rate(rates, rounds) == Approx(175));
  CHECK(finishing_rate(std::vector<double>{0, 0}, 4) == 0);
}

TEST_CASE("spraying reaches the cap on a whole network, and loses the dead link's part evenly", "[cpu]") {
  Traffic t = traffic_of({.ring = false});
  for (const double busbw : spray_busbw(t)) CHECK(busbw == Approx(362));
  fail(t, std::vector<DeadCable>{{0, 0, 0, 0}});
  for (const double busbw : spray_busbw(t))
    CHECK(busbw == Approx(350));  // 2 x 1400 / 8 through the side with 7 of 8 uplinks
}

TEST_CASE("traffic that can't be is refused", "[cpu]") {
  CHECK_THROWS_WITH(traffic_of({.qps = 0}), Catch::Matchers::ContainsSubstring("0 queue pairs"));
  CHECK_THROWS_WITH(traffic_of({.nodes = 64, .groups = 1, .uplinks = 1}),
                    Catch::Matchers::ContainsSubstring("a link of 12800 Gb/s; below 4096"));
}
