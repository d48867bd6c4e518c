// SPDX-License-Identifier: Apache-2.0
//
// Layer norm over the channels of each pixel, channels last: what ConvNeXt has between its depthwise
// convolution and its dense layers.
#pragma once

#include "kernels/device/device.h"
#include "kernels/device/float16.h"

namespace remeasure::kernels {

/// y[p, c] = (x[p, c] - mean) / sqrt(variance + epsilon) * gain[c] + offset[c].  x, y: [pixels, channels];
/// norm: gain, then offset. Channels: even, at most 2048. Element: half, bfloat16, float; sums in fp32.
template <class Target, class Element>
void channel_norm(Stream<Target>& stream, int channels, float epsilon, DeviceSpan<Target, const Element> x,
                  DeviceSpan<Target, const float> norm, DeviceSpan<Target, Element> y);

/// Operations of one pixel: two butterflies of the warp (160 each) and five operations of each lane; of a
/// channel a sum, a difference, a square and its sum, three to scale it. Lanes without a channel add zeros.
constexpr double channel_norm_flops(int channels) {
  const int pairs = (channels + 63) / 64, held = pairs <= 2 ? 2 : pairs <= 4 ? 4 : pairs <= 8 ? 8 : 16;
  return 320 + 6 * 32 + 6.0 * channels + 64.0 * (channels <= 1024 ? held : 32);
}

}  // namespace remeasure::kernels
