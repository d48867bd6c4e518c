// SPDX-License-Identifier: Apache-2.0
//
// Uniform quantisation: how a real number becomes an integer code and a code a number again. Host and device,
// no state; every rule of rounding is named, since two that agree nearly everywhere still give two networks.
#pragma once

#include <cmath>
#include <cstdint>

#include "kernels/device/qualifiers.h"

namespace remeasure::kernels {

/// nearest_even: half to even (rint, PyTorch's round). nearest_away: half away from zero (C's round). floor:
/// towards -infinity.
enum class Rounding { nearest_even, nearest_away, floor };

template <Rounding kRule, class Scalar>
RM_HOST_DEVICE inline Scalar rounded_to_integer(Scalar x) {
  using std::floor, std::rint, std::round;
  if constexpr (kRule == Rounding::nearest_even)
    return rint(x);
  else if constexpr (kRule == Rounding::nearest_away)
    return round(x);
  else
    return floor(x);
}

/// The codes that there are, both ends included.
struct CodeRange {
  std::int32_t low = 0, high = 0;

  RM_HOST_DEVICE constexpr std::int32_t count() const { return high - low + 1; }
  RM_HOST_DEVICE constexpr bool operator==(const CodeRange& other) const {
    return low == other.low && high == other.high;
  }
};
/// 0 to 2^bits - 1.
RM_HOST_DEVICE constexpr CodeRange unsigned_codes(int bits) {
  return {0, static_cast<std::int32_t>((1u << bits) - 1)};
}
/// -2^(bits-1) to 2^(bits-1) - 1.
RM_HOST_DEVICE constexpr CodeRange signed_codes(int bits) {
  return {-(1 << (bits - 1)), (1 << (bits - 1)) - 1};
}
/// -(2^(bits-1) - 1) to 2^(bits-1) - 1: what is left where -x must have a code too.
RM_HOST_DEVICE constexpr CodeRange symmetric_codes(int bits) {
  return {-((1 << (bits - 1)) - 1), (1 << (bits - 1)) - 1};
}

/// The code next to x by the rule, at most the ends of the range: clipped as a Scalar, so that no x
/// overflows. NaN becomes `low`.
template <Rounding kRule, class Scalar>
RM_HOST_DEVICE inline std::int32_t clipped_code(Scalar x, const CodeRange& range) {
  const Scalar integer = rounded_to_integer<kRule>(x), low = static_cast<Scalar>(range.low),
               high = static_cast<Scalar>(range.high);
  return integer >= high ? range.high : integer > low ? static_cast<std::int32_t>(integer) : range.low;
}

/// value = step * (code - zero);  code = clip(round(x / step) + zero).
template <class Scalar, Rounding kRule = Rounding::nearest_even>
struct UniformQuantizer {
  Scalar step = 1;
  std::int32_t zero = 0;
  CodeRange range = {};

  RM_HOST_DEVICE std::int32_t code(Scalar x) const {
    // The zero point is an integer: clipping before it is added is the same, and can't overflow.
    return clipped_code<kRule>(x / step, CodeRange{range.low - zero, range.high - zero}) + zero;
  }
  RM_HOST_DEVICE Scalar value(std::int32_t of_code) const {
    return step * static_cast<Scalar>(of_code - zero);
  }
  /// The number that x becomes.
  RM_HOST_DEVICE Scalar operator()(Scalar x) const { return value(code(x)); }
};

/// Codes of [low, high], low the code 0 and high the code 2^bits - 1:  round((clip(x) - low) / (high - low) *
/// (2^bits - 1)). Of an interval that isn't around 0 the end is what is exact, so `low` is subtracted rather
/// than made a zero point.
template <class Scalar, Rounding kRule = Rounding::nearest_even>
struct IntervalQuantizer {
  Scalar low = 0, high = 1;
  CodeRange range = {};

  RM_HOST_DEVICE std::int32_t code(Scalar x) const {
    return clipped_code<kRule>((x - low) / (high - low) * static_cast<Scalar>(range.high), range);
  }
  RM_HOST_DEVICE Scalar value(std::int32_t of_code) const {
    return low + (high - low) * static_cast<Scalar>(of_code) / static_cast<Scalar>(range.high);
  }
};

/// The affine map between two layers of integers, batch norm, rectifier and quantiser in one:  clip(round(sum
/// * scale + offset)). One rounding of the product and the sum together (fma), on a CPU as on a GPU, so that
/// both give the same code.
template <Rounding kRule, class Scalar>
RM_HOST_DEVICE inline std::int32_t requantised(std::int32_t sum, Scalar scale, Scalar offset,
                                               const CodeRange& range) {
  using std::fma;
  return clipped_code<kRule>(fma(static_cast<Scalar>(sum), scale, offset), range);
}

}  // namespace remeasure::kernels
