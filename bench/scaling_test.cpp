// SPDX-License-Identifier: Apache-2.0
#include "bench/scaling.h"

#include <testing/catch.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <thread>

#include "bench/test_case.h"

using namespace remeasure;
using namespace remeasure::bench;
using namespace remeasure::bench::testing;

namespace {

/// Takes at least so long; the result is right.
Body at_least(std::chrono::microseconds time) {
  return [time](std::span<const float> in, std::span<float> out) {
    right(in, out);
    std::this_thread::sleep_for(time);
  };
}

const Scaling kScaling = {.title = "growth",
                          .symbol = "N",
                          .sizes = {1, 2, 4},
                          .methods = {{"square", "all pairs"}, {"flat"}, {"half"}},
                          .axis = "numbers",
                          .exponent_of = {},
                          .beats = "square",
                          .unit = "numbers"};

reports::CaseResult sweep() {
  static std::vector<std::vector<float>> sets = {inputs_of(1), inputs_of(1001), inputs_of(2001)};
  Fixture fixture;
  return fixture.run([&](Trial& trial) {
    declare_oracle(trial);
    for (const int size : kScaling.sizes) {
      declare_host(trial,
                   {info_of(scaling_variant(kScaling, "square", size)),
                    at_least(std::chrono::microseconds(1000) * size * size)},
                   sets);
      declare_host(
          trial,
          {info_of(scaling_variant(kScaling, "flat", size)), at_least(std::chrono::microseconds(6000))},
          sets);
    }
    for (const int size : kScaling.sizes) {
      const Body wrong = [](std::span<const float>, std::span<float> out) {
        std::fill(out.begin(), out.end(), 1.0f);
      };
      declare_host(trial, {info_of(scaling_variant(kScaling, "half", size)), size == 1 ? Body(right) : wrong},
                   sets);
    }
    trial.measure();
    report_scaling(trial, kScaling);
  });
}

}  // namespace

TEST_CASE("a sweep's exponents, crossing and plot come from the times of its variants") {
  const reports::CaseResult result = sweep();
  REQUIRE(result.plots.size() == 1);
  const reports::Plot& plot = result.plots[0];
  CHECK(plot.x_label == "numbers");
  REQUIRE(plot.curves.size() == 3);
  CHECK(plot.curves[0].label == "all pairs");
  CHECK(plot.curves[0].x == std::vector<double>{1, 2, 4});
  CHECK(plot.curves[2].x == std::vector<double>{1});

  const auto metric = [&](const std::string& name) -> const reports::Metric* {
    for (const reports::Metric& each : result.metrics) {
      if (each.name == name) return &each;
    }
    return nullptr;
  };
  REQUIRE(metric("exponent of N, all pairs") != nullptr);
  CHECK(std::abs(metric("exponent of N, all pairs")->value - 2) < 0.5);
  REQUIRE(metric("exponent of N, flat") != nullptr);
  CHECK(std::abs(metric("exponent of N, flat")->value) < 0.5);
  CHECK(metric("exponent of N, half") == nullptr);  // incorrect at two sizes, so without a time there
  REQUIRE(metric("shortest of these N at which flat beats square") != nullptr);
  CHECK(metric("shortest of these N at which flat beats square")->value == 4);
  CHECK(metric("shortest of these N at which all pairs beats square") == nullptr);
}
