// SPDX-License-Identifier: Apache-2.0
#include <testing/catch.h>
#include <cmath>

#include "baselines/systems/delay_means.h"
#include "baselines/systems/sparse_filling.h"
#include "kernels/device/testing/test_bench.h"
#include "kernels/systems/ecmp_trials_reference.h"
#include "kernels/systems/testing/traffic_problem.h"

using namespace remeasure;
using namespace remeasure::baselines;
using namespace remeasure::kernels::testing;
using kernels::DelayShape;
using kernels::Routing;
using kernels::Traffic;

namespace {

struct Busbw {
  std::vector<std::uint32_t> even, weighted;
  bool operator==(const Busbw&) const = default;
};

constexpr int kTrials = 5;

Busbw room(const Traffic& t) {
  const auto size = static_cast<std::size_t>(kTrials * t.shape.jobs);
  return {std::vector<std::uint32_t>(size), std::vector<std::uint32_t>(size)};
}

Busbw oracle(const Traffic& t) {
  Busbw all;
  for (std::uint32_t trial = 0; trial < kTrials; ++trial) {
    const auto filling =
        kernels::fill_rates<std::int64_t>(t, kernels::trial_paths(t, Routing::hashed, {}, 6, trial));
    const auto jobs = kernels::busbw<std::int64_t>(t, filling.rates);
    for (const std::int64_t rate : jobs.even) all.even.push_back(static_cast<std::uint32_t>(rate));
    for (const std::int64_t rate : jobs.weighted) all.weighted.push_back(static_cast<std::uint32_t>(rate));
  }
  return all;
}

struct Delays {
  DelayShape shape;
  std::vector<float> delay;
  std::vector<double> mean, row, column;
};

Delays delays(bool ring) {
  Delays d{.shape = {.windows = 3, .collectives = 7, .ranks = 9, .ring = ring},
           .delay = {},
           .mean = {},
           .row = {},
           .column = {}};
  d.mean.resize(3 * 81), d.row.resize(27), d.column.resize(27);
  const double each = d.shape.transfers() / 9.0;
  for (std::size_t i = 0; i < std::size_t{3 * 7 * 81}; ++i) {
    const std::size_t window = i / (7 * 81), source = i / 9 % 9, destination = i % 9;
    const bool sent = d.shape.sends(static_cast<int>(source), static_cast<int>(destination));
    d.delay.push_back(sent ? 20 + 4 * uniform_float(philox(3, i).word[0]) : 0);
    const double part = static_cast<double>(d.delay.back()) / 7;
    d.mean[window * 81 + i % 81] += part;
    d.row[window * 9 + source] += part / each;
    d.column[window * 9 + destination] += part / each;
  }
  return d;
}

bool close(const std::vector<float>& values, const std::vector<double>& exact) {
  bool all = values.size() == exact.size();
  for (std::size_t i = 0; all && i < exact.size(); ++i)
    all = std::abs(static_cast<double>(values[i]) - exact[i]) <= 1e-5 * 24;
  return all;
}

}  // namespace

TEST_CASE("Eigen's filling by sparse products is the oracle, dead cables and crossed ports included",
          "[cpu]") {
  for (const Cluster& cluster : {Cluster{.qps = 4, .ring = false},
                                 Cluster{.nodes = 6, .groups = 3, .uplinks = 5, .qps = 7, .rails = 3}}) {
    Traffic t = traffic_of(cluster);
    kernels::fail(t, std::vector<kernels::DeadCable>{{0, 1, 0, 2}});
    Busbw found = room(t);
    eigen_filling(t, Routing::hashed, {}, 6, kTrials, found.even, found.weighted);
    CHECK(found == oracle(t));
  }
}

TEST_CASE("the incidence matrix has the links of each flow, its transpose the flows of each link", "[cpu]") {
  const Traffic t = traffic_of({.nodes = 4, .groups = 2, .uplinks = 2, .qps = 2, .rails = 2});
  const auto paths = kernels::plan_paths(t);
  const Incidence flows = flow_links(t, paths, 1), links = transposed(flows);
  CHECK(flows.rows == t.shape.flows());
  CHECK(flows.column_indices.size() == 4 * paths.size());
  CHECK(links.rows == t.shape.links());
  CHECK(links.row_pointers.back() == flows.row_pointers.back());
  const Incidence again = transposed(links);
  CHECK(again.row_pointers == flows.row_pointers);
  CHECK(again.column_indices == flows.column_indices);
}

TEST_CASE("Eigen's means of delays are the plain ones", "[cpu]") {
  for (const bool ring : {false, true}) {
    const Delays d = delays(ring);
    std::vector<float> mean(d.mean.size()), row(d.row.size()), column(d.column.size());
    eigen_delay_means(d.shape, d.delay, mean, row, column);
    CHECK(close(mean, d.mean));
    CHECK(close(row, d.row));
    CHECK(close(column, d.column));
  }
}

TEST_CASE("On a GPU cuSPARSE's filling is the oracle, and cuBLAS's means are the plain ones", "[gpu]") {
  if (Device<Cuda>::count() == 0) SKIP_TEST(Device<Cuda>::why_not());
  if constexpr (kBuiltWithCuda) {
    remeasure::testing::on_gpu([](auto& bench) {
      const Traffic t = traffic_of({.qps = 4, .ring = false});
      std::vector<std::uint16_t> paths;
      for (std::uint32_t trial = 0; trial < kTrials; ++trial) {
        const auto one = kernels::trial_paths(t, Routing::hashed, {}, 6, trial);
        paths.insert(paths.end(), one.begin(), one.end());
      }
      Busbw found = room(t);
      auto even = bench.template output<std::uint32_t>(found.even.size()),
           weighted = bench.template output<std::uint32_t>(found.even.size());
      CusparseFilling filling(bench.stream(), t, paths, kTrials);
      filling(even, weighted);
      filling(even, weighted);
      CHECK(Busbw{bench.download(even), bench.download(weighted)} == oracle(t));
      CHECK_FALSE(filling.setting().empty());
      const Delays d = delays(false);
      const auto delay = bench.upload(d.delay);
      auto mean = bench.template output<float>(d.mean.size()),
           row = bench.template output<float>(d.row.size()),
           column = bench.template output<float>(d.column.size());
      CublasDelayMeans means(bench.stream(), d.shape);
      means(delay, mean, row, column);
      CHECK(close(bench.download(mean), d.mean));
      CHECK(close(bench.download(row), d.row));
      CHECK(close(bench.download(column), d.column));
    });
  }
}
