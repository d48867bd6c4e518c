// SPDX-License-Identifier: Apache-2.0
#include "kernels/systems/delay_localise.h"

#include <testing/catch.h>
#include <cstring>

#include "kernels/device/philox.h"
#include "kernels/device/testing/test_bench.h"
#include "kernels/simt/engine.h"
#include "kernels/simt/operation_counts.h"
#include "kernels/systems/delay_localise_reference.h"

using namespace remeasure;
using namespace remeasure::kernels;
using remeasure::testing::TestBench;

namespace {

struct Log {
  DelayShape shape;
  std::vector<float> delay, wait;
  std::vector<std::int32_t> entered, finished;

  std::size_t at(int window, int k, int rank) const {
    return (static_cast<std::size_t>(window) * static_cast<std::size_t>(shape.collectives) +
            static_cast<std::size_t>(k)) *
               static_cast<std::size_t>(shape.ranks) +
           static_cast<std::size_t>(rank);
  }
  /// Multiplies the delays of a source (-1: all) to a destination (-1: all).
  void slow(int window, int source, int destination, float factor) {
    for (int k = 0; k < shape.collectives; ++k) {
      for (int s = 0; s < shape.ranks; ++s) {
        for (int d = 0; d < shape.ranks; ++d) {
          if ((source < 0 || s == source) && (destination < 0 || d == destination)) {
            delay[at(window, k, s) * static_cast<std::size_t>(shape.ranks) + static_cast<std::size_t>(d)] *=
                factor;
          }
        }
      }
    }
  }
};

/// Delays between 18 and 22, waits between 4 and 6, everyone in step.
Log quiet(int windows, int collectives, int ranks, bool ring = false) {
  Log log{.shape = {.windows = windows, .collectives = collectives, .ranks = ranks, .ring = ring},
          .delay = {},
          .wait = {},
          .entered = {},
          .finished = {}};
  const auto numbers = static_cast<std::size_t>(windows * collectives * ranks);
  for (std::size_t i = 0; i < numbers; ++i) {
    const int rank = static_cast<int>(i) % ranks, k = static_cast<int>(i) / ranks % collectives;
    for (int d = 0; d < ranks; ++d) {
      const float u = uniform_float(philox(1, i, static_cast<std::uint64_t>(d)).word[0]);
      log.delay.push_back(log.shape.sends(rank, d) ? 18 + 4 * u : 0);
    }
    log.wait.push_back(4 + 2 * uniform_float(philox(2, i).word[0]));
    log.entered.push_back(100 + k);
    log.finished.push_back(100 + k);
  }
  return log;
}

struct Found {
  std::vector<float> mean;
  std::vector<std::int32_t> verdict;
  bool operator==(const Found&) const = default;
};

template <class Target>
Found run(TestBench<Target>& bench, const Log& log) {
  const auto delay = bench.upload(log.delay), wait = bench.upload(log.wait);
  const auto entered = bench.upload(log.entered), finished = bench.upload(log.finished);
  auto mean = bench.template output<float>(static_cast<std::size_t>(log.shape.windows * log.shape.cells()));
  auto verdict =
      bench.template output<std::int32_t>(static_cast<std::size_t>(log.shape.windows * kDelayVerdict));
  delay_localise<Target>(bench.stream(), log.shape, {delay, wait, entered, finished}, mean, verdict);
  return {bench.download(mean), bench.download(verdict)};
}

template <class Scalar>
std::vector<std::int32_t> reference(const Log& log, std::vector<Scalar>& mean) {
  mean.resize(static_cast<std::size_t>(log.shape.windows * log.shape.cells()));
  std::vector<std::int32_t> verdict(static_cast<std::size_t>(log.shape.windows * kDelayVerdict));
  delay_localise_reference<Scalar>(log.shape, log.delay, log.wait, log.entered, log.finished, mean, verdict,
                                   1);
  return verdict;
}

using Verdict = std::vector<std::int32_t>;
Verdict verdict_of(const std::vector<std::int32_t>& all, int window) {
  const auto first = all.begin() + window * kDelayVerdict;
  return {first, first + kDelayVerdict};
}

/// One window for each rule.
Log with_faults(int collectives, int ranks, bool ring = false) {
  Log log = quiet(9, collectives, ranks, ring);
  log.slow(1, 2, -1, 3);
  log.slow(2, -1, 1, 3);
  log.slow(3, 0, 1, 3);
  for (int k = 0; k < collectives; ++k) log.wait[log.at(4, k, ranks - 1)] = 0;
  for (int k = 1; k < collectives; ++k) {
    for (int r = 0; r < ranks; ++r) {
      log.entered[log.at(5, k, r)] = r == 1 ? 100 : 101;
      log.finished[log.at(5, k, r)] = 100;
      log.entered[log.at(6, k, r)] = 101;
      log.finished[log.at(6, k, r)] = r == 2 ? 100 : 101;
    }
  }
  log.slow(6, ranks - 2, ranks - 1, 4);
  // Behind by one throughout, but not standing still: no hang.
  for (int k = 0; k < collectives; ++k) --log.entered[log.at(7, k, 0)];
  // A row that is hot in less than 80 % of its cells is links; the hottest is blamed.
  for (int d = 0; d < ranks / 2; ++d) log.slow(8, ranks - 1, d, 3 + static_cast<float>(d));
  return log;
}

}  // namespace

TEST_CASE("delay_localise is the reference bit for bit, at odd sizes, on rings and for all to all",
          "[simt]") {
  for (const bool ring : {false, true}) {
    for (const auto& [collectives, ranks] : {std::pair{16, 16}, {7, 5}, {5, 33}, {16, 47}, {1, 8}}) {
      INFO(collectives << " collectives of " << ranks << (ring ? ", ring" : ""));
      const Log log = with_faults(collectives, ranks, ring);
      TestBench<Simt> bench;
      const Found found = run(bench, log);
      std::vector<float> mean;
      CHECK(found.verdict == reference<float>(log, mean));
      CHECK(found.mean == mean);
    }
  }
}

TEST_CASE("delay_localise names each fault and its place", "[simt]") {
  const Log log = with_faults(16, 20);
  TestBench<Simt> bench;
  const Found found = run(bench, log);
  CHECK(verdict_of(found.verdict, 0) == Verdict{0, -1, -1, 0});
  CHECK(verdict_of(found.verdict, 1) == Verdict{1, 2, -1, 1});
  CHECK(verdict_of(found.verdict, 2) == Verdict{2, -1, 1, 1});
  CHECK(verdict_of(found.verdict, 3) == Verdict{3, 0, 1, 1});
  CHECK(verdict_of(found.verdict, 4) == Verdict{4, 19, -1, 1});
  CHECK(verdict_of(found.verdict, 5) == Verdict{5, 1, -1, 1});
  CHECK(verdict_of(found.verdict, 6) == Verdict{6, 18, 19, 1});
  CHECK(verdict_of(found.verdict, 7) == Verdict{0, -1, -1, 0});
  CHECK(verdict_of(found.verdict, 8) == Verdict{3, 19, 9, 10});
  std::vector<double> mean;
  CHECK(reference<double>(log, mean) == found.verdict);
  for (std::size_t i = 0; i < mean.size(); ++i)
    REQUIRE(std::abs(mean[i] - static_cast<double>(found.mean[i])) <= 1e-6 * 200);
  // On a ring a slow rank is a slow link.
  const Found ring = run(bench, with_faults(16, 20, true));
  CHECK(verdict_of(ring.verdict, 1) == Verdict{3, 2, 3, 1});
  CHECK(verdict_of(ring.verdict, 2) == Verdict{3, 0, 1, 1});
}

TEST_CASE("a hang needs the timeout, and two that wait for nobody are no straggler", "[simt]") {
  Log log = quiet(2, 16, 8);
  for (int k = 0; k < 16; ++k) {
    log.wait[log.at(0, k, 2)] = log.wait[log.at(0, k, 5)] = 0;
    if (k >= 12) log.entered[log.at(1, k, 3)] = 111;  // the same number in five snapshots, with k = 11
  }
  TestBench<Simt> bench;
  CHECK(verdict_of(run(bench, log).verdict, 0) == Verdict{0, -1, -1, 0});
  CHECK(verdict_of(run(bench, log).verdict, 1) == Verdict{5, 3, -1, 1});
  log.shape.timeout = 5;
  CHECK(verdict_of(run(bench, log).verdict, 1) == Verdict{0, -1, -1, 0});
}

TEST_CASE("delay_localise gives the same bits under every schedule", "[simt]") {
  const Log log = with_faults(6, 21);
  TestBench<Simt> bench;
  const Found first = run(bench, log);
  for (std::uint64_t schedule = 1; schedule < 4; ++schedule) {
    bench.device().engine().set_schedule(schedule);
    CHECK(run(bench, log) == first);
  }
}

TEST_CASE("delay_localise refuses logs that don't fit", "[simt]") {
  TestBench<Simt> bench;
  Log log = quiet(1, 4, 8);
  log.wait.pop_back();
  CHECK_THROWS_WITH(run(bench, log), Catch::Matchers::ContainsSubstring("31 waits"));
  CHECK_THROWS_WITH(run(bench, quiet(1, 1, 193)), Catch::Matchers::ContainsSubstring("193 ranks"));
}

TEST_CASE("delay_localise_flops is what the kernel does", "[simt]") {
  if constexpr (!simt::kOperationsCounted) SKIP_TEST("this compiler's assembly isn't counted");
  for (const int ranks : {16, 40}) {
    const Log log = quiet(3, 16, ranks);
    TestBench<Simt> bench;
    run(bench, log);
    const double counted =
        static_cast<double>(bench.device().engine().counts("delay_localise")[simt::Counter::scalar_flops]);
    CHECK(counted == Approx(3 * delay_localise_flops(log.shape)).epsilon(0.02));
  }
}

TEST_CASE("delay_localise gives the reference's bits on a GPU", "[gpu]") {
  if (Device<Cuda>::count() == 0) SKIP_TEST(Device<Cuda>::why_not());
  remeasure::testing::on_gpu([](auto& bench) {
    const Log log = with_faults(16, 64);
    std::vector<float> mean;
    const auto verdict = reference<float>(log, mean);
    const Found found = run(bench, log);
    CHECK(found.verdict == verdict);
    CHECK(found.mean == mean);
  });
}
