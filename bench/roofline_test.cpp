// SPDX-License-Identifier: Apache-2.0
#include "bench/roofline.h"

#include <testing/catch.h>

#include <cmath>

using namespace remeasure::bench;

namespace {

Ceilings by_hand() {
  Ceilings ceilings;
  ceilings.levels = {{"l1", 1000}, {"l2", 10'000}, {"dram", 1'000'000}};
  ceilings.values = {{"read-l1", 100.0},  {"triad-l1", 90.0},  {"read-l2", 50.0},
                     {"triad-l2", 60.0},  {"read-dram", 10.0}, {"triad-dram", 8.0},
                     {"fma-f64", 1000.0}, {"fma-f32", 2000.0}, {"gemm-f64", 700.0}};
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

namespace {

/// L2 of 1000 bytes.
Ceilings gpu_by_hand() {
  Ceilings ceilings;
  ceilings.gpu = true;
  ceilings.levels = {{"l2", 1000}, {"dram", 1'000'000}};
  ceilings.values = {{"gpu-read-l2", 100.0},  {"gpu-copy-l2", 80.0},   {"gpu-write-l2", 60.0},
                     {"gpu-read-dram", 10.0}, {"gpu-copy-dram", 9.0},  {"gpu-write-dram", 11.0},
                     {"gpu-mma-f64", 60.0},   {"gpu-fma-f64", 30.0},   {"gpu-mma-f32", 55.0},
                     {"gpu-fma-f32", 62.0},   {"gpu-mma-tf32", 400.0}, {"gpu-mma-bf16", 800.0},
                     {"gpu-mma-i8", 1600.0}};
  return ceilings;
}

}  // namespace

TEST_CASE("on a GPU a footprint that fits into L2 is held against L2's bandwidth", "[cpu]") {
  const Work work{.flops = 0, .bytes = 5000};
  CHECK(floor_of(work, "f32", 1000, gpu_by_hand())->bandwidth == "gpu-read-l2");
  CHECK(floor_of(work, "f32", 1000, gpu_by_hand())->seconds == 50.0);
  CHECK(floor_of(work, "f32", 1001, gpu_by_hand())->bandwidth == "gpu-write-dram");
  CHECK(floor_of(work, "f32", 1001, gpu_by_hand())->seconds == 5000 / 11.0);
  CHECK(hard_floor_of(work, "f32", 1000, gpu_by_hand())->seconds == 50.0);
}

TEST_CASE("a workspace that the work can't touch doesn't count against L2", "[cpu]") {
  CHECK(floor_of({.bytes = 900}, "f32", 500'000, gpu_by_hand())->bandwidth == "gpu-read-l2");
  CHECK(hard_floor_of({.bytes = 900}, "f32", 500'000, gpu_by_hand())->seconds == 9.0);
}

TEST_CASE("above L2, what it may keep from pass to pass isn't demanded of memory", "[cpu]") {
  // Four passes over 2500 bytes, of which 1000 may be found each time: 60 % of the bytes come from memory.
  const auto hard = hard_floor_of({.bytes = 10'000}, "f32", 2500, gpu_by_hand());
  CHECK(std::abs(hard->seconds - 0.6 * 10'000 / 11) < 1e-9);
  CHECK(hard->bandwidth == "gpu-write-dram");
  CHECK(hard->cache_bandwidth == "gpu-read-l2");
  // Hardly above L2 it is L2's own bandwidth that bounds.
  CHECK(hard_floor_of({.bytes = 10'000}, "f32", 1001, gpu_by_hand())->seconds == 100.0);
  CHECK(floor_of({.bytes = 10'000}, "f32", 2500, gpu_by_hand())->seconds == 10'000 / 11.0);
}

TEST_CASE("a GPU's rate is the best of the dtype, and for f32 the hard one is TF32's", "[cpu]") {
  const auto rate = [](const char* dtype, const char* named = "") {
    const auto floor = floor_of({.flops = 1, .rate = named}, dtype, 0, gpu_by_hand());
    return floor ? floor->rate : std::string("none");
  };
  const auto hard = [](const char* dtype, const char* named = "") {
    return hard_floor_of({.flops = 1, .rate = named}, dtype, 0, gpu_by_hand())->rate;
  };
  CHECK(rate("f64") == "gpu-mma-f64");
  CHECK(rate("f32") == "gpu-fma-f32");
  CHECK(rate("tf32") == "gpu-mma-tf32");
  CHECK(rate("bf16") == "gpu-mma-bf16");
  CHECK(rate("i8") == "gpu-mma-i8");
  CHECK(rate("f16") == "none");
  CHECK(rate("f32", "gemm-f32") == "gpu-mma-f32");
  CHECK(rate("f64", "fma-f64") == "gpu-fma-f64");
  CHECK(rate("f32", "gpu-mma-bf16") == "gpu-mma-bf16");
  CHECK(hard("f32") == "gpu-mma-tf32");
  CHECK(hard("f64", "fma-f64") == "gpu-mma-f64");
  CHECK(hard("bf16", "gemm-f32") == "gpu-mma-bf16");
}

TEST_CASE("a GPU time below its floor is invalid, but not before the ceilings were measured again", "[cpu]") {
  Ceilings ceilings = gpu_by_hand();
  const Work work{.flops = 8000, .bytes = 900};
  std::vector<std::string> again;
  ceilings.measure_again = [&](const std::string& name) {
    again.push_back(name);
    return 1.0;  // no better: the ceiling stays
  };
  const FloorJudgement invalid = judge_time(work, "bf16", 900, 9.0, ceilings);
  CHECK_THAT(invalid.invalid,
             Catch::Matchers::ContainsSubstring("below the floor 10 s (compute: gpu-mma-bf16)"));
  CHECK_FALSE(invalid.roofline.has_value());
  CHECK(again == std::vector<std::string>{"gpu-read-l2", "gpu-mma-bf16"});
  CHECK(ceilings.values["gpu-mma-bf16"] == 800.0);

  ceilings.measure_again = [](const std::string&) { return 1000.0; };
  const FloorJudgement valid = judge_time(work, "bf16", 900, 9.0, ceilings);
  CHECK(valid.invalid.empty());
  CHECK(ceilings.values["gpu-mma-bf16"] == 1000.0);
  CHECK(valid.roofline->ceilings == "gpu-read-l2, gpu-mma-bf16");
  CHECK(valid.roofline->bound == "compute");
  CHECK(*valid.roofline->fraction_of_floor == 8.0 / 9.0);
  CHECK(*judge_time(work, "bf16", 900, 32.0, ceilings).roofline->fraction_of_floor == 0.25);
}
