// SPDX-License-Identifier: Apache-2.0
#include "bench/device_timer.h"

#include <testing/catch.h>

#include <algorithm>
#include <stdexcept>

#include "bench/run_case.h"

using namespace remeasure::bench;
using Catch::Matchers::ContainsSubstring;

namespace {

/// A device whose clock moves only as it is told, and that writes down what is done to it.
class FakeDevice final : public TimedDevice {
 public:
  void flush_cache() override {
    log += "F";
    clock += 1e-4;
  }
  void start() override {
    log += "(";
    started = clock;
  }
  double stop() override {
    log += ")";
    return clock - started;
  }
  double now() override { return clock; }

  void work(const std::string& name, double seconds) {
    log += name;
    clock += seconds;
  }

  std::string log;
  double clock = 0, started = 0;
};

/// Launches "a0", "a1", "a2" for the three sets of variant a.
DeviceSubject subject(FakeDevice& device, const std::string& name, double seconds) {
  DeviceSubject result;
  result.name = name;
  result.sets = 3;
  result.launch = [&device, name, seconds](std::size_t set) { device.work(name + std::to_string(set), seconds); };
  result.before_sample = [&device] {
    device.log += "p";
    device.clock += 1e-3;
  };
  return result;
}

}  // namespace

TEST_CASE("GPU samples are warmed up, poisoned, flushed, rotated, interleaved, and close on set 0", "[cpu]") {
  FakeDevice device;
  std::vector<DeviceSubject> subjects{subject(device, "a", 1e-3), subject(device, "b", 2e-3)};
  for (DeviceSubject& one : subjects) {
    one.rule.min_samples = 4;
    one.rule.min_seconds = 0;
    one.rule.width = 1;
  }
  const auto samplings = sample_on_device(device, subjects, {});
  const std::string warm = "(a0)(a1)(a2)(b0)(b1)(b2)";
  const std::string rounds = "pF(a0)pF(b0)pF(a1)pF(b1)pF(a2)pF(b2)pF(a0)pF(b0)";
  CHECK(device.log == warm + rounds + "pF(a0)pF(b0)");
  REQUIRE(samplings.size() == 2);
  CHECK(samplings[0].samples.size() == 5);
  for (const double seconds : samplings[0].samples) CHECK(std::abs(seconds - 1e-3) < 1e-12);   // no flush, no poison in it
  for (const double seconds : samplings[1].samples) CHECK(std::abs(seconds - 2e-3) < 1e-12);
  CHECK_THAT(samplings[0].stop_reason, ContainsSubstring("precise"));
}

TEST_CASE("a variant that is done leaves the others to go on", "[cpu]") {
  FakeDevice device;
  std::vector<DeviceSubject> subjects{subject(device, "a", 1e-3), subject(device, "b", 1e-3)};
  subjects[0].rule = {.min_samples = 2, .min_seconds = 0, .width = 1};
  subjects[1].rule = {.min_samples = 6, .min_seconds = 0, .width = 1};
  const auto samplings = sample_on_device(device, subjects, {});
  CHECK(samplings[0].samples.size() == 3);
  CHECK(samplings[1].samples.size() == 7);
}

TEST_CASE("a noisy GPU is stopped by wall time, flushes and poison included", "[cpu]") {
  FakeDevice device;
  DeviceSubject noisy = subject(device, "a", 0);
  int calls = 0;
  noisy.launch = [&](std::size_t) { device.work("", ++calls % 3 == 0 ? 5e-6 : 2e-6); };
  noisy.rule = {.min_seconds = 0.2, .max_wall_seconds = 1};
  const auto samplings = sample_on_device(device, {noisy}, {});
  CHECK(device.clock < 1.1);
  CHECK_THAT(samplings[0].stop_reason, ContainsSubstring("time cap 1 s"));
}

TEST_CASE("an exception in one GPU variant ends that variant alone", "[cpu]") {
  FakeDevice device;
  std::vector<DeviceSubject> subjects{subject(device, "a", 1e-3), subject(device, "b", 1e-3)};
  for (DeviceSubject& one : subjects) one.rule = {.min_seconds = 0, .width = 1};
  int calls = 0;
  subjects[0].launch = [&](std::size_t) {
    if (++calls > 5) throw std::runtime_error("an illegal memory access was encountered");
    device.work("a", 1e-3);
  };
  const auto samplings = sample_on_device(device, subjects, {});
  CHECK(samplings[0].failure == "an illegal memory access was encountered");
  CHECK(samplings[1].failure.empty());
  CHECK(samplings[1].samples.size() == 11);
}

TEST_CASE("a passed deadline and an interrupt end the sampling", "[cpu]") {
  FakeDevice device;
  SamplingControl control;
  control.deadline = std::chrono::steady_clock::now() - std::chrono::seconds(1);
  const auto samplings = sample_on_device(device, {subject(device, "a", 1e-3)}, control);
  CHECK(samplings[0].samples.size() == 2);
  CHECK_THAT(samplings[0].stop_reason, ContainsSubstring("deadline"));
  CHECK_THROWS_AS(sample_on_device(device, {subject(device, "a", 1e-3)},
                                   {.deadline = {}, .stop_requested = [] { return true; }, .on_round = {}}),
                  Interrupted);
}

TEST_CASE("samples handed over to Google Benchmark come back unchanged", "[cpu]") {
  const std::vector<double> seconds{1e-5, 3e-5, 2e-5, 1.25e-5};
  CHECK(hand_over("test/n=1/kernel", seconds) == seconds);
  CHECK(hand_over("test/n=1/kernel", {}).empty());
}
