// SPDX-License-Identifier: Apache-2.0
//
// Codes of a few bits at random, and the affine map after a layer of them that uses the codes of the next one
// about equally: what training of a quantised network aims at.
#pragma once

#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

#include "datasets/random.h"

namespace remeasure::datasets {

/// Uniform on 0 to 2^bits - 1.
std::vector<std::uint8_t> uniform_codes(const Philox& random, std::uint64_t count, int bits);

/// Of one activation.
struct Moments {
  double mean = 0, variance = 0;
};
/// Of code k with probability `probability[k]`; of 2 k - 1 where the codes are `signs`.
Moments moments_of(std::span<const double> probability, bool signs = false);
/// 2^bits equal probabilities.
std::vector<double> equal_use(int bits);
/// Of the largest of four independent codes: a pooled one.
std::vector<double> pooled_use(std::span<const double> probability);
/// Of round(v / 255 * (2^bits - 1)) for a uniform v of 8 bits: a picture's codes.
std::vector<double> picture_use(int bits);

/// code = clip(floor(alpha y + beta), 0, 2^bits - 1).
struct Calibration {
  float alpha = 1, beta = 0;
};
/// For y with this mean and variance, about normal: the lowest and the highest code get 1 / 2^bits each,
/// those between have equal steps (2 bits: all equal). alpha has 8 significant bits and beta is a multiple of
/// alpha's last one, so that alpha y + beta within the codes has at most 24 bits: floor gives one code in
/// float and in double.
Calibration calibrated(double mean, double variance, int bits);
/// For each output: y is the sum over its weights (values, not codes) times independent activations.
std::vector<Calibration> calibrated_outputs(std::span<const std::uint8_t> weights, std::size_t outputs,
                                            bool signed_weights, const Moments& activation, int bits);

}  // namespace remeasure::datasets
