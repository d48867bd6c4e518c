// SPDX-License-Identifier: Apache-2.0
#include "reports/compare.h"

#include <testing/catch.h>
#include <algorithm>
#include <cmath>
#include <cstdint>

#include "reports/sample_records.h"

namespace remeasure::reports {
namespace {

using samples::time_of;

Evidence one_run(const TimeResult& time, bool on_cpu = false) {
  return {{time.seconds}, {}, quartile_deviation(time.samples), on_cpu};
}
Judgement compare_times(const TimeResult& before, const TimeResult& after) {
  return reports::compare_times(one_run(before), one_run(after));
}
Judgement compare_speedups(const Estimate& before, const Estimate& after) {
  return reports::compare_times(Evidence{{inverse(before)}}, Evidence{{inverse(after)}});
}

bool near(double a, double b) {
  return std::abs(a - b) < 1e-9;
}

/// Several runs with a tight interval each.
Evidence runs_of(const std::vector<double>& medians, const std::vector<double>& relative = {},
                 double width = 0.005) {
  Evidence evidence{{}, relative, 0, true};
  for (const double it : medians) evidence.runs.push_back({it, it * (1 - width), it * (1 + width)});
  return evidence;
}

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
  double normal() {
    return std::sqrt(-2 * std::log(1 - uniform())) * std::cos(6.283185307179586 * uniform());
  }

 private:
  std::uint64_t state_;
};

/// A run of 31 samples with log-normal noise; the interval is that of the median by order statistics (10th,
/// 22nd).
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
            compare_times(simulated(random, 1e-3, noise, drift), simulated(random, 1e-3, noise, drift))
                .outcome;
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
    found += compare_times(simulated(random, 1e-3, 0.02, 0), simulated(random, 1.1e-3, 0.02, 0)).outcome ==
             Outcome::worse;
  }
  CHECK(found >= 990);
}

TEST_CASE("a speedup that fell is worse", "[cpu]") {
  CHECK(compare_speedups({2, 1.99, 2.01}, {2, 1.99, 2.01}).outcome == Outcome::same);
  CHECK(compare_speedups({2, 1.99, 2.01}, {1.8, 1.79, 1.81}).outcome == Outcome::worse);
  CHECK(compare_speedups({2, 1.99, 2.01}, {2.2, 2.19, 2.21}).outcome == Outcome::better);
  CHECK(compare_speedups({2, 1.8, 2.2}, {1.8, 1.6, 2.0}).outcome == Outcome::unclear);
}

TEST_CASE("the shift of two samples is the median quotient, its interval by the ranks of Mann and Whitney",
          "[cpu]") {
  const Estimate shift = shift_between({1, 1, 1, 1, 1}, {1.01, 1.02, 1.03, 1.04, 1.05});
  CHECK(near(shift.median, 1.03));
  // 5 against 5: 2 of the 25 quotients are left out at either end (tables: critical U is 2); each occurs five
  // times.
  CHECK(near(shift.low, 1.01));
  const Estimate spread = shift_between({1, 1.1, 1.21, 1.331, 1.4641}, {1, 1.1, 1.21, 1.331, 1.4641});
  CHECK(near(spread.median, 1));
  CHECK(near(spread.high, std::pow(1.1, 3)));  // quotients 1.1^4 once, 1.1^3 twice
  CHECK(near(spread.low, std::pow(1.1, -3)));
  // 3 against 3: nothing can be left out.
  CHECK(near(shift_between({1, 2, 4}, {1, 2, 4}).high, 4));
}

TEST_CASE("one run on a CPU proves no ten percent, several runs do", "[cpu]") {
  const TimeResult before = time_of(1e-3), after = time_of(1.1e-3);
  CHECK(reports::compare_times(one_run(before, true), one_run(after, true)).outcome == Outcome::unclear);
  CHECK(reports::compare_times(one_run(before, true), one_run(time_of(1.7e-3), true)).outcome ==
        Outcome::worse);
  const std::vector<double> fast = {1.00, 1.02, 0.99, 1.01, 1.03}, slow = {1.10, 1.12, 1.09, 1.11, 1.13};
  CHECK(reports::compare_times(runs_of(fast), runs_of(slow)).outcome == Outcome::worse);
  CHECK(reports::compare_times(runs_of(slow), runs_of(fast)).outcome == Outcome::better);
  CHECK(reports::compare_times(runs_of(fast), runs_of(fast)).outcome == Outcome::same);
  // Two runs aren't several.
  CHECK(reports::compare_times(runs_of({1, 1.01}), runs_of({1.1, 1.11})).outcome == Outcome::unclear);
}

TEST_CASE("runs that differ by more than the shift, or don't know their medians, prove nothing", "[cpu]") {
  CHECK(reports::compare_times(runs_of({1, 1.4, 1, 1.4, 1.2}), runs_of({1.1, 1.5, 1.1, 1.5, 1.3})).outcome ==
        Outcome::unclear);
  const std::vector<double> fast = {1.00, 1.02, 0.99, 1.01, 1.03}, slow = {1.10, 1.12, 1.09, 1.11, 1.13};
  CHECK(reports::compare_times(runs_of(fast, {}, 0.2), runs_of(slow, {}, 0.2)).outcome == Outcome::unclear);
}

TEST_CASE("what hits all variants of a case alike is the machine", "[cpu]") {
  const std::vector<double> fast = {1.00, 1.02, 0.99, 1.01, 1.03}, slow = {1.10, 1.12, 1.09, 1.11, 1.13};
  const std::vector<double> level = {0.50, 0.51, 0.50, 0.49, 0.50}, up = {0.55, 0.56, 0.55, 0.54, 0.55};
  CHECK(reports::compare_times(runs_of(fast, level), runs_of(slow, level)).outcome == Outcome::unclear);
  CHECK(reports::compare_times(runs_of(fast, level), runs_of(slow, up)).outcome == Outcome::worse);
  CHECK(reports::compare_times(runs_of({1}, {0.5}), runs_of({2}, {0.5})).outcome == Outcome::unclear);
  CHECK(reports::compare_times(runs_of({1}, {0.5}), runs_of({2}, {1.0})).outcome == Outcome::worse);
}

TEST_CASE("times of a busy machine are neither same nor better nor worse", "[cpu]") {
  Evidence busy = runs_of({1}), calm = runs_of({1}), slow = runs_of({9});
  busy.disturbed = "others kept 1.3 of 2 cores busy";
  CHECK(reports::compare_times(calm, slow).outcome == Outcome::worse);
  for (const Judgement& it : {reports::compare_times(busy, slow), reports::compare_times(slow, busy),
                              reports::compare_times(busy, calm)}) {
    CHECK(it.outcome == Outcome::unclear);
    CHECK(it.note == busy.disturbed);
  }
  // What three runs differ in is known.
  Evidence many = runs_of({1, 1.01, 0.99}), more = runs_of({9, 9.1, 8.9});
  more.disturbed = busy.disturbed;
  CHECK(reports::compare_times(many, more).outcome == Outcome::worse);
  CHECK(reports::compare_times(many, busy).outcome == Outcome::unclear);
}

TEST_CASE("ten percent between five noisy runs is found, and nothing where there is nothing", "[cpu]") {
  Random random(3);
  int found = 0, wrong = 0;
  constexpr int kTrials = 2000;
  for (int i = 0; i < kTrials; ++i) {
    std::vector<double> before, again, slower;
    for (int run = 0; run < 5; ++run) {
      before.push_back(std::exp(0.03 * random.normal()));
      again.push_back(std::exp(0.03 * random.normal()));
      slower.push_back(1.1 * std::exp(0.03 * random.normal()));
    }
    found += reports::compare_times(runs_of(before), runs_of(slower)).outcome == Outcome::worse;
    const Outcome outcome = reports::compare_times(runs_of(before), runs_of(again)).outcome;
    wrong += outcome == Outcome::worse || outcome == Outcome::better;
  }
  CHECK(found >= 0.95 * kTrials);
  CHECK(wrong <= 0.035 * kTrials);  // the interval's own 5 %, less those below 3 %
}

TEST_CASE("peaks of several threads are compared as ranges", "[cpu]") {
  CHECK(compare_bytes(ByteRange{32e3, 64e3}, ByteRange{16e3, 32e3}).outcome == Outcome::unclear);
  CHECK(compare_bytes(ByteRange{32e3, 64e3}, ByteRange{40e3, 64e3}).outcome == Outcome::same);
  CHECK(compare_bytes(ByteRange{32e3, 64e3}, ByteRange{70e3, 140e3}).outcome == Outcome::worse);
  CHECK(compare_bytes(ByteRange{70e3, 140e3}, ByteRange{32e3, 64e3}).outcome == Outcome::better);
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
