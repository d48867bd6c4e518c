// SPDX-License-Identifier: Apache-2.0
//
// One product of tiles, whatever the elements: half and bfloat16 as they are, float with its full precision.
#pragma once

#include "kernels/device/mma.h"

namespace remeasure {

/// Operands of one mma of this element type, from 16-byte chunks as ldmatrix gives them; 32 bytes along the
/// inner dimension.
template <class Element>
struct TileProduct;

template <>
struct TileProduct<half> {
  RM_DEVICE static void multiply(float (&sum)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2]) {
    Mma16x8x16F16::multiply(sum, a, b, sum);
  }
};
template <>
struct TileProduct<bfloat16> {
  RM_DEVICE static void multiply(float (&sum)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2]) {
    Mma16x8x16Bf16::multiply(sum, a, b, sum);
  }
};
/// fp32 as three products of TF32 (Ootomo and Yokota, "Recovering single precision accuracy from Tensor
/// Cores", IJHPCA 2022): x = high + low with 11 bits each; low * low is below the accumulator's rounding.
template <>
struct TileProduct<float> {
  template <int kRegisters>
  RM_DEVICE static void split(const std::uint32_t (&bits)[kRegisters], std::uint32_t (&high)[kRegisters],
                              std::uint32_t (&low)[kRegisters]) {
#pragma unroll
    for (int i = 0; i < kRegisters; ++i) {
      const float x = __uint_as_float(bits[i]);
      high[i] = to_tf32(x);
      low[i] = to_tf32(x - __uint_as_float(high[i]));
    }
  }
  RM_DEVICE static void multiply(float (&sum)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2]) {
    std::uint32_t a_high[4], a_low[4], b_high[2], b_low[2];
    split(a, a_high, a_low);
    split(b, b_high, b_low);
    Mma16x8x8Tf32::multiply(sum, a_low, b_high, sum);
    Mma16x8x8Tf32::multiply(sum, a_high, b_low, sum);
    Mma16x8x8Tf32::multiply(sum, a_high, b_high, sum);
  }
};

}  // namespace remeasure
