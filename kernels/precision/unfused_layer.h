// SPDX-License-Identifier: Apache-2.0
//
// What surrounds a library's matrix product to make a low-bit layer of it: patches of the map as a matrix of
// the product's type before it, requantisation and pooling after it. Two launches and three arrays in memory
// that the fused layer doesn't have.
#pragma once

#include <cstdint>

#include "kernels/device/device.h"
#include "kernels/device/float16.h"
#include "kernels/precision/low_bit_layer.h"

namespace remeasure::kernels {

/// A row of patches, padded so that int8 tensor cores take it: inner() up to a multiple of 16.
constexpr int patch_row(const LowBitShape& shape) {
  return (shape.inner() + 15) / 16 * 16;
}

/// matrix[rows][patch_row] of the activations' values less `offset` (128 makes 8-bit codes fit into int8);
/// beside the map and in the padding 0. Element: std::int8_t, half or float.
template <class Target, class Element>
void layer_patches(Stream<Target>& stream, const LowBitShape& shape, int offset,
                   DeviceSpan<Target, const std::uint8_t> codes, DeviceSpan<Target, Element> matrix);

/// codes[requantised_rows][outputs] of sums[rows][outputs]. Sum: std::int32_t, half or float.
template <class Target, class Sum>
void requantise_sums(Stream<Target>& stream, const LowBitShape& shape, const Requantise& to,
                     DeviceSpan<Target, const Sum> sums, DeviceSpan<Target, const float> alpha,
                     DeviceSpan<Target, const float> beta, DeviceSpan<Target, std::uint8_t> codes);

/// Codes of a picture's values, as pack_picture_patches makes them.
template <class Target>
void quantise_picture(Stream<Target>& stream, float low, float high, int bits,
                      DeviceSpan<Target, const float> picture, DeviceSpan<Target, std::uint8_t> codes);

}  // namespace remeasure::kernels
