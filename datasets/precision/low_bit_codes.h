// SPDX-License-Identifier: Apache-2.0
//
// Weights and activations of one layer as codes of a few bits: a matrix product or a convolution.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "datasets/dataset.h"

namespace remeasure::datasets {

/// A layer over a map of extent x extent; a matrix product has extent and kernel 1.
struct LowBitLayerSize {
  int images = 1, extent = 1, channels = 0, outputs = 0, kernel = 1;
  int weight_bits = 1, activation_bits = 1;
  std::string encoding = "and";  ///< "and", "xor" (both are signs, 1 bit), "mixed" (1-bit weights are signs)
};

struct LowBitCodesData {
  std::vector<std::uint8_t> weights;      ///< [outputs, kernel, kernel, channels]
  std::vector<std::uint8_t> activations;  ///< [images, extent, extent, channels]
  std::vector<float> alpha, beta;  ///< [outputs]: codes of the next layer are clip(floor(alpha y + beta))
};

/// "low_bit_codes": parameters images, extent, channels, outputs, kernel, weight_bits, activation_bits,
/// encoding. Codes are uniform, as the benchmarks of the paper draw them; alpha and beta spread the sums over
/// the activations' codes.
extern const Definition low_bit_codes_definition;

Parameters low_bit_codes(const LowBitLayerSize& size, std::uint64_t seed);
LowBitCodesData read_low_bit_codes(Reader& reader);

}  // namespace remeasure::datasets
