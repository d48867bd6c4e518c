// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "kernels/device/philox.h"
#include "kernels/device/testing/test_bench.h"
#include "kernels/precision/apnn.h"
#include "kernels/precision/bit_planes.h"
#include "kernels/precision/low_bit_reference.h"

namespace remeasure::kernels::testing {

inline std::vector<std::uint8_t> random_codes(std::size_t count, int bits, std::uint64_t seed) {
  std::vector<std::uint8_t> codes(count);
  for (std::size_t i = 0; i < count; ++i)
    codes[i] = static_cast<std::uint8_t>(philox(seed, i).word[0] >> (32 - bits));
  return codes;
}

/// A layer with uniform codes.
struct LowBitProblem {
  explicit LowBitProblem(const LowBitShape& of, std::uint64_t seed = 1)
      : shape(of),
        activations(random_codes(of.activation_codes(), of.activation_bits, seed)),
        weights(random_codes(of.weight_codes(), of.weight_bits, seed + 1)) {}
  LowBitCodes codes() const { return {activations, weights}; }
  std::vector<std::int32_t> oracle() const {
    const std::vector<double> sums = low_bit_sums<double>(shape, codes(), 1);
    return {sums.begin(), sums.end()};
  }
  std::vector<std::int32_t> by_popcount(PlaneWeights planes = PlaneWeights::right) const {
    std::vector<std::int32_t> sums(shape.sums());
    low_bit_popcount(shape, activation_planes(shape, activations), weight_planes(shape, weights), sums, 1,
                     planes);
    return sums;
  }

  LowBitShape shape;
  std::vector<std::uint8_t> activations, weights;
};

struct Scaling {
  std::vector<float> alpha, beta;
};
/// Spreads the sums of each output over the codes; `digits` of alpha's significand are kept.
inline Scaling scaling_of(const LowBitShape& shape, const Requantise& to,
                          const std::vector<std::int32_t>& sums, int digits = 24) {
  const auto outputs = static_cast<std::size_t>(shape.outputs), rows = sums.size() / outputs;
  Scaling scaling{std::vector<float>(outputs), std::vector<float>(outputs)};
  for (std::size_t output = 0; output < outputs; ++output) {
    double mean = 0, squares = 0;
    for (std::size_t row = 0; row < rows; ++row) {
      const double sum = sums[row * outputs + output];
      mean += sum / static_cast<double>(rows);
      squares += sum * sum / static_cast<double>(rows);
    }
    const double deviation = std::sqrt(std::max(1.0, squares - mean * mean)), levels = 1 << to.bits;
    int exponent = 0;
    const double significand = std::frexp(levels / (3 * deviation), &exponent);
    const double alpha = std::ldexp(std::round(std::ldexp(significand, digits)), exponent - digits);
    scaling.alpha[output] = static_cast<float>(alpha);
    scaling.beta[output] =
        static_cast<float>(std::ldexp(std::round(std::ldexp(levels / 2 - alpha * mean, 12)), -12));
  }
  return scaling;
}

/// On a device: codes are packed there, then the layer runs.
template <class Target>
struct LowBitDevice {
  LowBitDevice(remeasure::testing::TestBench<Target>& on, const LowBitProblem& of)
      : bench(on),
        problem(of),
        activations(bench.template output<std::uint32_t>(of.shape.activation_words())),
        weights(bench.template output<std::uint32_t>(of.shape.weight_words())) {
    const LowBitShape& s = of.shape;
    const auto x = bench.upload(of.activations), w = bench.upload(of.weights);
    pack_bit_planes<Target>(bench.stream(), s.pixels(), s.channels, s.activation_bits, x, activations);
    pack_bit_planes<Target>(bench.stream(), s.outputs * s.taps(), s.channels, s.weight_bits, w, weights);
    bench.stream().synchronize();
  }
  std::vector<std::int32_t> sums() {
    auto out = bench.template output<std::int32_t>(problem.shape.sums());
    low_bit_layer<Target>(bench.stream(), problem.shape, std::as_const(activations), std::as_const(weights),
                          out);
    return bench.download(out);
  }
  std::vector<std::uint32_t> fused(const Requantise& to, const Scaling& scaling) {
    const auto alpha = bench.upload(scaling.alpha), beta = bench.upload(scaling.beta);
    auto out = bench.template output<std::uint32_t>(requantised_words(problem.shape, to));
    low_bit_layer_fused<Target>(bench.stream(), problem.shape, to, std::as_const(activations),
                                std::as_const(weights), alpha, beta, out);
    return bench.download(out);
  }

  remeasure::testing::TestBench<Target>& bench;
  const LowBitProblem& problem;
  DeviceBuffer<Target, std::uint32_t> activations, weights;
};

/// The shape with each of the bits and encodings that there are kernels for.
inline std::vector<LowBitShape> all_low_bits(const LowBitShape& shape, bool signs = true) {
  std::vector<LowBitShape> list;
  for (const Encoding encoding :
       {Encoding::signs, Encoding::signs_by_and, Encoding::signed_weights, Encoding::unsigned_codes}) {
    for (int p = 1; p <= 8; ++p) {
      for (int q = 1; q <= 8; ++q) {
        LowBitShape each = shape;
        each.weight_bits = p;
        each.activation_bits = q;
        each.encoding = encoding;
        const bool of_signs = encoding == Encoding::signs || encoding == Encoding::signs_by_and;
        if (has_low_bit_kernel(each) && (signs || !of_signs)) list.push_back(each);
      }
    }
  }
  return list;
}

inline std::string in_words(const LowBitShape& s) {
  return bits_name(s) + " " + to_string(s.encoding) + ", " + std::to_string(s.rows()) + " x " +
         std::to_string(s.outputs) + " x " + std::to_string(s.inner());
}

template <class T>
std::size_t mismatches(const std::vector<T>& a, const std::vector<T>& b) {
  if (a.size() != b.size()) return std::max(a.size(), b.size());
  std::size_t count = 0;
  for (std::size_t i = 0; i < a.size(); ++i) count += a[i] != b[i] ? 1 : 0;
  return count;
}

}  // namespace remeasure::kernels::testing
