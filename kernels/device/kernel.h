// SPDX-License-Identifier: Apache-2.0
//
// What a kernel source includes, and all that it needs to include for plain CUDA C++. Each `.cu` is compiled
// twice: by nvcc for `Cuda`, where the CUDA names come from the toolkit, and by the host compiler as C++20
// for `Simt`, where they come from this folder and mean the same on the SIMT engine. The example that
// everyone copies is kernels/device/testing/saxpy.{h,cu}:
//
//   // saxpy.h: the host interface. Host C++ only: no kernel.h, no CUDA.
//   #include "kernels/device/device.h"
//   namespace remeasure::kernels {
//   /// y = a*x + y, elementwise.  x, y: [n]
//   template <class Target>
//   void saxpy(Stream<Target>& stream, float a, DeviceSpan<Target, const float> x, DeviceSpan<Target, float>
//   y);
//   }
//
//   // saxpy.cu: the source for both targets.
//   #include "saxpy.h"
//   #include "kernels/device/kernel.h"
//   namespace remeasure::kernels {
//   namespace {
//   __global__ void saxpy_kernel(int n, float a, const float* __restrict__ x, float* __restrict__ y) {
//     const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
//     if (i < n) y[i] = a * x[i] + y[i];
//   }
//   }  // namespace
//
//   template <class Target>
//   void saxpy(Stream<Target>& stream, float a, DeviceSpan<Target, const float> x, DeviceSpan<Target, float>
//   y) {
//     const int n = static_cast<int>(x.size());
//     launch({.name = "saxpy", .grid = blocks_for(n, 256), .block = 256}, stream, saxpy_kernel, n, a,
//     x.data(), y.data());
//   }
//
//   template void saxpy(Stream<CompiledTarget>&, float, DeviceSpan<CompiledTarget, const float>,
//                       DeviceSpan<CompiledTarget, float>);
//   }  // namespace remeasure::kernels
//
// Differences to plain CUDA C++, all three for the sake of the checker:
//   - shared memory is declared by RM_SHARED / RM_DYNAMIC_SHARED (shared.h says why);
//   - kernels are launched by launch({...}, stream, kernel, arguments...) instead of <<<...>>>;
//   - tensor-core and copy instructions are called by their wrappers (mma.h, copy.h), never as inline PTX.
// Included one by one where needed: mma.h, copy.h, philox.h (random numbers), warp_tile.h (parts of a warp).
// A kernel and its host function live in a named namespace below `remeasure`; device functions may be static,
// in an unnamed namespace, or templates, as in CUDA.
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstdio>

#include "kernels/device/device.h"
#include "kernels/device/float16.h"
#include "kernels/device/target.h"

#ifdef __CUDACC__
#include <cuda_runtime.h>
#else
#include "kernels/device/cuda_names.h"
#endif

#include "kernels/device/atomics.h"
#include "kernels/device/cuda_math.h"
#include "kernels/device/launch.h"
#include "kernels/device/shared.h"
#include "kernels/device/warp.h"
