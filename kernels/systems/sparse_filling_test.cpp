// SPDX-License-Identifier: Apache-2.0
#include "kernels/systems/sparse_filling.h"

#include <testing/catch.h>
#include <cmath>

#include "kernels/systems/ecmp_trials_reference.h"
#include "kernels/systems/testing/traffic_problem.h"

using namespace remeasure;
using namespace remeasure::kernels;
using namespace remeasure::kernels::testing;
using remeasure::testing::TestBench;

namespace {

/// A round's vectors; the two products are plain loops here.
struct Vectors {
  std::vector<float> count, full, hits, active;
  std::vector<double> residual, least, step, rate;
};

}  // namespace

TEST_CASE("filling by products is the oracle, step by step on a device", "[simt]") {
  const Traffic t = traffic_of({.nodes = 6, .groups = 3, .uplinks = 5, .qps = 3, .rails = 2, .ring = false});
  const ClosShape& s = t.shape;
  constexpr int kTrials = 2;
  const int systems = kTrials * s.rails;
  std::vector<std::array<int, 4>> links;  // [trial, rail, pair, qp]
  std::vector<double> exact;
  std::vector<std::int64_t> jobs_even, jobs_weighted;
  for (std::uint32_t trial = 0; trial < kTrials; ++trial) {
    const auto paths = trial_paths(t, Routing::hashed, {}, 4, trial);
    const auto filling = fill_rates<std::int64_t>(t, paths);
    const auto jobs = busbw<std::int64_t>(t, filling.rates);
    jobs_even.insert(jobs_even.end(), jobs.even.begin(), jobs.even.end());
    jobs_weighted.insert(jobs_weighted.end(), jobs.weighted.begin(), jobs.weighted.end());
    for (int rail = 0; rail < s.rails; ++rail) {
      for (int pair = 0; pair < s.pairs; ++pair) {
        for (int qp = 0; qp < s.qps; ++qp) {
          const auto flow = static_cast<std::size_t>(s.flow(pair, rail, qp));
          auto of_flow = links_of(t, pair, FlowPath::of(paths[flow]));
          for (int& link : of_flow)
            link = link < 0 ? -1 : link + (static_cast<int>(trial) * s.rails + rail) * s.rail_links();
          links.push_back(of_flow);
          exact.push_back(static_cast<double>(filling.rates[flow]));
        }
      }
    }
  }
  const std::size_t all_links = static_cast<std::size_t>(kTrials * s.links());
  Vectors v{std::vector<float>(all_links),
            std::vector<float>(all_links),
            std::vector<float>(links.size()),
            std::vector<float>(links.size(), 1.0f),
            {},
            std::vector<double>(static_cast<std::size_t>(systems)),
            std::vector<double>(links.size()),
            std::vector<double>(links.size())};
  for (int trial = 0; trial < kTrials; ++trial)
    v.residual.insert(v.residual.end(), t.capacity.begin(), t.capacity.end());
  const auto for_links = [&](auto visit) {
    for (std::size_t f = 0; f < links.size(); ++f) {
      for (const int link : links[f]) {
        if (link >= 0) visit(f, static_cast<std::size_t>(link));
      }
    }
  };
  TestBench<Simt> bench;
  int rounds = 0;
  for (;; ++rounds) {
    REQUIRE(rounds < 200);
    std::fill(v.count.begin(), v.count.end(), 0.0f);
    for_links([&](std::size_t f, std::size_t l) { v.count[l] += v.active[f]; });
    const auto count = bench.upload(v.count);
    const auto residual = bench.upload(v.residual);
    auto least = bench.output<double>(v.least.size());
    auto full = bench.output<float>(all_links);
    filling_shares<Simt>(bench.stream(), systems, s.rail_links(), count, residual, least, full);
    v.full = bench.download(full);
    v.least = bench.download(least);
    if (std::all_of(v.least.begin(), v.least.end(), [](double share) { return std::isinf(share); })) break;
    std::fill(v.hits.begin(), v.hits.end(), 0.0f);
    for_links([&](std::size_t f, std::size_t l) { v.hits[f] += v.full[l]; });
    const auto hits = bench.upload(v.hits);
    auto active = bench.upload(v.active);
    auto step = bench.upload(v.step), rate = bench.upload(v.rate);
    filling_freeze<Simt>(bench.stream(), systems, s.rail_flows(), hits, least, active, step, rate);
    v.active = bench.download(active);
    v.step = bench.download(step);
    v.rate = bench.download(rate);
    for_links([&](std::size_t f, std::size_t l) { v.residual[l] -= v.step[f]; });
  }
  CHECK(rounds > 2);
  CHECK(v.rate == exact);
  const auto job = bench.upload(t.job);
  const auto rate = bench.upload(v.rate);
  auto even = bench.output<std::uint32_t>(jobs_even.size()),
       weighted = bench.output<std::uint32_t>(jobs_even.size());
  filling_busbw<Simt>(bench.stream(), s, kTrials, job, rate, even, weighted);
  const auto got_even = bench.download(even), got_weighted = bench.download(weighted);
  for (std::size_t j = 0; j < jobs_even.size(); ++j) {
    CHECK(got_even[j] == jobs_even[j]);
    CHECK(got_weighted[j] == jobs_weighted[j]);
  }
  CHECK_THROWS_WITH(filling_busbw<Simt>(bench.stream(), s, kTrials + 1, job, rate, even, weighted),
                    Catch::Matchers::ContainsSubstring("filling_busbw"));
}
