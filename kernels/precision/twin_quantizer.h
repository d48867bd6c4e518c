// SPDX-License-Identifier: Apache-2.0
//
// Twin uniform quantisation (Yuan, Xue, Chen, Wu, Sun, "PTQ4ViT", ECCV 2022, arXiv 2111.12293, section 3.2):
// two ranges with steps of their own, a flag bit and k - 1 bits of magnitude. Uniform quantisation is the
// case without a low range.
//
//   if (x < split) { code = clip(round(x / low_step)); value = code * low_step; }      // plane "low", flag 0
//   else           { code = clip(round(x / high_step)); value = code * high_step; }    // plane "high", flag
//   1
//
// Rounding is to nearest even of x times the reciprocal step, on every device (the authors divide by the
// step; both differ only where x / step is within an ulp of a tie).
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>

#include "kernels/precision/quantize.h"

namespace remeasure::kernels {

/// Least value of x Phi(x): what the negative range of an activation after GELU ends at.
inline constexpr double kGeluMinimum = -0.16997;

template <class Scalar>
struct TwinQuantizer {
  Scalar low_step = 1, high_step = 1;
  Scalar low_inverse = 1, high_inverse = 1;
  Scalar split = 0;  ///< x below it lies in the low range
  CodeRange low = {}, high = {};

  RM_HOST_DEVICE bool is_low(Scalar x) const { return x < split; }
  /// Operands that its codes fill: 1 for a uniform quantiser.
  int planes() const { return std::isinf(split) ? 1 : 2; }
  RM_HOST_DEVICE std::int32_t code(Scalar x) const {
    return is_low(x) ? clipped_code<Rounding::nearest_even>(x * low_inverse, low)
                     : clipped_code<Rounding::nearest_even>(x * high_inverse, high);
  }
  RM_HOST_DEVICE Scalar operator()(Scalar x) const {
    return static_cast<Scalar>(code(x)) * (is_low(x) ? low_step : high_step);
  }
};

/// -2^(bits-1) to 2^(bits-1) - 1 steps.
template <class Scalar>
TwinQuantizer<Scalar> uniform_quantizer(Scalar step, int bits) {
  return {.low_step = step,
          .high_step = step,
          .low_inverse = 1 / step,
          .high_inverse = 1 / step,
          .split = -std::numeric_limits<Scalar>::infinity(),
          .low = signed_codes(bits),
          .high = signed_codes(bits)};
}

/// For [0, 1]: below 2^-shift steps of 2^-shift / (q - 1), from there on steps of 1 / (q - 1), q =
/// 2^(bits-1).
template <class Scalar>
TwinQuantizer<Scalar> softmax_quantizer(int shift, int bits) {
  const Scalar most = static_cast<Scalar>((1 << (bits - 1)) - 1), small = std::ldexp(Scalar(1), -shift);
  return {.low_step = small / most,
          .high_step = 1 / most,
          .low_inverse = std::ldexp(most, shift),
          .high_inverse = most,
          .split = small,
          .low = unsigned_codes(bits - 1),
          .high = unsigned_codes(bits - 1)};
}

/// After GELU: negative values in steps of 0.16997 / q, others in steps of `high_step`. The least code is -(q
/// - 1), since q wouldn't fit k - 1 bits of magnitude.
template <class Scalar>
TwinQuantizer<Scalar> gelu_quantizer(Scalar high_step, int bits) {
  const std::int32_t most = (1 << (bits - 1)) - 1;
  const Scalar low_step = static_cast<Scalar>(-kGeluMinimum) / static_cast<Scalar>(most + 1);
  return {.low_step = low_step,
          .high_step = high_step,
          .low_inverse = 1 / low_step,
          .high_inverse = 1 / high_step,
          .split = 0,
          .low = {-most, 0},
          .high = {0, most}};
}

/// One byte: flag << (bits - 1) | magnitude. Zero is 0 of the low range, wherever it comes from.
template <class Scalar>
RM_HOST_DEVICE inline std::uint8_t packed_code(const TwinQuantizer<Scalar>& quantizer, Scalar x, int bits) {
  const std::int32_t code = quantizer.code(x), magnitude = code < 0 ? -code : code;
  const std::int32_t flag = magnitude == 0 || quantizer.is_low(x) ? 0 : 1 << (bits - 1);
  return static_cast<std::uint8_t>(flag | magnitude);
}

}  // namespace remeasure::kernels
