// SPDX-License-Identifier: Apache-2.0
//
// The source line that calls a device function, as a default argument: `KernelSite site =
// KernelSite::here()`. On Simt the errors name it; under nvcc it is an empty struct that costs nothing.
#pragma once

#include "kernels/device/qualifiers.h"

#ifndef __CUDACC__
#include "kernels/simt/site.h"
#endif

namespace remeasure {

#ifdef __CUDACC__
struct KernelSite {
  RM_DEVICE static constexpr KernelSite here() { return {}; }
};
#else
using KernelSite = simt::Site;
#endif

}  // namespace remeasure
