// SPDX-License-Identifier: Apache-2.0
#include "bench/part_times.h"

#include <testing/catch.h>
#include <stdexcept>

using namespace remeasure::bench;

namespace {

std::function<void()> spin(std::size_t steps) {
  return [steps] {
    volatile std::size_t counter = 0;
    while (counter < steps) counter = counter + 1;
  };
}

const StopRule kFew = {.min_samples = 5, .min_seconds = 0, .width = 1, .max_samples = 5};

}  // namespace

TEST_CASE("Parts are timed one by one, and a part of ten times the work takes longer", "[cpu]") {
  const auto times = time_parts(
      2, {"one", "ten"},
      [](std::size_t part, std::size_t subject) {
        return spin((part + 1) * (subject == 0 ? 20'000 : 200'000));
      },
      kFew);
  REQUIRE(times.size() == 2);
  for (const auto& part : times) {
    REQUIRE(part.size() == 2);
    CHECK(part[0] > 0);
    CHECK(part[1] > 4 * part[0]);
    CHECK(part[1] < 25 * part[0]);
  }
}

TEST_CASE("A part that throws while it is timed says whose it is", "[cpu]") {
  int calls = 0;
  REQUIRE_THROWS_WITH(time_parts(
                          1, {"bad"},
                          [&](std::size_t, std::size_t) {
                            return [&calls] {
                              if (++calls > 1) throw std::runtime_error("broken");
                            };
                          },
                          kFew),
                      Catch::Matchers::ContainsSubstring("bad/part 0"));
}
