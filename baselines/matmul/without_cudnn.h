// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>

#include "kernels/device/device.h"

namespace remeasure::baselines {

/// What stands in cuDNN's place in a build with CUDA: why it can't be used; empty if it can.
std::string cudnn_missing(std::size_t since, const char* operation);

/// Why a variant that calls cuDNN can't run: built without it, or its version (in the headers, or the one
/// found at run time) is older than `since`, with which `operation` came (91301: 9.13.1). Empty if it can,
/// and in a build without CUDA, where no GPU variant runs and the frame says why.
inline std::string without_cudnn(std::size_t since = 0, const char* operation = "") {
  if constexpr (kBuiltWithCuda)
    return cudnn_missing(since, operation);
  else
    return {};
}

}  // namespace remeasure::baselines
