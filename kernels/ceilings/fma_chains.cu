// SPDX-License-Identifier: Apache-2.0
//
// Rate of independent multiply-adds: what the cores without tensor units can do at most.
//
//   for (step) for (c < 8) x[c] = fma(x[c], factor, addend);
//
// Registers only; one store per thread at the end keeps the work from being removed. 2 * 8 FLOP per thread
// and step.
#include "kernels/ceilings/fma_chains.h"

#include "kernels/device/kernel.h"

namespace remeasure::kernels {
namespace {

__device__ inline float multiply_add(float x, float factor, float addend) {
  return fmaf(x, factor, addend);
}
__device__ inline double multiply_add(double x, double factor, double addend) {
  return fma(x, factor, addend);
}

template <class T>
__global__ void __launch_bounds__(kFmaThreads)
    fma_kernel(int steps, T factor, T addend, T* __restrict__ out) {
  const int thread = static_cast<int>(blockIdx.x) * kFmaThreads + static_cast<int>(threadIdx.x);
  T x[kFmaChains];
#pragma unroll
  for (int c = 0; c < kFmaChains; ++c) x[c] = static_cast<T>(thread) + static_cast<T>(c) / kFmaChains;
#pragma unroll 16
  for (int step = 0; step < steps; ++step) {
#pragma unroll
    for (int c = 0; c < kFmaChains; ++c) x[c] = multiply_add(x[c], factor, addend);
  }
  T sum = 0;
#pragma unroll
  for (int c = 0; c < kFmaChains; ++c) sum += x[c];
  out[thread] = sum;
}

}  // namespace

template <class Target, class T>
void fma_chains(Stream<Target>& stream, int blocks, int steps, T factor, T addend,
                DeviceSpan<Target, T> out) {
  if (blocks < 1 || steps < 0 || out.size() != static_cast<std::size_t>(blocks) * kFmaThreads) {
    throw std::invalid_argument("fma_chains: " + std::to_string(blocks) +
                                " blocks of 256 threads, but out has " + std::to_string(out.size()) +
                                " elements; steps " + std::to_string(steps));
  }
  launch({.name = "fma_chains", .grid = static_cast<unsigned int>(blocks), .block = kFmaThreads}, stream,
         fma_kernel<T>, steps, factor, addend, out.data());
}

template void fma_chains(Stream<CompiledTarget>&, int, int, float, float, DeviceSpan<CompiledTarget, float>);
template void fma_chains(Stream<CompiledTarget>&, int, int, double, double,
                         DeviceSpan<CompiledTarget, double>);

}  // namespace remeasure::kernels
