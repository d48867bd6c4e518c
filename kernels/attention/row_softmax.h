// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/device/device.h"
#include "kernels/device/float16.h"

namespace remeasure::kernels {

/// output[r, :] = softmax(input[r, :]) for every row, computed in fp32. `output` may be `input`.
/// Element: bfloat16 or float.  input, output: [rows, columns]; columns is a multiple of 16 bytes' worth of
/// elements.
template <class Target, class Element>
void row_softmax(Stream<Target>& stream, std::size_t rows, int columns,
                 DeviceSpan<Target, const Element> input, DeviceSpan<Target, Element> output);

}  // namespace remeasure::kernels
