// SPDX-License-Identifier: Apache-2.0
//
// What must hold of c4 without a GPU, with controls that fail.
#include <testing/catch.h>
#include <map>

#include "experiments/systems/c4_filling.h"
#include "experiments/systems/c4_localise.h"
#include "experiments/systems/c4_policies.h"
#include "experiments/testing/smoke_cases.h"

namespace remeasure::experiments {

extern const bench::Experiment c4;

namespace {

using namespace c4_problem;
using bench::Size;
using reports::CaseResult;
using reports::Status;
using reports::Where;

Traffic traffic(const ClusterChoice& c, int qps, std::uint64_t seed = 1) {
  const bench::testing::TemporaryFolder folder;
  datasets::Store store(folder.path());
  const auto opened =
      store.open(datasets::clos_cluster_definition,
                 datasets::clos_cluster(c.nodes, c.groups, c.uplinks, c.jobs, c.failures, seed));
  return traffic_of(datasets::read_clos_cluster(*opened.reader), qps);
}

const std::vector<CaseResult>& smoke_results() {
  static const std::vector<CaseResult> results = testing::run_smoke_cases(c4, "systems");
  return results;
}

}  // namespace

TEST_CASE("c4: every variant that runs here passes, and every check holds", "[simt]") {
  std::map<std::string, int> passed = testing::check_all_passed(smoke_results());
  for (const char* name : {"kernel", "eigen", "method"}) CHECK(passed[name] == 4);
  CHECK(passed["kernel/block"] == 2);
}

TEST_CASE("c4: no claim is reproduced by a model, at either size", "[simt]") {
  for (const Size size : {Size::smoke, Size::paper}) {
    const auto claims = bench::judge_all(c4, smoke_results(), size);
    REQUIRE(claims.size() == 8);
    for (const auto& claim : claims) {
      INFO(claim.id);
      const bool production =
          claim.id == "error-overhead" || claim.id == "runtime-gain" || claim.id == "system-efficiency";
      CHECK(claim.verdict ==
            (production ? reports::Verdict::not_measured : reports::Verdict::not_comparable));
      CHECK(claim.modelled == !production);
      if (!production) CHECK(claim.measured.has_value());
    }
  }
}

TEST_CASE("c4: a plan reaches the cap exactly, and loads the uplinks of a leaf evenly", "[cpu]") {
  for (const ClusterChoice& c :
       {ClusterChoice{.nodes = 4, .uplinks = 2}, ClusterChoice{}, ClusterChoice{.jobs = "ring"},
        ClusterChoice{.nodes = 64, .groups = 8, .jobs = "ring"},
        ClusterChoice{.nodes = 256, .groups = 32, .jobs = "ring"}}) {
    for (const int q : {2, 4, 8}) {
      INFO(c.nodes << " nodes, " << c.jobs << ", q = " << q);
      Traffic t = traffic(c, q);
      const auto plan = kernels::plan_paths(t);
      CHECK(kernels::uplink_imbalance(t, plan) == 0);
      CHECK(planned(t, plan).slowest_even.mean == 362);
      t.shape.nvlink = 500 * kernels::kRateUnits;
      CHECK(planned(t, plan).slowest_even.mean == 400);  // min(cap, both ports)
    }
  }
}

TEST_CASE("c4: scattered jobs break the bound of two flows, but not by much", "[cpu]") {
  int worst = 0;
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    const Traffic t = traffic({.nodes = 64, .groups = 8, .jobs = "scattered"}, 6, seed);
    worst = std::max(worst, kernels::uplink_imbalance(t, kernels::plan_paths(t)));
  }
  CHECK(worst > 2);
  CHECK(worst <= 5);
}

TEST_CASE("c4: ECMP is where the card's sketch has it, without the cap and by the sum of the rates",
          "[cpu]") {
  const std::map<int, std::pair<double, double>> sketch = {
      {2, {93, 119}}, {4, {157, 179}}, {8, {200, 226}}, {16, {260, 281}}};
  for (const auto& [q, expected] : sketch) {
    for (const bool ring : {true, false}) {
      Traffic t = traffic({.jobs = ring ? "ring" : "pairs"}, q);
      t.shape.nvlink = 1000 * kernels::kRateUnits;
      const double mean = drawn(t, Routing::hashed, {}, 1, 150).weighted.mean,
                   from = ring ? expected.first : expected.second;
      INFO("q = " << q << (ring ? ", ring: " : ", pairs: ") << mean);
      CHECK(std::abs(mean / from - 1) < 0.1);
    }
  }
}

TEST_CASE("c4: the gain over ECMP at q = 4 to 8 brackets the reported 70.3 %", "[cpu]") {
  const auto gain = [](int q) {
    return gain_of(362, drawn(traffic({}, q), Routing::hashed, {}, 1, 300).weighted).median;
  };
  CHECK(gain(8) > 50);
  CHECK(gain(8) < 70.3);
  CHECK(gain(4) > 70.3);
  CHECK(gain(4) < 110);
}

TEST_CASE("c4: collisions at the ports alone leave the worst pair half its bandwidth", "[cpu]") {
  Traffic t = traffic({.groups = 1, .uplinks = 1, .jobs = "ring"}, 2);
  t.shape.nvlink = 1000 * kernels::kRateUnits;
  const Policy ecmp = drawn(t, Routing::hashed, {}, 1, 50);
  CHECK(ecmp.weighted.mean == 200);  // in every draw one of 128 pairs has both on one port
  CHECK(ecmp.even.least == 200);
  CHECK(drawn(t, Routing::ports, {}, 1, 1).even.mean == 400);
}

TEST_CASE("c4: the gain vanishes when the plan is shuffled", "[cpu]") {
  const Traffic t = traffic({}, 8);
  const auto plan = kernels::plan_paths(t);
  const double ecmp = drawn(t, Routing::hashed, {}, 1, 100).weighted.mean,
               control = shuffled(t, plan, 1, 50).weighted.mean;
  CHECK(std::abs(control / ecmp - 1) < 0.15);
  CHECK(planned(t, plan).weighted.mean >
        1.35 * control);  // same ports at both ends outlive the shuffle: a little better than ECMP
}

TEST_CASE("c4: after a failure a dynamic plan nearly keeps the cap, a static one loses a fifth or more",
          "[cpu]") {
  for (const int q : {2, 4, 8}) {
    const Traffic whole = traffic({}, q), failed = traffic({.failures = 1}, q);
    const auto plan = kernels::plan_paths(whole);
    const double fixed = drawn(failed, Routing::planned, plan, 1, 50).slowest_even.mean;
    const double dynamic = planned(failed, kernels::replan_paths(failed, plan)).slowest_weighted.mean;
    INFO("q = " << q << ": " << fixed << " to " << dynamic);
    CHECK(fixed <= 0.8 * 362);
    CHECK(dynamic >= 300);
    CHECK(kernels::spray_busbw(failed)[0] <= 362);
  }
}

TEST_CASE("c4: the slowest pair is what counts: a mean over pairs would hide the collisions", "[cpu]") {
  const Traffic t = traffic({.jobs = "ring"}, 4);
  const auto paths = kernels::trial_paths(t, Routing::hashed, {}, 1, 0);
  const auto rates = kernels::fill_rates<double>(t, paths).rates;
  double sum = 0;
  for (const double rate : rates) sum += gbps(rate);
  const double mean_pair = sum / (t.shape.pairs * t.shape.rails);
  CHECK(gbps(kernels::busbw<double>(t, rates).weighted[0]) < 0.7 * mean_pair);
}

TEST_CASE("c4: downtime grows with the rate of errors, and the simulation agrees with the expectation",
          "[cpu]") {
  for (const double rate : {0.5, 2.0}) {
    for (const Operations& o : {kBefore, kAfter}) {
      const Statistics s = downtime_statistics(o, rate, 365, 3, 100);
      CHECK(std::abs(s.mean - 100 * expected_downtime(o, rate)) < 5 * s.error + 0.1);
    }
    CHECK(expected_downtime(kBefore, rate) > 5 * expected_downtime(kAfter, rate));
  }
  CHECK(expected_downtime(kBefore, 2) > expected_downtime(kBefore, 0.5));
  CHECK(step_time(0, 100, 362) == 1);
  CHECK(step_time(0.5, 181, 362) == Approx(1.5));
}

TEST_CASE("c4: with 64 ranks the card's threshold raises alarms without a fault, the safe one doesn't",
          "[cpu]") {
  const bench::testing::TemporaryFolder folder;
  datasets::Store store(folder.path());
  const auto load_factor = [&](double factor) {
    return datasets::read_collective_delays(
        *store
             .open(datasets::collective_delays_definition,
                   datasets::collective_delays(64, 70, 16, factor, "all", 101))
             .reader);
  };
  const CollectiveDelays quiet = load_factor(1), faults = load_factor(3);
  Score card, safe, found;
  card.add(quiet, localise<float>(quiet, kCardHot).verdict);
  safe.add(quiet, localise<float>(quiet, kSafeHot).verdict);
  found.add(faults, localise<float>(faults, kSafeHot).verdict);
  CHECK(card.alarms() > 0.01);
  CHECK(safe.alarms() == 0);
  for (std::size_t fault = 0; fault < kFaults; ++fault) CHECK(found.recall(fault) == 1);
}

TEST_CASE("c4: a score knows a wrong place and a false alarm", "[cpu]") {
  CollectiveDelays d{.ranks = 4, .windows = 3};
  d.truth = {3, 1, 2, 1, 2, -1, 0, -1, -1};
  Score right, wrong;
  right.add(d, std::vector<std::int32_t>{3, 1, 2, 1, 1, 2, -1, 1, 0, -1, -1, 0});
  wrong.add(d, std::vector<std::int32_t>{3, 2, 1, 1, 2, -1, 2, 1, 3, 0, 1, 1});
  CHECK(right.recall(3) == 1);
  CHECK(right.precision(1) == 1);
  CHECK(right.alarms() == 0);
  CHECK(wrong.recall(3) == 0);
  CHECK(wrong.recall(1) == 0);
  CHECK(wrong.precision(3) == 0);
  CHECK(wrong.alarms() == 1);
}

}  // namespace remeasure::experiments
