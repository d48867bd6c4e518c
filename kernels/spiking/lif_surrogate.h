// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>

#include "kernels/device/qualifiers.h"

namespace remeasure::kernels {

/// dm of a step from dm of the one after it: the surrogate derivative 1 / (100 |m - threshold| + 1)^2 of the
/// spike, and what passes through the membrane where it wasn't reset.
RM_HOST_DEVICE inline float membrane_gradient_before(float membrane, float spike_gradient, float after,
                                                     float beta, float threshold) {
  const float distance = 100.0f * std::fabs(membrane - threshold) + 1.0f;
  const float through_reset = membrane > threshold ? 0.0f : beta * after;
  return spike_gradient / (distance * distance) + through_reset;
}

}  // namespace remeasure::kernels
