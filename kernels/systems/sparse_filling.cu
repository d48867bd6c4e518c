// SPDX-License-Identifier: Apache-2.0
//
// Elementwise parts of progressive filling by sparse products (sparse_filling.h); the products are
// cuSPARSE's. Not the paper's: what a user of a library would add to it. Shares are rounded down to integers,
// which doubles hold exactly.
//
// Launch: shares and busbw: a block per system or trial, 256 threads; freeze: a thread per flow. All are
// bound by memory: 12 and 24 bytes a link, 40 a flow in each round.
#include "kernels/systems/sparse_filling.h"

#include <stdexcept>

#include "kernels/device/kernel.h"

namespace remeasure::kernels {
namespace {

constexpr int kThreads = 256;

__global__ void __launch_bounds__(kThreads)
    shares_kernel(int links, const float* flows, const double* residual, double* least, float* full) {
  const std::size_t first = static_cast<std::size_t>(blockIdx.x) * static_cast<std::size_t>(links);
  const double none = static_cast<double>(INFINITY);
  const auto share = [&](int l) {
    const float n = flows[first + static_cast<std::size_t>(l)];
    return n > 0 ? floor(residual[first + static_cast<std::size_t>(l)] / static_cast<double>(n)) : none;
  };
  double smallest = none;
  for (int l = static_cast<int>(threadIdx.x); l < links; l += kThreads) smallest = fmin(smallest, share(l));
  smallest = -block_max(-smallest);
  for (int l = static_cast<int>(threadIdx.x); l < links; l += kThreads) {
    full[first + static_cast<std::size_t>(l)] = smallest < none && share(l) == smallest ? 1.0f : 0.0f;
  }
  if (threadIdx.x == 0) least[blockIdx.x] = smallest;
}

__global__ void __launch_bounds__(kThreads)
    freeze_kernel(std::size_t count, std::size_t flows, const float* hits, const double* least, float* active,
                  double* step, double* rate) {
  const std::size_t f = static_cast<std::size_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (f >= count) return;
  const bool frozen = active[f] > 0 && hits[f] > 0;
  const double share = frozen ? least[f / flows] : 0.0;
  step[f] = share;
  if (!frozen) return;
  active[f] = 0;
  rate[f] = share;
}

__global__ void __launch_bounds__(kThreads)
    busbw_kernel(ClosShape s, const std::int32_t* job, const double* rate, std::uint32_t* even,
                 std::uint32_t* weighted) {
  RM_DYNAMIC_SHARED(std::uint32_t, minima);  // even, weighted
  for (int j = static_cast<int>(threadIdx.x); j < 2 * s.jobs; j += kThreads) minima[j] = s.nvlink;
  __syncthreads();
  const std::size_t first = static_cast<std::size_t>(blockIdx.x) * static_cast<std::size_t>(s.flows());
  for (int p = static_cast<int>(threadIdx.x); p < s.rails * s.pairs; p += kThreads) {
    const double* rates = rate + first + static_cast<std::size_t>(p) * static_cast<std::size_t>(s.qps);
    double sum = 0, slowest = rates[0];
    for (int q = 0; q < s.qps; ++q) {
      sum += rates[q];
      slowest = fmin(slowest, rates[q]);
    }
    const double cap = static_cast<double>(s.nvlink);
    const int j = job[p % s.pairs];
    atomicMin(&minima[j], static_cast<std::uint32_t>(fmin(cap, slowest * static_cast<double>(s.qps))));
    atomicMin(&minima[s.jobs + j], static_cast<std::uint32_t>(fmin(cap, sum)));
  }
  __syncthreads();
  for (int j = static_cast<int>(threadIdx.x); j < s.jobs; j += kThreads) {
    const std::size_t at =
        static_cast<std::size_t>(blockIdx.x) * static_cast<std::size_t>(s.jobs) + static_cast<std::size_t>(j);
    even[at] = minima[j];
    weighted[at] = minima[s.jobs + j];
  }
}

void require(bool holds, const char* what) {
  if (!holds)
    throw std::invalid_argument(std::string(what) +
                                ": arrays of other sizes than systems times links, flows or jobs");
}

}  // namespace

template <class Target>
void filling_shares(Stream<Target>& stream, int systems, int links, DeviceSpan<Target, const float> flows,
                    DeviceSpan<Target, const double> residual, DeviceSpan<Target, double> least,
                    DeviceSpan<Target, float> full) {
  const std::size_t all = static_cast<std::size_t>(systems) * static_cast<std::size_t>(links);
  require(flows.size() == all && residual.size() == all && full.size() == all &&
              least.size() == static_cast<std::size_t>(systems),
          "filling_shares");
  launch({.name = "filling_shares", .grid = static_cast<unsigned>(systems), .block = kThreads}, stream,
         shares_kernel, links, flows.data(), residual.data(), least.data(), full.data());
}

template <class Target>
void filling_freeze(Stream<Target>& stream, int systems, int flows, DeviceSpan<Target, const float> hits,
                    DeviceSpan<Target, const double> least, DeviceSpan<Target, float> active,
                    DeviceSpan<Target, double> step, DeviceSpan<Target, double> rate) {
  const std::size_t all = static_cast<std::size_t>(systems) * static_cast<std::size_t>(flows);
  require(hits.size() == all && active.size() == all && step.size() == all && rate.size() == all &&
              least.size() == static_cast<std::size_t>(systems),
          "filling_freeze");
  launch({.name = "filling_freeze", .grid = blocks_for(all, kThreads), .block = kThreads}, stream,
         freeze_kernel, all, static_cast<std::size_t>(flows), hits.data(), least.data(), active.data(),
         step.data(), rate.data());
}

template <class Target>
void filling_busbw(Stream<Target>& stream, const ClosShape& s, int trials,
                   DeviceSpan<Target, const std::int32_t> job, DeviceSpan<Target, const double> rate,
                   DeviceSpan<Target, std::uint32_t> even, DeviceSpan<Target, std::uint32_t> weighted) {
  const auto results = static_cast<std::size_t>(trials) * static_cast<std::size_t>(s.jobs);
  require(job.size() == static_cast<std::size_t>(s.pairs) && even.size() == results &&
              weighted.size() == results &&
              rate.size() == static_cast<std::size_t>(trials) * static_cast<std::size_t>(s.flows()),
          "filling_busbw");
  launch({.name = "filling_busbw",
          .grid = static_cast<unsigned>(trials),
          .block = kThreads,
          .shared_bytes = 8 * static_cast<std::size_t>(s.jobs)},
         stream, busbw_kernel, s, job.data(), rate.data(), even.data(), weighted.data());
}

using T = CompiledTarget;
template void filling_shares(Stream<T>&, int, int, DeviceSpan<T, const float>, DeviceSpan<T, const double>,
                             DeviceSpan<T, double>, DeviceSpan<T, float>);
template void filling_freeze(Stream<T>&, int, int, DeviceSpan<T, const float>, DeviceSpan<T, const double>,
                             DeviceSpan<T, float>, DeviceSpan<T, double>, DeviceSpan<T, double>);
template void filling_busbw(Stream<T>&, const ClosShape&, int, DeviceSpan<T, const std::int32_t>,
                            DeviceSpan<T, const double>, DeviceSpan<T, std::uint32_t>,
                            DeviceSpan<T, std::uint32_t>);

}  // namespace remeasure::kernels
