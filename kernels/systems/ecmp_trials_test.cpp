// SPDX-License-Identifier: Apache-2.0
#include "kernels/systems/ecmp_trials.h"

#include <testing/catch.h>
#include <functional>

#include "kernels/simt/engine.h"
#include "kernels/systems/ecmp_trials_reference.h"
#include "kernels/systems/testing/traffic_problem.h"

using namespace remeasure;
using namespace remeasure::kernels;
using namespace remeasure::kernels::testing;
using Catch::Matchers::ContainsSubstring;
using remeasure::testing::TestBench;

namespace {

/// What the oracle makes of each trial's paths.
Trials expected(const Traffic& t, Routing routing, const std::vector<std::uint16_t>& plan, std::uint32_t seed,
                int trials) {
  Trials all;
  const auto append = [](std::vector<std::uint32_t>& to, const std::vector<std::int64_t>& from) {
    for (const std::int64_t value : from) to.push_back(static_cast<std::uint32_t>(value));
  };
  for (int trial = 0; trial < trials; ++trial) {
    const auto paths = trial_paths(t, routing, plan, seed, static_cast<std::uint32_t>(trial));
    const Filling<std::int64_t> filling = fill_rates<std::int64_t>(t, paths);
    const Busbw<std::int64_t> jobs = busbw<std::int64_t>(t, filling.rates);
    append(all.even, jobs.even);
    append(all.weighted, jobs.weighted);
    append(all.rates, filling.rates);
  }
  return all;
}

}  // namespace

TEST_CASE("ecmp_trials is the oracle bit for bit, at odd sizes, for both teams", "[simt]") {
  const Cluster clusters[] = {
      {.nodes = 2, .groups = 1, .uplinks = 1, .qps = 1, .rails = 1},
      {.nodes = 4, .groups = 2, .uplinks = 2, .qps = 3, .ring = false},
      {.nodes = 6, .groups = 3, .uplinks = 5, .qps = 7, .rails = 3},
      {.nodes = 16, .groups = 2, .uplinks = 8, .qps = 2},
      {.nodes = 12, .groups = 4, .uplinks = 3, .qps = 5, .rails = 9, .ring = false, .scattered = 5}};
  for (const Cluster& cluster : clusters) {
    const Traffic t = traffic_of(cluster);
    const auto plan = plan_paths(t);
    for (const Routing routing : {Routing::hashed, Routing::ports, Routing::planned}) {
      INFO(cluster.nodes << " nodes, routing " << static_cast<int>(routing));
      const Trials oracle = expected(t, routing, plan, 7, 2);
      for (const RailTeam team : {RailTeam::warp, RailTeam::block}) {
        TestBench<Simt> bench;
        CHECK(run_trials(bench, t, routing, plan, 7, 2, team) == oracle);
      }
    }
  }
}

TEST_CASE("ecmp_trials finds a living spine for flows whose own is dead, and none where all are", "[simt]") {
  Traffic t = traffic_of({.nodes = 8, .groups = 2, .uplinks = 4, .qps = 4, .ring = false});
  const auto plan = plan_paths(t);
  const std::vector<DeadCable> cables = {{0, 2, 0, 1}, {1, 2, 0, 3}, {1, 5, 1, 0}};
  fail(t, cables);
  TestBench<Simt> bench;
  const Trials partly = run_trials(bench, t, Routing::planned, plan, 3, 3, RailTeam::warp);
  CHECK(partly == expected(t, Routing::planned, plan, 3, 3));
  CHECK(*std::min_element(partly.rates.begin(), partly.rates.end()) > 0);
  for (int spine = 0; spine < 4; ++spine) fail(t, std::vector<DeadCable>{{0, 1, 1, spine}});
  const Trials cut = run_trials(bench, t, Routing::planned, plan, 3, 2, RailTeam::block);
  CHECK(cut == expected(t, Routing::planned, plan, 3, 2));
  CHECK(cut.even[0] == 0);
  CHECK(cut.weighted[0] == 200 * kRateUnits);  // the other port carries on
}

TEST_CASE("ecmp_trials gives the same bits for every order of blocks and lanes", "[simt]") {
  const Traffic t = traffic_of({.nodes = 16, .groups = 2, .uplinks = 8, .qps = 4, .ring = false});
  TestBench<Simt> bench;
  for (const RailTeam team : {RailTeam::warp, RailTeam::block}) {
    const Trials first = run_trials(bench, t, Routing::hashed, {}, 11, 3, team);
    for (std::uint64_t schedule = 1; schedule < 4; ++schedule) {
      bench.device().engine().set_schedule(schedule);
      CHECK(run_trials(bench, t, Routing::hashed, {}, 11, 3, team) == first);
    }
    bench.device().engine().set_schedule(0);
  }
}

TEST_CASE("ecmp_trials takes warps where eight rails fit, and the block where they don't", "[simt]") {
  const Traffic small = traffic_of({}), large = traffic_of({.nodes = 128, .groups = 16, .qps = 8});
  CHECK(ecmp_shared_bytes(small.shape, RailTeam::automatic) ==
        ecmp_shared_bytes(small.shape, RailTeam::warp));
  CHECK(ecmp_shared_bytes(large.shape, RailTeam::automatic) ==
        ecmp_shared_bytes(large.shape, RailTeam::block));
  CHECK(ecmp_shared_bytes(traffic_of({.nodes = 256, .groups = 32, .qps = 16}).shape, RailTeam::block) <
        48 * 1024);
  TestBench<Simt> bench;
  bench.device().engine().reset_counts();
  run_trials(bench, small, Routing::hashed, {}, 1, 1, RailTeam::automatic, false);
  run_trials(bench, large, Routing::hashed, {}, 1, 1, RailTeam::automatic, false);
  CHECK(bench.device().engine().counts("ecmp_trials_warp").launches == 1);
  CHECK(bench.device().engine().counts("ecmp_trials_block").launches == 1);
}

TEST_CASE("ecmp_trials refuses arrays that don't fit, with their sizes", "[simt]") {
  TestBench<Simt> bench;
  const auto message = [&](const std::function<void(Traffic&, std::vector<std::uint16_t>&)>& change) {
    Traffic t = traffic_of({.nodes = 4, .groups = 2, .uplinks = 2});
    auto plan = plan_paths(t);
    change(t, plan);
    try {
      run_trials(bench, t, Routing::planned, plan, 1, 1, RailTeam::automatic);
    } catch (const std::invalid_argument& error) {
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  CHECK(message([](auto&, auto&) {}) == "accepted");
  CHECK_THAT(message([](auto&, auto& plan) { plan.pop_back(); }),
             ContainsSubstring("a plan of 127 paths; expected 128"));
  CHECK_THAT(message([](auto& t, auto&) { t.capacity.pop_back(); }),
             ContainsSubstring("255 capacities; expected 4, 4, 256"));
  CHECK_THAT(message([](auto& t, auto&) { t.shape.uplinks = 0; }), ContainsSubstring("0 uplinks"));
  CHECK_THROWS_WITH(run_trials(bench, traffic_of({.nodes = 512, .groups = 64, .qps = 8}), Routing::hashed, {},
                               1, 1, RailTeam::warp),
                    ContainsSubstring("bytes of shared memory"));
}

TEST_CASE("ecmp_trials gives the oracle's bits on a GPU", "[gpu]") {
  if (Device<Cuda>::count() == 0) SKIP_TEST(Device<Cuda>::why_not());
  remeasure::testing::on_gpu([](auto& bench) {
    for (const RailTeam team : {RailTeam::warp, RailTeam::block}) {
      const Traffic t = traffic_of({.qps = 8});
      CHECK(run_trials(bench, t, Routing::hashed, {}, 5, 40, team) ==
            expected(t, Routing::hashed, {}, 5, 40));
    }
  });
}
