// SPDX-License-Identifier: Apache-2.0
#include "datasets/precision/low_bit_calibration.h"

#include <algorithm>

namespace remeasure::datasets {

std::vector<std::uint8_t> uniform_codes(const Philox& random, std::uint64_t count, int bits) {
  std::vector<std::uint8_t> codes(count);
  for (std::uint64_t i = 0; i < count; i += 8) {  // 64 random bits are 8 codes
    std::uint64_t word = random.bits(i / 8);
    for (std::uint64_t j = i; j < std::min(i + 8, count); ++j, word >>= 8) {
      codes[j] = static_cast<std::uint8_t>((word & 255u) >> (8 - bits));
    }
  }
  return codes;
}

Moments moments_of(std::span<const double> probability, bool signs) {
  Moments moments;
  double squares = 0;
  for (std::size_t code = 0; code < probability.size(); ++code) {
    const double value = signs ? 2 * static_cast<double>(code) - 1 : static_cast<double>(code);
    moments.mean += probability[code] * value;
    squares += probability[code] * value * value;
  }
  moments.variance = squares - moments.mean * moments.mean;
  return moments;
}

std::vector<double> equal_use(int bits) {
  const std::size_t codes = std::size_t{1} << bits;
  return std::vector<double>(codes, 1 / static_cast<double>(codes));
}

std::vector<double> pooled_use(std::span<const double> probability) {
  std::vector<double> pooled;
  double below = 0, at_most = 0;
  for (const double each : probability) {
    at_most += each;
    const double squared = at_most * at_most;
    pooled.push_back(squared * squared - below);
    below = squared * squared;
  }
  return pooled;
}

std::vector<double> picture_use(int bits) {
  std::vector<double> use(std::size_t{1} << bits, 0.0);
  const double last = static_cast<double>(use.size() - 1);
  for (int value = 0; value < 256; ++value)
    use[static_cast<std::size_t>(std::rint(value / 255.0 * last))] += 1.0 / 256;
  return use;
}

Calibration calibrated(double mean, double variance, int bits) {
  const double codes = static_cast<double>(1 << bits), deviation = std::sqrt(std::max(variance, 1e-6));
  const double step = bits == 1 ? deviation : 2 * inverse_normal(1 - 1 / codes) / (codes - 2) * deviation;
  int exponent = 0;
  const double significand = std::frexp(1 / step, &exponent);  // in [1/2, 1)
  const double unit = std::ldexp(1.0, exponent - 8);
  const double alpha = std::round(std::ldexp(significand, 8)) * unit;
  const double beta = std::round((codes / 2 - alpha * mean) / unit) * unit;
  return {static_cast<float>(alpha), static_cast<float>(beta)};
}

std::vector<Calibration> calibrated_outputs(std::span<const std::uint8_t> weights, std::size_t outputs,
                                            bool signed_weights, const Moments& activation, int bits) {
  const std::size_t inner = weights.size() / outputs;
  std::vector<Calibration> result;
  for (std::size_t output = 0; output < outputs; ++output) {
    std::int64_t sum = 0, squares = 0;
    for (const std::uint8_t code : weights.subspan(output * inner, inner)) {
      const std::int64_t value = signed_weights ? 2 * code - 1 : code;
      sum += value;
      squares += value * value;
    }
    result.push_back(calibrated(activation.mean * static_cast<double>(sum),
                                activation.variance * static_cast<double>(squares), bits));
  }
  return result;
}

}  // namespace remeasure::datasets
