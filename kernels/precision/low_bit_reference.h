// SPDX-License-Identifier: Apache-2.0
//
// Low-bit layers on a CPU: from the values that codes stand for (the oracle), and by counting bits (the
// paper's method).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/precision/low_bit_layer.h"

namespace remeasure::kernels {

struct LowBitCodes {
  std::span<const std::uint8_t> activations;  ///< [images, height, width, channels]
  std::span<const std::uint8_t> weights;      ///< [outputs, kernel, kernel, channels]
};

/// sums[i][output] of the rows that are named, from values: patches times weights by Eigen in Scalar (float,
/// double), all cores (or `threads`). Exact while sums are below 2^24 in float; in double it is the oracle.
/// Knows nothing of planes.
template <class Scalar>
void low_bit_sums_of(const LowBitShape& shape, const LowBitCodes& codes, std::span<const std::size_t> rows,
                     std::span<Scalar> sums, int threads = 0);
/// Of all rows.
template <class Scalar>
std::vector<Scalar> low_bit_sums(const LowBitShape& shape, const LowBitCodes& codes, int threads = 0);

/// The patch of an output row as values, [inner]; taps beside the map are 0.
template <class Scalar>
void low_bit_patch(const LowBitShape& shape, std::span<const std::uint8_t> activations, std::size_t row,
                   Scalar* patch);

/// Words of the planes as bit_planes.h lays them out.
std::vector<std::uint32_t> bit_planes(int rows, int inner, int bits, std::span<const std::uint8_t> codes);
std::vector<std::uint8_t> codes_of_planes(int rows, int inner, int bits,
                                          std::span<const std::uint32_t> planes);
std::vector<std::uint32_t> activation_planes(const LowBitShape& shape, std::span<const std::uint8_t> codes);
std::vector<std::uint32_t> weight_planes(const LowBitShape& shape, std::span<const std::uint8_t> codes);

/// What the controls break in the combination of planes; `right` is the paper's.
enum class PlaneWeights {
  right,          ///< 2^(s+t)
  weights_only,   ///< 2^s: the activations' planes all count once
  no_correction,  ///< signed weights without the sum of a row's codes
};

/// The paper's method: popcounts of 64-bit words for each pair of planes and each tap, combined by 2^(s+t),
/// the encoding's correction from popcounts too. Any bits of 1 to 8, any encoding.
void low_bit_popcount(const LowBitShape& shape, std::span<const std::uint32_t> activations,
                      std::span<const std::uint32_t> weights, std::span<std::int32_t> sums, int threads = 0,
                      PlaneWeights planes = PlaneWeights::right);

/// codes[requantised_rows][outputs] in Scalar arithmetic. With alpha of 8 significant bits, and sums that a
/// float holds, float and double agree.
template <class Scalar>
std::vector<std::uint8_t> requantised_codes(const LowBitShape& shape, const Requantise& to,
                                            std::span<const std::int32_t> sums, std::span<const float> alpha,
                                            std::span<const float> beta);

/// Codes of a picture: round((clip(x, low, high) - low) / (high - low) * (2^bits - 1)), half to even.
template <class Scalar>
std::vector<std::uint8_t> picture_codes(std::span<const float> picture, float low, float high, int bits);

}  // namespace remeasure::kernels
