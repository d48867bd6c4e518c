// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace remeasure::kernels {

/// What `ptxas -v` said of every kernel when this program was built: for each .cu file a line "source
/// kernels/...", then ptxas's own lines. Empty where the CUDA toolkit was not found. Link `ptxas_output` to
/// have it.
extern const std::string_view ptxas_output;

}  // namespace remeasure::kernels
