// SPDX-License-Identifier: Apache-2.0
//
// launch({.name = "nm_sparse_sddmm", .grid = dim3(8, 4), .block = 128}, stream, kernel, arguments...)
//
// Arguments are converted to the kernel's parameter types first, as a CUDA launch does. Every launch is
// checked: a wrong configuration throws an error that names the kernel and its shape (DeviceError on Cuda,
// simt::EngineError on Simt). Dynamic shared memory above 48 KiB needs an opt-in under CUDA; it is done here.
#pragma once

#include <cstddef>
#include <string>
#include <type_traits>

#include "kernels/device/device.h"
#include "kernels/device/faults.h"

#ifdef __CUDACC__
#include <cuda_runtime.h>

#include "kernels/device/cuda_errors.h"
#else
#include <tuple>

#include "kernels/device/cuda_names.h"
#endif

namespace remeasure {

#ifdef __CUDACC__
using CompiledTarget = Cuda;
#else
using CompiledTarget = Simt;
#endif

/// What a launch is. Fields are in the order of use; all but the name, grid and block are rarely given.
struct Launch {
  const char* name = "kernel";
  dim3 grid = 1;
  dim3 block = 1;
  std::size_t shared_bytes = 0;  ///< dynamic shared memory of a block
  bool order_dependent =
      false;  ///< the result's last bits depend on the schedule (float atomics); Simt then allows it
  /// Threads that returned don't hold up a barrier. Hardware tolerates it; on Simt it is an error unless said
  /// here.
  bool exited_threads_count_as_arrived = false;
};

/// Blocks of `per_block` that cover `items`; at least one, since a grid can't be empty.
template <class Items, class PerBlock>
constexpr unsigned int blocks_for(Items items, PerBlock per_block) {
  const auto n = static_cast<unsigned long long>(items);
  const auto b = static_cast<unsigned long long>(per_block);
  return n == 0 ? 1u : static_cast<unsigned int>((n + b - 1) / b);
}

#ifdef __CUDACC__

namespace detail {

inline void check_launch(cudaError_t status, const Launch& what) {
  if (status == cudaSuccess) return;
  (void)cudaGetLastError();  // one that isn't sticky is cleared, so that the next launch isn't blamed for it
  const auto text = [](dim3 d) {
    return std::to_string(d.x) + "x" + std::to_string(d.y) + "x" + std::to_string(d.z);
  };
  throw DeviceError("launch of kernel " + std::string(what.name) + " (grid " + text(what.grid) + ", block " +
                        text(what.block) + ", " + std::to_string(what.shared_bytes) +
                        " bytes of dynamic shared memory): " + cudaGetErrorName(status) + ": " +
                        cudaGetErrorString(status),
                    reach_of(status));
}

}  // namespace detail

template <class... Parameters>
void launch(const Launch& what, Stream<Cuda>& stream, void (*kernel)(Parameters...),
            std::type_identity_t<Parameters>... arguments) {
  faults::at(faults::Call::launch, what.name);
  const void* function = reinterpret_cast<const void*>(kernel);
  constexpr std::size_t kSharedWithoutOptIn = 48 * 1024;
  if (what.shared_bytes > kSharedWithoutOptIn) {
    detail::check_launch(cudaFuncSetAttribute(function, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                              static_cast<int>(what.shared_bytes)),
                         what);
  }
  void* pointers[sizeof...(Parameters) + 1] = {const_cast<void*>(static_cast<const void*>(&arguments))...,
                                               nullptr};
  detail::check_launch(cudaLaunchKernel(function, what.grid, what.block, pointers, what.shared_bytes,
                                        static_cast<cudaStream_t>(stream.native())),
                       what);
  detail::check_launch(cudaGetLastError(), what);
}

#else

template <class... Parameters>
void launch(const Launch& what, Stream<Simt>& stream, void (*kernel)(Parameters...),
            std::type_identity_t<Parameters>... arguments) {
  faults::at(faults::Call::launch, what.name);
  const std::tuple<Parameters...> copies(arguments...);
  const auto body = [&copies, kernel] {
    std::apply(kernel, copies);
  };  // each thread has its own copy of the parameters
  stream.device().engine().launch({.name = what.name,
                                   .grid = what.grid,
                                   .block = what.block,
                                   .shared_bytes = what.shared_bytes,
                                   .order_dependent = what.order_dependent,
                                   .exited_threads_count_as_arrived = what.exited_threads_count_as_arrived,
                                   .function = reinterpret_cast<const void*>(kernel)},
                                  body);
}

#endif

}  // namespace remeasure
