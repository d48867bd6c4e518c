// SPDX-License-Identifier: Apache-2.0
//
// Patches of a picture as a matrix, and back: what surrounds a library's matrix product to make a convolution
// of it. Channels last.
#pragma once

#include "kernels/convolution/tensor4.h"
#include "kernels/device/device.h"
#include "kernels/device/float16.h"

namespace remeasure::kernels {

/// Elements of the matrix: [groups, out_pixels, inner].
constexpr std::size_t patch_elements(const ConvolutionShape& shape) {
  return static_cast<std::size_t>(shape.groups) * shape.out_pixels() *
         static_cast<std::size_t>(shape.inner());
}

/// patches[group][pixel][tap][channel] = input under the tap, 0 beside the picture. Element: half, bfloat16,
/// float.
template <class Target, class Element>
void im2col(Stream<Target>& stream, const ConvolutionShape& shape, DeviceSpan<Target, const Element> input,
            DeviceSpan<Target, Element> patches);

/// input[pixel] = sum, in float, of the patches' elements that im2col would fill from it. Each pixel gathers:
/// no atomics.
template <class Target, class Element>
void col2im(Stream<Target>& stream, const ConvolutionShape& shape, DeviceSpan<Target, const Element> patches,
            DeviceSpan<Target, Element> input);

}  // namespace remeasure::kernels
