// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace remeasure {

/// The two machines that one kernel source is compiled for.
struct Cuda {  ///< An NVIDIA GPU; compiled by nvcc.
  static constexpr std::string_view kName = "cuda";
};
struct Simt {  ///< CPU threads under the SIMT engine (kernels/simt); compiled by the host compiler.
  static constexpr std::string_view kName = "simt";
};

#ifdef REMEASURE_HAS_CUDA
inline constexpr bool kBuiltWithCuda = true;
#else
inline constexpr bool kBuiltWithCuda = false;
#endif

}  // namespace remeasure
