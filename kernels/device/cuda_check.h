// SPDX-License-Identifier: Apache-2.0
//
// For the *_cuda.cpp files of this folder: every call of the CUDA runtime is checked.
#pragma once

#include <cuda_runtime_api.h>

#include <string>

#include "kernels/device/cuda_errors.h"
#include "kernels/device/device.h"

namespace remeasure::detail {

inline void check(cudaError_t status, const char* call, const char* file, int line) {
  if (status == cudaSuccess) return;
  (void)cudaGetLastError();  // an error that isn't sticky must not be found again by the next launch
  throw DeviceError(std::string(call) + ": " + cudaGetErrorName(status) + ": " + cudaGetErrorString(status) +
                        " (" + file + ":" + std::to_string(line) + ")",
                    reach_of(status));
}

}  // namespace remeasure::detail

#define RM_CUDA_CHECK(call) ::remeasure::detail::check(call, #call, __FILE__, __LINE__)
