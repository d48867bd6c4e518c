// SPDX-License-Identifier: Apache-2.0
#include "bench/stopping.h"

#include <testing/catch.h>

using namespace remeasure::bench;
using Catch::Matchers::ContainsSubstring;

namespace {

/// A state in which every condition for going on and none for stopping holds, to be changed one by one.
SamplingState enough() {
  return {.samples = 40,
          .measured_seconds = 0.5,
          .wall_seconds = 0.6,
          .deadline_passed = false,
          .widths = {0.05}};
}

}  // namespace

TEST_CASE("rule 1: a passed deadline stops before anything else", "[cpu]") {
  SamplingState state;
  state.deadline_passed = true;
  CHECK(decide({}, state).stop);
  CHECK_THAT(decide({}, state).reason, ContainsSubstring("deadline"));
}

TEST_CASE("rules 2 and 3: caps in wall time and in samples, whatever the measured time", "[cpu]") {
  SamplingState state;
  state.samples = 1;
  state.wall_seconds = 4;
  CHECK_THAT(decide({}, state).reason, ContainsSubstring("time cap 4 s: 1 sample, range instead"));
  state = enough();
  state.samples = 10'000;
  CHECK_THAT(decide({}, state).reason, ContainsSubstring("sample cap"));
}

TEST_CASE("rule 4: ten samples and 0.2 s are needed, however narrow the interval", "[cpu]") {
  SamplingState state = enough();
  state.widths = {0.0001};
  state.samples = 9;
  CHECK_FALSE(decide({}, state).stop);
  state.samples = 10;
  state.measured_seconds = 0.19;
  CHECK_FALSE(decide({}, state).stop);
  state.measured_seconds = 0.2;
  CHECK(decide({}, state).stop);
}

TEST_CASE("rule 5: an interval under one percent is precise, one percent isn't", "[cpu]") {
  SamplingState state = enough();
  state.widths = {0.2, 0.0099};
  CHECK_THAT(decide({}, state).reason, ContainsSubstring("precise: 40 samples, interval 0.99 %"));
  state.widths = {0.2, 0.01};
  CHECK_FALSE(decide({}, state).stop);
}

TEST_CASE("rule 6: an interval that stopped shrinking over four rounds stops", "[cpu]") {
  SamplingState state = enough();
  state.widths = {0.08, 0.05, 0.049, 0.05, 0.051};
  CHECK_FALSE(decide({}, state).stop);  // before the last four there is 0.08 alone: shrunk
  state.widths = {0.08, 0.05, 0.049, 0.05, 0.051, 0.0485};
  CHECK_THAT(decide({}, state).reason, ContainsSubstring("stopped shrinking"));
  state.widths = {0.08, 0.05, 0.049, 0.05, 0.051, 0.04};
  CHECK_FALSE(decide({}, state).stop);
}

TEST_CASE("a noisy clock always comes to an end", "[cpu]") {
  SamplingState state{.samples = 0, .measured_seconds = 0, .wall_seconds = 0, .widths = {}};
  const StopRule rule;
  int rounds = 0;
  while (!decide(rule, state).stop) {
    REQUIRE(++rounds < 100);
    const std::size_t more = next_round(rule, state, 1e-3);
    REQUIRE(more >= 1);
    state.samples += more;
    state.measured_seconds += 1e-6 * static_cast<double>(more);  // the clock under test hardly moves
    state.wall_seconds += 1e-3 * static_cast<double>(more);
    state.widths.push_back(0.5);
  }
  CHECK(state.wall_seconds < 2 * rule.max_wall_seconds);
}

TEST_CASE("rounds double, and never plan beyond the caps", "[cpu]") {
  const StopRule rule;
  CHECK(next_round(rule, {}, 1e-3) == 10);
  CHECK(next_round(rule, enough(), 1e-3) == 40);
  CHECK(next_round(rule, enough(), 1.0) == 3);  // 3.4 s are left
  CHECK(next_round(rule, enough(), 100.0) == 1);
  SamplingState many = enough();
  many.samples = 9'990;
  CHECK(next_round(rule, many, 1e-9) == 10);
}

TEST_CASE("iterations make a sample of at least half a millisecond", "[cpu]") {
  CHECK(iterations_per_sample(1.0) == 1);
  CHECK(iterations_per_sample(5e-4) == 1);
  CHECK(iterations_per_sample(1.0 / 4096, 1.0 / 1024) == 4);
  CHECK(iterations_per_sample(0) == 1'000'000);
}
