// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/device/device.h"

namespace remeasure::kernels {

/// y = a*x + y, elementwise.  x, y: [n]
template <class Target>
void saxpy(Stream<Target>& stream, float a, DeviceSpan<Target, const float> x, DeviceSpan<Target, float> y);

}  // namespace remeasure::kernels
