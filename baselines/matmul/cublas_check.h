// SPDX-License-Identifier: Apache-2.0
//
// For the *_cuda.cpp files of this room alone: it includes CUDA.
#pragma once

#include <cublas_v2.h>

#include <string>

#include "baselines/matmul/library_handle.h"
#include "kernels/device/device.h"

namespace remeasure::baselines {

/// Throws DeviceError with the call, the status and its meaning.
inline void check(cublasStatus_t status, const char* call) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  throw DeviceError(std::string(call) + " failed: " + cublasGetStatusName(status) + " (" +
                    cublasGetStatusString(status) + ")");
}

/// cuBLAS, its calls on `stream`.
struct CublasHandle : LibraryHandle<cublasHandle_t, cublasDestroy> {
  explicit CublasHandle(Stream<Cuda>& stream) {
    check(cublasCreate(&handle), "cublasCreate");
    check(cublasSetStream(handle, static_cast<cudaStream_t>(stream.native())), "cublasSetStream");
  }
};

}  // namespace remeasure::baselines
