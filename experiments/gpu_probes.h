// SPDX-License-Identifier: Apache-2.0
//
// The probes of a GPU's ceilings from kernels/ceilings and baselines/matmul: here, since no room below knows
// both and the plan (bench/gpu_ceilings.h).
#pragma once

#include <limits>
#include <memory>
#include <optional>

#include "baselines/matmul/launch_time.h"
#include "bench/gpu_ceilings.h"
#include "kernels/ceilings/fma_chains.h"
#include "kernels/ceilings/traffic.h"
#include "kernels/device/graph.h"

namespace remeasure::experiments {

/// Best seconds of one traffic kernel over a working set of `bytes` (copy: half and half).
template <class Target>
double traffic_seconds(Stream<Target>& stream, bench::Traffic traffic, std::size_t bytes, int passes) {
  const std::size_t words =
      bytes / sizeof(std::uint32_t) / 2 / kernels::kTrafficGroup * kernels::kTrafficGroup;
  DeviceBuffer<Target, std::uint32_t> first(stream.device(), words, MemoryUse::workspace,
                                            "half of a working set");
  if (traffic == bench::Traffic::copy) {
    DeviceBuffer<Target, std::uint32_t> second(stream.device(), words, MemoryUse::workspace,
                                               "the other half");
    stream.fill_bytes(first.span(), 1);
    return baselines::launch_seconds(
        stream, [&] { kernels::copy_words<Target>(stream, first, passes, second.span()); });
  }
  first = {};
  DeviceBuffer<Target, std::uint32_t> all(stream.device(), 2 * words, MemoryUse::workspace, "working set");
  if (traffic == bench::Traffic::write) {
    return baselines::launch_seconds(stream,
                                     [&] { kernels::write_words<Target>(stream, 1, passes, all.span()); });
  }
  DeviceBuffer<Target, std::uint32_t> sum(stream.device(), 1, MemoryUse::workspace, "sum");
  stream.fill_bytes(all.span(), 1);
  stream.fill_bytes(sum.span(), 0);
  return baselines::launch_seconds(stream,
                                   [&] { kernels::read_words<Target>(stream, all, passes, sum.span()); });
}

template <class T, class Target>
double fma_rate(Stream<Target>& stream, int steps) {
  const int blocks = 8 * std::max(1, stream.device().properties().multiprocessors);
  DeviceBuffer<Target, T> out(stream.device(), static_cast<std::size_t>(blocks) * kernels::kFmaThreads,
                              MemoryUse::workspace, "sums of chains");
  const double seconds = baselines::launch_seconds(
      stream, [&] { kernels::fma_chains<Target, T>(stream, blocks, steps, T(0.999), T(0.001), out.span()); });
  return kernels::fma_chains_flops(blocks, steps) / seconds;
}

/// Seconds of each of many empty kernels in a row, started one by one or as one graph.
template <class Target>
double empty_launch_seconds(Stream<Target>& stream, bool in_graph, int kernels_in_a_row) {
  const auto enqueue = [&] {
    for (int i = 0; i < kernels_in_a_row; ++i) kernels::no_work(stream);
  };
  if (!in_graph) return baselines::launch_seconds(stream, enqueue) / kernels_in_a_row;
  Graph<Target> graph(stream, enqueue);
  return baselines::launch_seconds(stream, [&] { graph.launch(stream); }) / kernels_in_a_row;
}

/// Opens the first GPU. No value without one. Only where the CUDA toolkit is.
std::optional<bench::GpuProbes> open_gpu_probes();

}  // namespace remeasure::experiments
