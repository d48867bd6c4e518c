// SPDX-License-Identifier: Apache-2.0
#include "experiments/gpu_probes.h"

#include <testing/catch.h>

using namespace remeasure;
using namespace remeasure::experiments;

// Times on Simt mean nothing; that the probes run, release what they take and give a time is what is checked.
TEST_CASE("every probe of a device runs, gives a time and leaves no memory behind", "[simt]") {
  Device<Simt> device;
  Stream<Simt> stream(device);
  for (const bench::Traffic traffic : {bench::Traffic::read, bench::Traffic::copy, bench::Traffic::write}) {
    CHECK(traffic_seconds(stream, traffic, 3 * 65536, 2) > 0);
  }
  CHECK(fma_rate<float>(stream, 4) > 0);
  CHECK(fma_rate<double>(stream, 4) > 0);
  CHECK(empty_launch_seconds(stream, false, 3) > 0);
  CHECK(empty_launch_seconds(stream, true, 3) > 0);
  CHECK(device.ledger().current() == 0);
  CHECK(device.ledger().peak() >= 3 * 65536);
}

TEST_CASE("a GPU's probes give plausible ceilings", "[gpu]") {
  if (Device<Cuda>::count() == 0) SKIP_TEST(Device<Cuda>::why_not());
#ifdef REMEASURE_HAS_CUDA
  const auto probes = open_gpu_probes();
  REQUIRE(probes.has_value());
  const bench::Ceilings ceilings = bench::measure_ceilings(bench::gpu_ceiling_plan(*probes));
  for (const char* name : {"gpu-read-dram", "gpu-copy-l2", "gpu-mma-f64", "gpu-mma-bf16", "gpu-fma-f32"}) {
    INFO(name);
    REQUIRE(ceilings.has(name));
    CHECK(ceilings.values.at(name) > 1e10);
    CHECK(ceilings.values.at(name) < 1e17);
  }
  CHECK(ceilings.values.at("gpu-mma-bf16") > ceilings.values.at("gpu-mma-f32"));
  CHECK(ceilings.values.at("gpu-launch") < 1e-3);
#endif
}
