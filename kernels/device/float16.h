// SPDX-License-Identifier: Apache-2.0
//
// 16-bit storage types. The same two structs in both compilers, so that a host interface has one mangled name;
// conversion uses the GPU's instructions under nvcc and integer arithmetic on the host (tested against
// Eigen::half and Eigen::bfloat16 for every bit pattern). Arithmetic is done in float: `float(a) * float(b)`.
#pragma once

#include <cstdint>

#include "kernels/device/qualifiers.h"

namespace remeasure {

/// IEEE binary16. Conversion from float rounds to nearest even.
struct half {
  std::uint16_t bits;

  half() = default;
  RM_HOST_DEVICE explicit half(float value);
  RM_HOST_DEVICE explicit operator float() const;
  RM_HOST_DEVICE static half from_bits(std::uint16_t bits);
};

/// The upper half of a binary32. Conversion from float rounds to nearest even; NaN stays NaN.
struct bfloat16 {
  std::uint16_t bits;

  bfloat16() = default;
  RM_HOST_DEVICE explicit bfloat16(float value);
  RM_HOST_DEVICE explicit operator float() const;
  RM_HOST_DEVICE static bfloat16 from_bits(std::uint16_t bits);
};

}  // namespace remeasure
