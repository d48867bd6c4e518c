// SPDX-License-Identifier: Apache-2.0
#include "bench/gpu_ceilings.h"

#include <testing/catch.h>

#include <set>
#include <vector>

#include "bench/data_sheet.h"
#include "bench/test_case.h"

using namespace remeasure;
using namespace remeasure::bench;

namespace {

constexpr std::size_t kMiB = 1 << 20;

struct Asked {
  Traffic traffic;
  std::size_t bytes;
  int passes;
};

/// A GPU of 100 B/s from memory and 400 B/s from L2 (300 above a quarter of it); products run at n flop/s; no
/// i8.
GpuProbes fake(std::vector<Asked>* asked = nullptr) {
  GpuProbes probes;
  probes.device = {.name = "NVIDIA  H200 (fake)",
                   .driver = "CUDA 13.0",
                   .compute_capability = 90,
                   .multiprocessors = 132,
                   .memory_bytes = 140'000 * kMiB,
                   .l2_bytes = 50 * kMiB,
                   .shared_bytes_per_block = 0,
                   .pci_bus_id = {}};
  const std::size_t l2 = probes.device.l2_bytes;
  probes.traffic_seconds = [asked, l2](Traffic traffic, std::size_t bytes, int passes) {
    if (asked != nullptr) asked->push_back({traffic, bytes, passes});
    const double bandwidth = bytes > l2 ? 100 : bytes > l2 / 4 ? 300 : 400;
    return static_cast<double>(bytes) * passes / bandwidth;
  };
  probes.product_seconds = [](const std::string& dtype, int n) {
    return dtype == "i8" ? 0.0 : 2.0 * n * n * static_cast<double>(n) / n;
  };
  probes.fma_rate = [](const std::string& dtype) { return dtype == "f32" ? 2.0 : 1.0; };
  probes.launch_seconds = [](bool in_graph) { return in_graph ? 1e-6 : 2e-6; };
  return probes;
}

}  // namespace

TEST_CASE("the plan of a GPU measures bandwidths of both levels, every rate and both launches", "[cpu]") {
  std::vector<Asked> asked;
  const Ceilings ceilings = measure_ceilings(gpu_ceiling_plan(fake(&asked)));
  CHECK(ceilings.gpu);
  CHECK(ceilings.values.at("gpu-read-dram") == 100);
  CHECK(ceilings.values.at("gpu-copy-l2") == 400);    // the best of its working sets
  CHECK(ceilings.values.at("gpu-mma-bf16") == 8192);  // the best of its sizes
  CHECK(ceilings.values.at("gpu-fma-f32") == 2);
  CHECK(ceilings.values.at("gpu-launch") == 2e-6);
  CHECK(ceilings.values.at("gpu-launch-graph") == 1e-6);
  CHECK(ceilings.not_here == std::vector<std::string>{"gpu-mma-i8"});
  for (const Asked& it : asked) {
    const bool dram = it.bytes > 50 * kMiB;
    CHECK((dram ? it.bytes > 4 * 50 * kMiB : it.bytes <= 25 * kMiB));
    CHECK((dram ? it.passes == 1 : it.passes >= 64));
    CHECK(it.bytes % 4096 == 0);
  }
}

TEST_CASE("a working set of device memory is beyond 4 L2, or there is none", "[cpu]") {
  DeviceProperties device = fake().device;
  CHECK(dram_working_set(device) == 1024 * kMiB);
  device.l2_bytes = 200 * kMiB;
  CHECK(dram_working_set(device) == 1600 * kMiB);
  device.memory_bytes = 3000 * kMiB;
  CHECK(dram_working_set(device) == 0);
  const auto plan = gpu_ceiling_plan(
      {.device = device, .traffic_seconds = {}, .product_seconds = {}, .fma_rate = {}, .launch_seconds = {}});
  CHECK(plan.levels.size() == 1);
}

TEST_CASE("ceilings belong to a device with its driver and its share of multiprocessors", "[cpu]") {
  std::set<std::string> names;
  GpuProbes probes = fake();
  names.insert(gpu_ceiling_plan(probes).machine);
  CHECK(names.begin()->starts_with("nvidia-h200-fake-"));
  probes.device.driver = "CUDA 13.1";
  names.insert(gpu_ceiling_plan(probes).machine);
  probes.device.multiprocessors = 60;
  names.insert(gpu_ceiling_plan(probes).machine);
  CHECK(names.size() == 3);
}

TEST_CASE("data-sheet numbers are for the named device alone, each with a source", "[cpu]") {
  REQUIRE(data_sheet_of("NVIDIA H200") != nullptr);
  CHECK(data_sheet_of("NVIDIA H200")->values.at("gpu-read-dram") == 4.8e12);
  CHECK(data_sheet_of("NVIDIA A100-SXM4-80GB")->values.at("gpu-mma-bf16") == 312e12);
  CHECK(data_sheet_of("NVIDIA H100 80GB HBM3")->values.at("gpu-mma-i8") == 1979e12);
  CHECK(data_sheet_of("NVIDIA H100 PCIe") == nullptr);
  CHECK(data_sheet_of("") == nullptr);
  const Ceilings measured = measure_ceilings(gpu_ceiling_plan(fake()));
  for (const char* name : {"NVIDIA H200", "NVIDIA A100-SXM4-80GB", "NVIDIA H100 80GB HBM3"}) {
    const DataSheet& sheet = *data_sheet_of(name);
    CHECK_FALSE(sheet.source.empty());
    for (const auto& [ceiling, value] : sheet.values) {
      INFO(ceiling);
      CHECK((measured.has(ceiling) || ceiling == "gpu-mma-i8"));  // the names of the plan
      CHECK(value > 1e12);
    }
  }
}
