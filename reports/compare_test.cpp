// SPDX-License-Identifier: Apache-2.0
#include "reports/compare.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <testing/catch.h>

#include "reports/sample_records.h"

namespace remeasure::reports {
namespace {

using samples::time_of;

/// A small generator, so that the simulated runs are the same on every machine (splitmix64).
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  double uniform() {
    std::uint64_t z = (state_ += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return static_cast<double>((z ^ (z >> 31)) >> 11) * 0x1p-53;
  }
  double normal() { return std::sqrt(-2 * std::log(1 - uniform())) * std::cos(6.283185307179586 * uniform()); }

 private:
  std::uint64_t state_;
};

/// A run of 31 samples with log-normal noise; the interval is that of the median by order statistics (10th, 22nd).
TimeResult simulated(Random& random, double seconds, double noise, double drift) {
  TimeResult time;
  const double shift = drift * random.normal();
  for (int i = 0; i < 31; ++i) {
    time.samples.push_back(seconds * std::exp(shift + noise * random.normal()));
  }
  std::vector<double> sorted = time.samples;
  std::sort(sorted.begin(), sorted.end());
  time.seconds = {sorted[15], sorted[9], sorted[21]};
  return time;
}

TEST_CASE("identical times are the same, a tight ten percent is worse, and better the other way", "[cpu]") {
  const TimeResult before = time_of(1e-3);
  CHECK(compare_times(before, before).outcome == Outcome::same);
  CHECK(compare_times(before, time_of(1.1e-3)).outcome == Outcome::worse);
  CHECK(compare_times(before, time_of(0.9e-3)).outcome == Outcome::better);
  CHECK(compare_times(before, time_of(1.02e-3)).outcome == Outcome::same);
  CHECK(compare_times(before, time_of(1.029e-3, 0.001)).outcome == Outcome::same);
  CHECK(compare_times(before, time_of(1.035e-3, 0.001)).outcome == Outcome::worse);
}

TEST_CASE("what noise can explain is unclear", "[cpu]") {
  // Ten percent slower, but the intervals overlap.
  CHECK(compare_times(time_of(1e-3, 0.15), time_of(1.1e-3, 0.15)).outcome == Outcome::unclear);
  // Intervals apart, but the samples of a run spread by more than the step.
  TimeResult spread = time_of(1.06e-3, 0.2);
  spread.seconds = {1.06e-3, 1.055e-3, 1.065e-3};
  CHECK(compare_times(time_of(1e-3), spread).outcome == Outcome::unclear);
  // So noisy that even equal medians prove nothing.
  CHECK(compare_times(time_of(1e-3, 0.3), time_of(1e-3, 0.3)).outcome == Outcome::unclear);
}

TEST_CASE("two runs of one binary compare as same or unclear in 99 % of the cases", "[cpu]") {
  Random random(1);
  for (const double noise : {0.002, 0.02, 0.1}) {
    for (const double drift : {0.0, 0.008}) {
      int wrong = 0;
      for (int i = 0; i < 2000; ++i) {
        const Outcome outcome =
            compare_times(simulated(random, 1e-3, noise, drift), simulated(random, 1e-3, noise, drift)).outcome;
        wrong += outcome == Outcome::worse || outcome == Outcome::better;
      }
      INFO("noise " << noise << " drift " << drift);
      CHECK(wrong <= 20);
    }
  }
}

TEST_CASE("a planted slowdown of ten percent is found where the noise allows it", "[cpu]") {
  Random random(2);
  int found = 0;
  for (int i = 0; i < 1000; ++i) {
    found += compare_times(simulated(random, 1e-3, 0.02, 0), simulated(random, 1.1e-3, 0.02, 0)).outcome == Outcome::worse;
  }
  CHECK(found >= 990);
}

TEST_CASE("a speedup that fell is worse", "[cpu]") {
  CHECK(compare_speedups({2, 1.99, 2.01}, {2, 1.99, 2.01}).outcome == Outcome::same);
  CHECK(compare_speedups({2, 1.99, 2.01}, {1.8, 1.79, 1.81}).outcome == Outcome::worse);
  CHECK(compare_speedups({2, 1.99, 2.01}, {2.2, 2.19, 2.21}).outcome == Outcome::better);
  CHECK(compare_speedups({2, 1.8, 2.2}, {1.8, 1.6, 2.0}).outcome == Outcome::unclear);
  CHECK(compare_speedups({2, 0, 4}, {2, 1, 4}).outcome == Outcome::unclear);
}

TEST_CASE("an error counts as grown beyond a factor of two and near its limit", "[cpu]") {
  const auto error = [](double value, double limit) {
    Accuracy it;
    it.value = value;
    it.limit = limit;
    it.passed = value <= limit;
    return it;
  };
  CHECK(compare_accuracy(error(3e-3, 1e-2), error(3e-3, 1e-2)).outcome == Outcome::same);
  CHECK(compare_accuracy(error(3e-3, 1e-2), error(5e-3, 1e-2)).outcome == Outcome::same);
  CHECK(compare_accuracy(error(3e-3, 1e-2), error(7e-3, 1e-2)).outcome == Outcome::worse);
  CHECK(compare_accuracy(error(7e-3, 1e-2), error(3e-3, 1e-2)).outcome == Outcome::better);
  CHECK(compare_accuracy(error(1e-9, 1e-2), error(9e-4, 1e-2)).outcome == Outcome::same);
  CHECK(compare_accuracy(error(0, 1e-2), error(2e-3, 1e-2)).outcome == Outcome::worse);
  CHECK(compare_accuracy(error(3e-3, 1e-2), error(3e-3, 2e-2)).outcome == Outcome::worse);
}

TEST_CASE("bytes and metrics have their own thresholds", "[cpu]") {
  CHECK(compare_bytes(1000, 1030).outcome == Outcome::same);
  CHECK(compare_bytes(1000, 1031).outcome == Outcome::worse);
  CHECK(compare_bytes(1000, 900).outcome == Outcome::better);
  CHECK(compare_bytes(1000, 2000, 0.03, 4096).outcome == Outcome::same);
  CHECK(compare_bytes(0, 4, 0).outcome == Outcome::worse);

  Metric before;
  before.value = 0.8;
  Metric after = before;
  before.exact = after.exact = true;
  CHECK(compare_metrics(before, after, false).outcome == Outcome::same);
  after.value = std::nextafter(0.8, 1);
  CHECK(compare_metrics(before, after, false).outcome == Outcome::worse);
  before.exact = after.exact = false;
  before.tolerance = 0.01;
  after.value = 0.807;
  CHECK(compare_metrics(before, after, false).outcome == Outcome::same);
  after.value = 0.81;
  CHECK(compare_metrics(before, after, false).outcome == Outcome::worse);
  before.error = after.error = 0.003;
  CHECK(compare_metrics(before, after, false).outcome == Outcome::same);
  before.tolerance = 0;
  after.value = 0.9;
  CHECK(compare_metrics(before, after, true).outcome == Outcome::unclear);
}

TEST_CASE("the quartile deviation ignores a few wild samples", "[cpu]") {
  CHECK(quartile_deviation({1, 1, 1, 1, 1, 100}) == 0);
  CHECK(quartile_deviation({1, 2, 3}) == 0);
  CHECK(std::abs(quartile_deviation({1, 2, 3, 4, 5}) - 1.0 / 3) < 1e-12);
}

}  // namespace
}  // namespace remeasure::reports
