// SPDX-License-Identifier: Apache-2.0
#include "bench/ceilings.h"

#include <testing/catch.h>

#include <filesystem>
#include <fstream>

#include "bench/cpu_ceilings.h"
#include "bench/test_case.h"

using namespace remeasure::bench;

namespace {

/// Counts its measurements; the machine has no "gpu-mma-i8".
CeilingPlan counting_plan(int& measured) {
  CeilingPlan plan{
      .machine = "nvidia-fake-1", .gpu = true, .levels = {{"l2", 1000}, {"dram", 100'000}}, .probes = {}};
  const auto add = [&](const char* name, double value) {
    plan.probes.push_back({name, [&measured, value] {
                             ++measured;
                             return value;
                           }});
  };
  add("gpu-read-l2", 5);
  add("gpu-read-dram", 7);
  add("gpu-mma-bf16", 100);
  add("gpu-mma-i8", 0);
  return plan;
}

}  // namespace

TEST_CASE("a level is never slower than a larger one, and what can't be measured has no ceiling", "[cpu]") {
  int measured = 0;
  const Ceilings ceilings = measure_ceilings(counting_plan(measured));
  CHECK(measured == 4);
  CHECK(ceilings.values ==
        std::map<std::string, double>{{"gpu-read-l2", 7}, {"gpu-read-dram", 7}, {"gpu-mma-bf16", 100}});
  CHECK(ceilings.not_here == std::vector<std::string>{"gpu-mma-i8"});
  CHECK(ceilings.measure_again("gpu-read-l2") == 5);
  CHECK(ceilings.measure_again("gpu-mma-f8") == 0);
}

TEST_CASE("ceilings are measured once per machine, and again when the plan has a new probe", "[cpu]") {
  const testing::TemporaryFolder folder;
  int measured = 0;
  CeilingPlan plan = counting_plan(measured);
  CHECK_FALSE(stored_ceilings(plan, folder.path()).has_value());
  const Ceilings first = measured_ceilings(plan, folder.path());
  CHECK(measured == 4);
  const Ceilings second = measured_ceilings(plan, folder.path());
  CHECK(measured == 4);
  CHECK(second.values == first.values);
  CHECK(second.gpu);
  CHECK(second.not_here == first.not_here);
  CHECK(second.measure_again("gpu-mma-bf16") == 100);
  plan.machine = "nvidia-fake-2";
  CHECK_FALSE(stored_ceilings(plan, folder.path()).has_value());
  plan.machine = "nvidia-fake-1";
  plan.levels[0].bytes = 2000;
  CHECK_FALSE(stored_ceilings(plan, folder.path()).has_value());
  plan.levels[0].bytes = 1000;
  plan.probes.push_back({"gpu-launch", [] { return 1e-6; }});
  CHECK_FALSE(stored_ceilings(plan, folder.path()).has_value());
}

TEST_CASE("ceilings of this machine are finite, ordered, cached, and measured again if the cache is broken",
          "[cpu][slow]") {
  const testing::TemporaryFolder folder;
  const Ceilings first = measured_ceilings(cpu_ceiling_plan(), folder.path());
  for (const char* name : {"read-dram", "triad-dram", "fma-f64", "fma-f32", "gemm-f64", "gemm-f32"}) {
    INFO(name);
    REQUIRE(first.has(name));
    CHECK(first.values.at(name) > 1e8);
    CHECK(first.values.at(name) < 1e16);
  }
  for (std::size_t i = 1; i < first.levels.size(); ++i) {
    CHECK(first.levels[i - 1].bytes < first.levels[i].bytes);
    CHECK(first.values.at("read-" + first.levels[i - 1].name) >=
          first.values.at("read-" + first.levels[i].name));
  }
  CHECK(first.values.at("fma-f32") > 1.3 * first.values.at("fma-f64"));
  const Ceilings second = measured_ceilings(cpu_ceiling_plan(), folder.path());
  CHECK(second.values == first.values);
  REQUIRE(second.measure_again);
  CHECK(second.measure_again("fma-f64") > 1e8);
  for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
    std::ofstream(entry.path()) << "{\"version\": 1, \"mach";
  }
  CHECK(measured_ceilings(cpu_ceiling_plan(), folder.path()).values.size() == first.values.size());
}
