// SPDX-License-Identifier: Apache-2.0
#include "bench/plant.h"

#include <testing/catch.h>
#include <chrono>
#include <stdexcept>
#include <thread>

namespace remeasure::bench {
namespace {

TEST_CASE("a planted slowdown is of the benchmark that it names", "[cpu]") {
  CHECK(planted_factor("", "dfss/n=64 pattern=2:4/eigen") == 1);
  CHECK(planted_factor("dfss/n=64 pattern=2:4/eigen=1.10", "dfss/n=64 pattern=2:4/eigen") == 1.10);
  CHECK(planted_factor("dfss/n=64 pattern=2:4/eigen=1.10", "dfss/n=64 pattern=2:4/method") == 1);
}

TEST_CASE("a planted slowdown that can't be read is an error", "[cpu]") {
  for (const char* text :
       {"dfss", "dfss/n=64/eigen=", "dfss/n=64/eigen=fast", "dfss/n=64/eigen=0.5", "dfss/n=64/eigen=nan"}) {
    INFO(text);
    CHECK_THROWS_AS(planted_factor(text, "dfss/n=64/eigen"), std::invalid_argument);
  }
}

TEST_CASE("what is slowed down takes its factor of wall time", "[cpu]") {
  using Clock = std::chrono::steady_clock;
  Clock::duration own{};
  const auto work = slowed_down(
      [&] {
        const auto start = Clock::now();
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        own = Clock::now() - start;
      },
      2);
  const auto start = Clock::now();
  work();
  CHECK(Clock::now() - start >= 2 * own);
}

}  // namespace
}  // namespace remeasure::bench
