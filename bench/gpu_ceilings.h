// SPDX-License-Identifier: Apache-2.0
//
// What to measure of a GPU. How is not this room's business: kernels and libraries come in as functions, from
// the program's main or from a test.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "bench/ceilings.h"
#include "kernels/device/device.h"

namespace remeasure::bench {

enum class Traffic { read, copy, write };

/// One opened GPU. The functions give seconds at their best, or 0 for what this GPU can't do.
struct GpuProbes {
  DeviceProperties device;
  /// `passes` passes over a working set of `bytes` (copy: half is read, half written) in one launch.
  std::function<double(Traffic, std::size_t bytes, int passes)> traffic_seconds;
  /// One n x n x n product by the library at its best; dtype as in kProductTypes.
  std::function<double(const std::string& dtype, int n)> product_seconds;
  /// flop/s of independent multiply-adds, "f32" or "f64".
  std::function<double(const std::string& dtype)> fma_rate;
  /// One kernel without work: launched from the host, or as a node of a graph.
  std::function<double(bool in_graph)> launch_seconds;
};

/// Opens the first GPU; no value where there is none. An empty function: the program was built without GPU
/// probes.
using OpenGpuProbes = std::function<std::optional<GpuProbes>()>;

inline const std::vector<std::string> kProductTypes = {"f64", "f32", "tf32", "bf16", "f16", "i8"};

/// Values that the plan makes:
///   gpu-read-dram, gpu-copy-dram, gpu-write-dram   bytes/s of a working set beyond 4 L2 (at least 1 GiB
///   where there is room) gpu-read-l2, gpu-copy-l2, gpu-write-l2         the best of working sets of 1/8, 1/4
///   and 1/2 L2 gpu-mma-<type>                                 op/s of square products, the best of n = 2048,
///   4096, 8192 gpu-fma-f32, gpu-fma-f64                       flop/s of independent multiply-adds
///   gpu-launch, gpu-launch-graph                   seconds
/// The machine is named by device, driver, multiprocessors and memory: a part of a GPU (MIG) is another
/// machine.
CeilingPlan gpu_ceiling_plan(const GpuProbes& probes);

/// Bytes of the working set that is read from device memory; 0 where the memory has no room for more than 4
/// L2.
std::size_t dram_working_set(const DeviceProperties& device);

}  // namespace remeasure::bench
