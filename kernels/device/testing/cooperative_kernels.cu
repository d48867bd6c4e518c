// SPDX-License-Identifier: Apache-2.0
//
// Kernels that expose cooperative launches to kernels/device/cooperative_test.cpp.
#include "kernels/device/testing/cooperative_kernels.h"

#include "kernels/device/cooperative.h"
#include "kernels/device/kernel.h"

namespace remeasure::kernels {
namespace {

__global__ void neighbour_sums_kernel(int steps, int distance, int barriers, unsigned* values) {
  const unsigned n = gridDim.x * blockDim.x;
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  for (int step = 0; step < steps; ++step) {
    const unsigned sum = (values[i] + values[(i + static_cast<unsigned>(distance)) % n]) % 1000003u;
    if (barriers > 0) grid_barrier();
    values[i] = sum;
    if (barriers > 1) grid_barrier();
  }
}

__global__ void empty_grid_kernel() {}

}  // namespace

template <class Target>
void neighbour_sums(Stream<Target>& stream, int steps, int distance, int barriers,
                    DeviceSpan<Target, unsigned> values) {
  launch_cooperative({.name = "neighbour_sums", .grid = blocks_for(values.size(), 64), .block = 64}, stream,
                     neighbour_sums_kernel, steps, distance, barriers, values.data());
}

template <class Target>
void empty_grid(Stream<Target>& stream, unsigned blocks, unsigned threads, std::size_t shared_bytes) {
  launch_cooperative({.name = "empty_grid", .grid = blocks, .block = threads, .shared_bytes = shared_bytes},
                     stream, empty_grid_kernel);
}

template <class Target>
std::uint64_t empty_grid_limit(Stream<Target>& stream, unsigned threads, std::size_t shared_bytes) {
  return resident_blocks({.name = "empty_grid", .block = threads, .shared_bytes = shared_bytes}, stream,
                         empty_grid_kernel);
}

template void neighbour_sums(Stream<CompiledTarget>&, int, int, int, DeviceSpan<CompiledTarget, unsigned>);
template void empty_grid(Stream<CompiledTarget>&, unsigned, unsigned, std::size_t);
template std::uint64_t empty_grid_limit(Stream<CompiledTarget>&, unsigned, std::size_t);

}  // namespace remeasure::kernels
