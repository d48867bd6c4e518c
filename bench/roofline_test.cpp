// SPDX-License-Identifier: Apache-2.0
#include "bench/roofline.h"

#include <testing/catch.h>

#include <cmath>
#include <fstream>

#include "bench/test_case.h"

using namespace remeasure::bench;

namespace {

Ceilings by_hand() {
  Ceilings ceilings;
  ceilings.levels = {{"l1", 1000}, {"l2", 10'000}, {"dram", 1'000'000}};
  ceilings.values = {{"read-l1", 100.0}, {"triad-l1", 90.0}, {"read-l2", 50.0}, {"triad-l2", 60.0}, {"read-dram", 10.0},
                     {"triad-dram", 8.0}, {"fma-f64", 1000.0}, {"fma-f32", 2000.0}, {"gemm-f64", 700.0}};
  return ceilings;
}

}  // namespace

TEST_CASE("the bandwidth is the better kernel's, on the level that holds the footprint", "[cpu]") {
  const Work work{.flops = 0, .bytes = 600};
  CHECK(floor_of(work, "f64", 1000, by_hand())->bandwidth == "read-l1");
  CHECK(floor_of(work, "f64", 1001, by_hand())->bandwidth == "triad-l2");
  CHECK(floor_of(work, "f64", 1001, by_hand())->seconds == 10.0);
  CHECK(floor_of(work, "f64", 20'000, by_hand())->bandwidth == "read-dram");
  CHECK(floor_of(work, "f64", 99'000'000, by_hand())->bandwidth == "read-dram");
  CHECK(floor_of(work, "f64", 0, by_hand())->bandwidth == "read-l1");
}

TEST_CASE("the larger of memory and compute is the floor, and names its bound", "[cpu]") {
  const auto compute = floor_of({.flops = 4000, .bytes = 100}, "f64", 100, by_hand());
  CHECK(compute->bound == "compute");
  CHECK(compute->seconds == 4.0);
  CHECK(floor_of({.flops = 4000, .bytes = 1000}, "bf16", 100, by_hand())->bound == "memory");
  CHECK(floor_of({.flops = 7000, .bytes = 0, .rate = "gemm-f64"}, "f64", 100, by_hand())->seconds == 10.0);
}

TEST_CASE("the hard floor is that of independent FMAs, whatever rate the work is compared with", "[cpu]") {
  const Work work{.flops = 7000, .bytes = 0, .rate = "gemm-f64"};
  CHECK(hard_floor_of(work, "f64", 100, by_hand())->seconds == 7.0);
  CHECK(hard_floor_of(work, "f64", 100, by_hand())->rate == "fma-f64");
}

TEST_CASE("a ceiling that wasn't measured gives no roofline", "[cpu]") {
  CHECK_FALSE(floor_of({.flops = 1, .bytes = 1}, "f64", 100, Ceilings{}).has_value());
  CHECK_FALSE(floor_of({.flops = 1, .bytes = 1}, "i8", 100, by_hand()).has_value());
  CHECK_FALSE(floor_of({.flops = 1, .bytes = 1, .rate = "gemm-bf16"}, "bf16", 100, by_hand()).has_value());
  CHECK_FALSE(floor_of({}, "f64", 100, by_hand()).has_value());
}

TEST_CASE("below the floor by more than the margin is invalid; within it, exactly at the floor", "[cpu]") {
  const auto floor = floor_of({.flops = 0, .bytes = 100}, "f64", 100, by_hand());
  REQUIRE(floor->seconds == 1.0);
  CHECK(below_floor(0.94, *floor));
  CHECK_FALSE(below_floor(0.96, *floor));
  CHECK(*roofline_of({.bytes = 100}, floor, 0.96).fraction_of_floor == 1.0);
  CHECK(*roofline_of({.bytes = 100}, floor, 2).fraction_of_floor == 0.5);
  CHECK(roofline_of({.bytes = 100}, floor, 2).ceilings == "read-l1");
  CHECK_FALSE(roofline_of({.bytes = 100}, std::nullopt, 2).fraction_of_floor.has_value());
}

TEST_CASE("ceilings of this machine are finite, ordered, cached, and measured again if the cache is broken", "[cpu][slow]") {
  const testing::TemporaryFolder folder;
  const Ceilings first = measured_ceilings(folder.path());
  for (const char* name : {"read-dram", "triad-dram", "fma-f64", "fma-f32", "gemm-f64", "gemm-f32"}) {
    INFO(name);
    REQUIRE(first.has(name));
    CHECK(first.values.at(name) > 1e8);
    CHECK(first.values.at(name) < 1e16);
  }
  for (std::size_t i = 1; i < first.levels.size(); ++i) {
    CHECK(first.levels[i - 1].bytes < first.levels[i].bytes);
    CHECK(first.values.at("read-" + first.levels[i - 1].name) >= first.values.at("read-" + first.levels[i].name));
  }
  CHECK(first.values.at("fma-f32") > 1.3 * first.values.at("fma-f64"));
  const Ceilings second = measured_ceilings(folder.path());
  CHECK(second.values == first.values);
  REQUIRE(second.measure_again);
  CHECK(second.measure_again("fma-f64") > 1e8);
  for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
    std::ofstream(entry.path()) << "{\"version\": 1, \"mach";
  }
  CHECK(measured_ceilings(folder.path()).values.size() == first.values.size());
}
