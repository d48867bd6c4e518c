// SPDX-License-Identifier: Apache-2.0
//
// Cooperative launches: all blocks of the grid are on the device at once, so they may wait for each other.
//
//   __global__ void steps_kernel(int steps, float* state) {
//     for (int t = 0; t < steps; ++t) {
//       ...                 // reads what other blocks wrote to `state` before
//       grid_barrier();     // every thread of every block
//     }
//   }
//   launch_cooperative({.name = "steps", .grid = 16, .block = 128}, stream, steps_kernel, steps,
//   state.data());
//
// A grid that can't be resident at once is an error that names the limit; resident_blocks() asks for it
// first. A grid barrier costs one to two microseconds on a GPU and orders all memory of the grid.
#pragma once

#include "kernels/device/kernel_site.h"
#include "kernels/device/launch.h"

#ifdef __CUDACC__
#include <cooperative_groups.h>
#else
#include "kernels/simt/cooperative.h"
#endif

namespace remeasure {

#ifdef __CUDACC__

namespace detail {

/// Dynamic shared memory above 48 KiB needs the opt-in also for a question about occupancy.
inline void allow_shared_bytes(const void* function, const Launch& what) {
  if (what.shared_bytes <= 48 * 1024) return;
  check_launch(cudaFuncSetAttribute(function, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                    static_cast<int>(what.shared_bytes)),
               what);
}

}  // namespace detail

/// How many blocks of this launch the device holds at once; the grid of `what` is not looked at.
template <class... Parameters>
std::uint64_t resident_blocks(const Launch& what, Stream<Cuda>& stream, void (*kernel)(Parameters...)) {
  const void* function = reinterpret_cast<const void*>(kernel);
  detail::allow_shared_bytes(function, what);
  int of_multiprocessor = 0;
  detail::check_launch(cudaOccupancyMaxActiveBlocksPerMultiprocessor(
                           &of_multiprocessor, function,
                           static_cast<int>(what.block.x * what.block.y * what.block.z), what.shared_bytes),
                       what);
  return static_cast<std::uint64_t>(of_multiprocessor) *
         static_cast<std::uint64_t>(stream.device().properties().multiprocessors);
}

template <class... Parameters>
void launch_cooperative(const Launch& what, Stream<Cuda>& stream, void (*kernel)(Parameters...),
                        std::type_identity_t<Parameters>... arguments) {
  faults::at(faults::Call::launch, what.name);
  const std::uint64_t limit = resident_blocks(what, stream, kernel);
  const std::uint64_t blocks = std::uint64_t{what.grid.x} * what.grid.y * what.grid.z;
  if (blocks > limit) {
    throw DeviceError("launch of kernel " + std::string(what.name) + ": its " + std::to_string(blocks) +
                      " blocks can't all be resident at once, which a cooperative launch needs: of " +
                      std::to_string(what.block.x * what.block.y * what.block.z) + " threads and " +
                      std::to_string(what.shared_bytes) + " bytes of dynamic shared memory, " +
                      stream.device().properties().name + " holds " + std::to_string(limit) +
                      "; use fewer or smaller blocks");
  }
  void* pointers[sizeof...(Parameters) + 1] = {const_cast<void*>(static_cast<const void*>(&arguments))...,
                                               nullptr};
  detail::check_launch(
      cudaLaunchCooperativeKernel(reinterpret_cast<const void*>(kernel), what.grid, what.block, pointers,
                                  what.shared_bytes, static_cast<cudaStream_t>(stream.native())),
      what);
  detail::check_launch(cudaGetLastError(), what);
}

/// Waits until every thread of the grid is here; all that any of them wrote before is visible to all after.
RM_DEVICE inline void grid_barrier() {
  cooperative_groups::this_grid().sync();
}

#else

template <class... Parameters>
std::uint64_t resident_blocks(const Launch& what, Stream<Simt>&, void (*)(Parameters...)) {
  return simt::resident_blocks(what.block, what.shared_bytes);
}

template <class... Parameters>
void launch_cooperative(const Launch& what, Stream<Simt>& stream, void (*kernel)(Parameters...),
                        std::type_identity_t<Parameters>... arguments) {
  simt::detail::next_launch_cooperative = true;
  launch(what, stream, kernel, arguments...);
}

inline void grid_barrier(const KernelSite& site = KernelSite::here()) {
  simt::grid_barrier(site);
}

#endif

}  // namespace remeasure
