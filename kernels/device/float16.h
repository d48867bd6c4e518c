// SPDX-License-Identifier: Apache-2.0
//
// 16-bit storage types. The same two structs in both compilers, so that a host interface has one mangled
// name; conversion uses the GPU's instructions in device code and integer arithmetic on the host (tested
// against Eigen::half and Eigen::bfloat16 for every bit pattern). Arithmetic is done in float: `float(a) *
// float(b)`. A NaN made by a conversion is the GPU's canonical one (0x7fff, 0x7fffffff) on both, so that bits
// can be compared.
#pragma once

#include <bit>
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

namespace detail {

/// float to binary16. Finite values: `shifted` is the result before rounding with the dropped bits below it;
/// adding half a unit in the last place, less one unless the result is odd, and then cutting is rounding to
/// nearest even. The carry of a rounding up runs into the exponent, and from the largest finite value into
/// infinity, as it should.
inline std::uint16_t half_bits_on_host(float value) {
  const auto word = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t sign = word >> 16 & 0x8000u;
  const std::uint32_t magnitude = word & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return 0x7fff;
  if (magnitude >= 0x47800000u)
    return static_cast<std::uint16_t>(sign | 0x7c00u);  // 65536 and above, infinity
  std::uint32_t kept, dropped_bits;
  if (magnitude >= 0x38800000u) {  // normal: 2^-14 and above
    kept = magnitude - (112u << 23);
    dropped_bits = 13;
  } else {  // subnormal, in units of 2^-24
    const std::uint32_t exponent = magnitude >> 23;
    if (exponent < 101) return static_cast<std::uint16_t>(sign);  // below 2^-26 rounds to zero
    kept = (magnitude & 0x7fffffu) | 0x800000u;
    dropped_bits = 126 - exponent;
  }
  const std::uint32_t odd = kept >> dropped_bits & 1u;
  return static_cast<std::uint16_t>(sign | ((kept + (1u << (dropped_bits - 1)) - 1u + odd) >> dropped_bits));
}

inline float half_value_on_host(std::uint16_t bits) {
  const std::uint32_t sign = (bits & 0x8000u) << 16;
  const std::uint32_t magnitude = bits & 0x7fffu;
  if (magnitude > 0x7c00u) return std::bit_cast<float>(0x7fffffffu);
  if (magnitude == 0x7c00u) return std::bit_cast<float>(sign | 0x7f800000u);
  if (magnitude >= 0x0400u) return std::bit_cast<float>(sign | ((magnitude << 13) + (112u << 23)));
  if (magnitude == 0) return std::bit_cast<float>(sign);
  // Subnormal, in units of 2^-24: the highest bit becomes the implied one. Integers, as a conversion is no
  // operation.
  const auto highest = static_cast<std::uint32_t>(std::bit_width(magnitude)) - 1;
  return std::bit_cast<float>(sign | (highest + 103) << 23 | (magnitude << (23 - highest) & 0x7fffffu));
}

inline std::uint16_t bfloat16_bits_on_host(float value) {
  const auto word = std::bit_cast<std::uint32_t>(value);
  if ((word & 0x7fffffffu) > 0x7f800000u) return 0x7fff;
  return static_cast<std::uint16_t>((word + 0x7fffu + (word >> 16 & 1u)) >> 16);
}

}  // namespace detail

// Inline PTX rather than cuda_fp16.h: that header defines a global `half` of its own and doubles the compile
// time.
RM_HOST_DEVICE inline half::half(float value) {
#ifdef __CUDA_ARCH__
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(value));
#else
  bits = detail::half_bits_on_host(value);
#endif
}

RM_HOST_DEVICE inline half::operator float() const {
#ifdef __CUDA_ARCH__
  float value;
  asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(bits));
  return value;
#else
  return detail::half_value_on_host(bits);
#endif
}

RM_HOST_DEVICE inline half half::from_bits(std::uint16_t bits) {
  half value;
  value.bits = bits;
  return value;
}

RM_HOST_DEVICE inline bfloat16::bfloat16(float value) {
#ifdef __CUDA_ARCH__
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(bits) : "f"(value));
#else
  bits = detail::bfloat16_bits_on_host(value);
#endif
}

RM_HOST_DEVICE inline bfloat16::operator float() const {
#ifdef __CUDA_ARCH__
  return __uint_as_float(static_cast<std::uint32_t>(bits) << 16);
#else
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
#endif
}

RM_HOST_DEVICE inline bfloat16 bfloat16::from_bits(std::uint16_t bits) {
  bfloat16 value;
  value.bits = bits;
  return value;
}

// Two 16-bit values in a 32-bit register, as the tensor-core instructions take them: the first in the low
// bits.

template <class T>
RM_HOST_DEVICE inline std::uint32_t pack2(T first, T second) {
  static_assert(sizeof(T) == 2);
  return static_cast<std::uint32_t>(first.bits) | static_cast<std::uint32_t>(second.bits) << 16;
}

/// Element 0 or 1 of a packed pair.
template <class T>
RM_HOST_DEVICE inline T unpack2(std::uint32_t pair, int which) {
  static_assert(sizeof(T) == 2);
  return T::from_bits(static_cast<std::uint16_t>(which == 0 ? pair : pair >> 16));
}

/// Two floats rounded to bfloat16 and packed: one instruction on a GPU, where two conversions and pack2 are
/// four.
RM_HOST_DEVICE inline std::uint32_t pack2_bfloat16(float first, float second) {
#ifdef __CUDA_ARCH__
  std::uint32_t pair;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(second), "f"(first));
  return pair;
#else
  return pack2(bfloat16(first), bfloat16(second));
#endif
}

}  // namespace remeasure
