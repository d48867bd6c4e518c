// SPDX-License-Identifier: Apache-2.0
//
// For the *_cuda.cpp files of this room alone: it includes CUDA.
#pragma once

#include <cublas_v2.h>

#include <string>

#include "kernels/device/device.h"

namespace remeasure::baselines {

/// Throws DeviceError with the call, the status and its meaning.
inline void check(cublasStatus_t status, const char* call) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  throw DeviceError(std::string(call) + " failed: " + cublasGetStatusName(status) + " (" +
                    cublasGetStatusString(status) + ")");
}

}  // namespace remeasure::baselines
