// SPDX-License-Identifier: Apache-2.0
//
// The smallest whole kernel: the example at the head of kernels/device/kernel.h.
#include "kernels/device/testing/saxpy.h"

#include "kernels/device/kernel.h"

namespace remeasure::kernels {
namespace {

__global__ void saxpy_kernel(int n, float a, const float* __restrict__ x, float* __restrict__ y) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i < n) y[i] = a * x[i] + y[i];
}

}  // namespace

template <class Target>
void saxpy(Stream<Target>& stream, float a, DeviceSpan<Target, const float> x, DeviceSpan<Target, float> y) {
  const int n = static_cast<int>(x.size());
  launch({.name = "saxpy", .grid = blocks_for(n, 256), .block = 256}, stream, saxpy_kernel, n, a, x.data(),
         y.data());
}

template void saxpy(Stream<CompiledTarget>&, float, DeviceSpan<CompiledTarget, const float>,
                    DeviceSpan<CompiledTarget, float>);

}  // namespace remeasure::kernels
