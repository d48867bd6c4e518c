// SPDX-License-Identifier: Apache-2.0
//
// Codes of a few bits as bit planes, and back.
#pragma once

#include <cstdint>

#include "kernels/device/device.h"
#include "kernels/precision/low_bit_layer.h"

namespace remeasure::kernels {

/// planes[bit][row][word] of codes[row][inner], bits beyond `inner` zero: words = 4 chunks_of(inner). Codes
/// need no more than `bits`; higher bits are dropped.
template <class Target>
void pack_bit_planes(Stream<Target>& stream, int rows, int inner, int bits,
                     DeviceSpan<Target, const std::uint8_t> codes, DeviceSpan<Target, std::uint32_t> planes);

/// codes[row][inner] of the planes.
template <class Target>
void unpack_bit_planes(Stream<Target>& stream, int rows, int inner, int bits,
                       DeviceSpan<Target, const std::uint32_t> planes,
                       DeviceSpan<Target, std::uint8_t> codes);

/// Planes of the patches of a picture under the shape's convolution: [bit][output pixel][words of kernel *
/// kernel * channels]. A first layer has 3 channels: padded to 128 at each tap it would be multiplied with
/// zeros mostly; as a product over patches it isn't. Each value x of the picture becomes round(clip((x - low)
/// / (high - low)) * (2^bits - 1)), half to even; beside the picture the code is 0.
struct PictureRange {
  float low = 0, high = 1;
};
template <class Target>
void pack_picture_patches(Stream<Target>& stream, const LowBitShape& shape, const PictureRange& range,
                          DeviceSpan<Target, const float> picture, DeviceSpan<Target, std::uint32_t> planes);

}  // namespace remeasure::kernels
