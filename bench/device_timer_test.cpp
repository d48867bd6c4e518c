// SPDX-License-Identifier: Apache-2.0
#include "bench/device_timer.h"

#include <testing/catch.h>

#include <algorithm>
#include <set>
#include <stdexcept>
#include <string>

#include "bench/fake_gpu.h"
#include "bench/run_case.h"
#include "bench/statistics.h"

using namespace remeasure::bench;
using Catch::Matchers::ContainsSubstring;
using remeasure::bench::testing::FakeDevice;

namespace {

/// Launches "a0", "a1", "a2" for the three sets of variant a.
DeviceSubject subject(FakeDevice& device, const std::string& name, double seconds) {
  DeviceSubject result;
  result.name = name;
  result.sets = 3;
  result.launch = [&device, name, seconds](std::size_t set) {
    device.work(name + std::to_string(set), seconds);
  };
  result.before_sample = [&device] {
    device.log += "p";
    device.clock_now += 1e-3;
  };
  result.rule = {.min_samples = 4, .min_seconds = 0, .width = 1};
  return result;
}

/// What was done up to the pause before the first batch: warm-up and cold samples.
std::string cold_part(const FakeDevice& device) {
  return device.log.substr(0, device.log.find('z'));
}

std::size_t count(const std::string& text, const std::string& what) {
  std::size_t found = 0;
  for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++found;
  return found;
}

const ModeSampling* mode(const DeviceSampling& sampling, const std::string& name) {
  for (const ModeSampling& one : sampling.others) {
    if (one.mode == name) return &one;
  }
  return nullptr;
}

}  // namespace

TEST_CASE(
    "a cold sample has its eleven steps in order; variants are warmed up alike, interleaved, and close on "
    "set 0",
    "[cpu]") {
  FakeDevice device;
  const auto samplings =
      sample_on_device(device, {subject(device, "a", 1e-3), subject(device, "b", 2e-3)}, {});
  const std::string warm = "a0wa1wa2wb0wb1wb2w";
  const auto sample = [](const std::string& launch) { return "pRFwB(" + launch + ")UCw"; };
  std::string rounds;
  for (const char* set : {"0", "1", "2", "0"})
    rounds += sample(std::string("a") + set) + sample(std::string("b") + set);
  CHECK(cold_part(device) == warm + rounds + sample("a0") + sample("b0"));
  REQUIRE(samplings.size() == 2);
  CHECK(samplings[0].samples.size() == 5);
  for (const double seconds : samplings[0].samples)
    CHECK(std::abs(seconds - 1e-3) < 1e-12);  // no flush, no poison in it
  for (const double seconds : samplings[1].samples) CHECK(std::abs(seconds - 2e-3) < 1e-12);
  CHECK_THAT(samplings[0].stop_reason, ContainsSubstring("precise"));
  CHECK_THAT(samplings[0].cache, ContainsSubstring("flushed"));
  CHECK(samplings[0].before.sm_mhz == 1980.0);
  CHECK(samplings[0].after.sm_mhz == 1980.0);
}

TEST_CASE("no cold launch finds its data in the cache", "[cpu]") {
  FakeDevice device;
  DeviceSubject one = subject(device, "a", 1e-3);
  std::size_t warm = 0, launches = 0;
  one.launch = [&](std::size_t) {
    if (device.blocked) {
      ++launches;
      if (device.cached) ++warm;
    }
    device.work("a", 3e-3);
  };
  const auto samplings = sample_on_device(device, {one}, {});
  // Launches of the hot mode are warm: that is what it is for.
  const std::size_t cold = samplings[0].samples.size();
  REQUIRE(mode(samplings[0], "hot") != nullptr);
  CHECK(launches - warm == cold);
}

TEST_CASE(
    "inputs larger than three times L2 rotate instead of being flushed; the closing sample is poisoned and "
    "flushed",
    "[cpu]") {
  CHECK(plan_cache(3, 1000, 1000).flush);  // together exactly 3 x L2
  CHECK_FALSE(plan_cache(3, 1001, 1000).flush);
  CHECK(plan_cache(2, 100'000, 1000).flush);  // two sets alternate: each is still there at its next turn
  CHECK(plan_cache(3, 100'000, 0).flush);     // an L2 of unknown size
  CHECK_THAT(plan_cache(3, 1001, 1000).words, ContainsSubstring("rotated: 3 sets of 1001 bytes"));
  FakeDevice device;
  DeviceSubject large = subject(device, "a", 1e-3);
  large.set_bytes = 5000;
  const auto samplings = sample_on_device(device, {large}, {});
  const std::string rotated = "RwB(a0)UCwRwB(a1)UCwRwB(a2)UCwRwB(a0)UCw";
  CHECK(cold_part(device) == "a0wa1wa2w" + rotated + "pRFwB(a0)UCw");
  CHECK_THAT(samplings[0].cache, ContainsSubstring("rotated"));
}

TEST_CASE(
    "a launch that waits for the GPU is ended by the watchdog, with the remedy, and no other row suffers",
    "[cpu]") {
  FakeDevice device;
  std::vector<DeviceSubject> subjects{subject(device, "a", 1e-3), subject(device, "b", 1e-3)};
  subjects[0].launch = [&](std::size_t) {
    device.work("a", 1e-3);
    device.synchronise();
  };
  const auto samplings = sample_on_device(device, subjects, {});
  CHECK(device.watchdog == kWatchdogSeconds);
  CHECK_THAT(samplings[0].failure,
             ContainsSubstring("waits for the GPU") && ContainsSubstring("VariantInfo::synchronises"));
  CHECK(samplings[0].others.empty());
  CHECK(samplings[1].failure.empty());
  CHECK(samplings[1].samples.size() == 5);
  CHECK(device.clock_now < kWatchdogSeconds + 1);  // once, not for every sample
}

TEST_CASE(
    "a launch that says that it waits for the GPU is timed without the blocking kernel, and has no graph",
    "[cpu]") {
  FakeDevice device;
  DeviceSubject waiting = subject(device, "a", 5e-6);
  waiting.launch = [&](std::size_t) {
    device.work("a", 5e-6);
    device.synchronise();
  };
  waiting.synchronises = "reads its status back";
  const auto samplings = sample_on_device(device, {waiting}, {});
  CHECK(samplings[0].failure.empty());
  CHECK(count(device.log, "B") == 0);
  REQUIRE(mode(samplings[0], "graph") != nullptr);
  CHECK_THAT(mode(samplings[0], "graph")->missing, ContainsSubstring("reads its status back"));
  CHECK(device.captures == 0);
  CHECK_FALSE(mode(samplings[0], "hot")->samples.empty());
}

TEST_CASE("whatever throws between blocking and unblocking leaves the device unblocked", "[cpu]") {
  for (const bool in_block : {false, true}) {
    FakeDevice device;
    std::vector<DeviceSubject> subjects{subject(device, "a", 1e-3), subject(device, "b", 1e-3)};
    device.fail_in_block = in_block;
    subjects[0].launch = [&](std::size_t) {
      if (device.blocked) throw std::runtime_error("an illegal memory access was encountered");
    };
    const auto samplings = sample_on_device(device, subjects, {});
    CHECK_FALSE(device.blocked);
    CHECK(count(device.log, "B") == count(device.log, "U"));
    CHECK_THAT(samplings[0].failure,
               ContainsSubstring(in_block ? "blocking kernel failed" : "illegal memory access"));
    CHECK(samplings[1].failure.empty() != in_block);
  }
}

TEST_CASE(
    "hot: batches on one set, doubled until long enough, only two launches of each behind the blocking "
    "kernel",
    "[cpu]") {
  FakeDevice device;
  const auto samplings = sample_on_device(device, {subject(device, "a", 1e-4)}, {});
  const ModeSampling* hot = mode(samplings[0], "hot");
  REQUIRE(hot != nullptr);
  CHECK(hot->launches == 32);  // 16 x 1e-4 s < 2e-3 s <= 32 x 1e-4 s
  CHECK(hot->samples.size() >= 5);
  for (const double seconds : hot->samples) CHECK(std::abs(seconds - 1e-4) < 1e-12);
  CHECK(device.log.find("B(a0a0Ua0a0") != std::string::npos);
  CHECK(count(device.log, "a0a0a0U") == 0);       // a third would fill a queue in the end
  CHECK(mode(samplings[0], "graph") == nullptr);  // 100 us need no graph
}

TEST_CASE("graph: kernels under 20 us are captured once and replayed; over all input sets", "[cpu]") {
  FakeDevice device;
  DeviceSubject quick = subject(device, "a", 5e-6);
  std::set<std::size_t> captured;
  quick.launch = [&](std::size_t set) {
    if (device.capturing) captured.insert(set);
    device.work("a", device.capturing ? 2e-6 : 5e-6);  // in a graph there is no launch to wait for
  };
  const auto samplings = sample_on_device(device, {quick}, {});
  const ModeSampling* graph = mode(samplings[0], "graph");
  REQUIRE(graph != nullptr);
  CHECK(device.captures == 1);
  CHECK(graph->launches / 10 == 40);  // 2e-3 s of 5e-6 s each
  CHECK(captured.size() == 3);
  REQUIRE(graph->samples.size() >= 5);
  CHECK(std::abs(graph->samples[0] - 2e-6) < 1e-12);
  CHECK(std::abs(median(samplings[0].samples) - 5e-6) < 1e-12);
  // The modes come in their order, with an idle gap before each.
  CHECK(samplings[0].others[0].mode == "hot");
  CHECK(samplings[0].others[1].mode == "graph");
  CHECK(count(device.log, "z") == 2);
  CHECK(device.log.find("B(G)UCw") != std::string::npos);
}

TEST_CASE("a launch that can't be captured keeps its cold time, and says why there is no graph", "[cpu]") {
  FakeDevice device;
  DeviceSubject quick = subject(device, "a", 5e-6);
  quick.launch = [&](std::size_t) {
    if (device.capturing) throw std::runtime_error("operation not permitted when stream is capturing");
    device.work("a", 5e-6);
  };
  const auto samplings = sample_on_device(device, {quick}, {});
  CHECK(samplings[0].failure.empty());
  CHECK(samplings[0].samples.size() == 5);
  CHECK_THAT(mode(samplings[0], "graph")->missing,
             ContainsSubstring("not permitted when stream is capturing"));
}

TEST_CASE("the last outputs of every mode are verified; a wrong one ends the subject", "[cpu]") {
  FakeDevice device;
  std::vector<DeviceSubject> subjects{subject(device, "a", 5e-6), subject(device, "b", 5e-6)};
  int right = 0, wrong = 0;
  subjects[0].verify = [&] { return ++right > 0; };
  subjects[1].verify = [&] { return ++wrong < 2; };
  const auto samplings = sample_on_device(device, subjects, {});
  CHECK(right == 3);
  CHECK(wrong == 2);
  CHECK(mode(samplings[0], "graph") != nullptr);
  CHECK(mode(samplings[1], "graph") == nullptr);
}

TEST_CASE("samples under a limited clock are kept, flagged and followed by growing pauses", "[cpu]") {
  FakeDevice device;
  int reads = 0;
  device.reading = [&] { return ClockReading{1500, ++reads <= 3 ? "power cap" : ""}; };
  const auto samplings = sample_on_device(device, {subject(device, "a", 1e-3)}, {});
  CHECK(samplings[0].throttled == std::vector<std::size_t>{0, 1, 2});
  CHECK(samplings[0].samples.size() == 3 + 5);  // four that count, and the closing one
  CHECK(samplings[0].sm_mhz == std::vector<double>(8, 1500.0));
  CHECK_THAT(samplings[0].stop_reason, ContainsSubstring("limited in 3 of 8 samples, 3 pauses"));
  CHECK(std::abs(device.slept - (0.05 + 0.1 + 0.2) - 0.1) < 1e-9);  // and the gap before the hot mode
}

TEST_CASE("a clock that is always limited gives a row all the same, with every sample flagged, and ends",
          "[cpu]") {
  FakeDevice device;
  device.reading = [] { return ClockReading{{}, "hardware thermal"}; };
  DeviceSubject hot = subject(device, "a", 1e-3);
  hot.rule = {};
  const auto samplings = sample_on_device(device, {hot}, {});
  CHECK(samplings[0].samples.size() >= 10);
  CHECK(samplings[0].throttled.size() == samplings[0].samples.size());
  CHECK(samplings[0].sm_mhz.empty());
  CHECK_THAT(samplings[0].stop_reason, ContainsSubstring("limited in all") && ContainsSubstring("5 pauses"));
  CHECK(device.slept < 0.05 + 0.1 + 0.2 + 0.4 + 0.5 + 0.2);
  CHECK(mode(samplings[0], "hot")->throttled.size() == mode(samplings[0], "hot")->samples.size());
}

TEST_CASE("a variant that is done leaves the others to go on", "[cpu]") {
  FakeDevice device;
  std::vector<DeviceSubject> subjects{subject(device, "a", 1e-3), subject(device, "b", 1e-3)};
  subjects[0].rule.min_samples = 2;
  subjects[1].rule.min_samples = 6;
  const auto samplings = sample_on_device(device, subjects, {});
  CHECK(samplings[0].samples.size() == 3);
  CHECK(samplings[1].samples.size() == 7);
}

TEST_CASE("a noisy GPU is stopped by wall time, flushes and poison included", "[cpu]") {
  FakeDevice device;
  DeviceSubject noisy = subject(device, "a", 0);
  int calls = 0;
  noisy.launch = [&](std::size_t) { device.work("", ++calls % 3 == 0 ? 5e-5 : 2e-5); };
  noisy.rule = {.min_seconds = 0.2, .max_wall_seconds = 1};
  const auto samplings = sample_on_device(device, {noisy}, {});
  CHECK(device.clock_now <
        1.1 + 2 * (0.1 + 2 * 0.25));  // and a quarter of the cap, twice, for each other mode
  CHECK_THAT(samplings[0].stop_reason, ContainsSubstring("time cap 1 s"));
}

TEST_CASE("an exception in one GPU variant ends that variant alone", "[cpu]") {
  FakeDevice device;
  std::vector<DeviceSubject> subjects{subject(device, "a", 1e-3), subject(device, "b", 1e-3)};
  int calls = 0;
  subjects[0].launch = [&](std::size_t) {
    if (++calls > 5) throw std::runtime_error("an illegal memory access was encountered");
    device.work("a", 1e-3);
  };
  const auto samplings = sample_on_device(device, subjects, {});
  CHECK(samplings[0].failure == "an illegal memory access was encountered");
  CHECK(samplings[1].failure.empty());
  CHECK(samplings[1].samples.size() == 5);
}

TEST_CASE("a sticky error of a timed launch ends the process's use of the device and names the variant",
          "[cpu]") {
  using remeasure::DeviceError;
  using remeasure::ErrorReach;
  for (const ErrorReach reach : {ErrorReach::call, ErrorReach::process, ErrorReach::device}) {
    FakeDevice device;
    std::vector<DeviceSubject> subjects{subject(device, "a", 1e-3), subject(device, "b", 1e-3)};
    subjects[0].who = "kernel@gpu";
    int calls = 0;
    subjects[0].launch = [&](std::size_t) {
      if (++calls > 5) throw DeviceError("an illegal memory access was encountered", reach);
      device.work("a", 1e-3);
    };
    if (reach == ErrorReach::call) {
      const auto samplings = sample_on_device(device, subjects, {});
      CHECK(samplings[0].failure == "an illegal memory access was encountered");
      CHECK(samplings[1].failure.empty());
      continue;
    }
    try {
      sample_on_device(device, subjects, {});
      FAIL("the error was ignored");
    } catch (const DeviceBroken& error) {
      CHECK(error.variant == "kernel@gpu");
      CHECK(error.reach == reach);
      CHECK(std::string(error.what()) == "an illegal memory access was encountered");
    }
  }
}

TEST_CASE("a passed deadline and an interrupt end the sampling", "[cpu]") {
  FakeDevice device;
  SamplingControl control;
  control.deadline = std::chrono::steady_clock::now() - std::chrono::seconds(1);
  const auto samplings = sample_on_device(device, {subject(device, "a", 1e-3)}, control);
  CHECK(samplings[0].samples.size() == 2);
  CHECK_THAT(samplings[0].stop_reason, ContainsSubstring("deadline"));
  CHECK_THAT(mode(samplings[0], "hot")->missing, ContainsSubstring("deadline"));
  CHECK_THROWS_AS(sample_on_device(device, {subject(device, "a", 1e-3)},
                                   {.deadline = {}, .stop_requested = [] { return true; }, .on_round = {}}),
                  Interrupted);
}

TEST_CASE("samples handed over to Google Benchmark come back unchanged", "[cpu]") {
  const std::vector<double> seconds{1e-5, 3e-5, 2e-5, 1.25e-5};
  CHECK(hand_over("test/n=1/kernel", seconds) == seconds);
  CHECK(hand_over("test/n=1/kernel", {}).empty());
}
