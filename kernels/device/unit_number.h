// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/device/kernel.h"

namespace remeasure::kernels {

/// exp(i phase) for |phase| <= pi, in float. On a GPU by way of the half turn: sincosf's path for large
/// angles takes a stack.
RM_DEVICE inline float2 unit_number(double phase) {
  float sine, cosine;
#ifdef __CUDACC__
  sincospif(static_cast<float>(phase * 0.31830988618379067154), &sine, &cosine);  // 1 / pi
#else
  sincosf(static_cast<float>(phase), &sine, &cosine);
#endif
  return make_float2(cosine, sine);
}

}  // namespace remeasure::kernels
