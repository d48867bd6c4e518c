// SPDX-License-Identifier: Apache-2.0
//
// The host's versions of CUDA's intrinsics against definitions written out bit by bit.
#include <algorithm>
#include <cmath>
#include <random>

#include <testing/catch.h>

#include "kernels/device/testing/conversion_kernels.h"
#include "kernels/device/testing/test_bench.h"

namespace remeasure {
namespace {

using Words = std::vector<std::uint32_t>;

Words random_words(unsigned seed) {
  std::mt19937 random(seed);
  Words words = {0, 1, 2, 31, 32, 33, 63, 0x80000000u, 0x7fffffffu, 0xffffffffu};
  for (int i = 0; i < 500; ++i) words.push_back(static_cast<std::uint32_t>(random()) >> (random() % 32));
  std::shuffle(words.begin(), words.end(), random);
  return words;
}

template <class Bench>
Words integer_results(Bench& bench) {
  const auto x = bench.upload(random_words(1));
  const auto y = bench.upload(random_words(2));
  auto out = bench.template output<std::uint32_t>(kernels::kIntegerResults * x.size());
  kernels::integer_intrinsics(bench.stream(), x.span(), y.span(), out.span());
  return bench.download(out);
}

bool bit(std::uint64_t word, int i) {
  return (word >> i & 1u) != 0;
}

std::uint32_t count_bits(std::uint64_t word) {
  std::uint32_t count = 0;
  for (int i = 0; i < 64; ++i) count += bit(word, i);
  return count;
}
std::uint32_t leading_zeros(std::uint64_t word, int width) {
  std::uint32_t count = 0;
  while (count < static_cast<std::uint32_t>(width) && !bit(word, width - 1 - static_cast<int>(count)))
    ++count;
  return count;
}
std::uint32_t first_set(std::uint64_t word) {
  for (int i = 0; i < 64; ++i) {
    if (bit(word, i)) return static_cast<std::uint32_t>(i + 1);
  }
  return 0;
}
std::uint64_t reversed(std::uint64_t word, int width) {
  std::uint64_t result = 0;
  for (int i = 0; i < width; ++i) result |= static_cast<std::uint64_t>(bit(word, i)) << (width - 1 - i);
  return result;
}
/// Bits of high:low moved one at a time.
std::uint32_t funnel(std::uint32_t low, std::uint32_t high, unsigned shift, bool left) {
  std::uint64_t both = static_cast<std::uint64_t>(high) << 32 | low;
  for (unsigned i = 0; i < shift; ++i) both = left ? both << 1 : both >> 1;
  return static_cast<std::uint32_t>(left ? both >> 32 : both);
}

TEST_CASE("integer intrinsics equal their definitions", "[simt]") {
  testing::TestBench<Simt> bench;
  const Words result = integer_results(bench);
  const Words xs = random_words(1), ys = random_words(2);
  for (std::size_t i = 0; i < xs.size(); ++i) {
    const std::uint32_t x = xs[i], y = ys[i];
    const std::uint64_t wide = static_cast<std::uint64_t>(x) << 32 | y;
    const auto sx = static_cast<std::int32_t>(x), sy = static_cast<std::int32_t>(y);
    std::uint32_t permuted = 0;
    for (int b = 0; b < 4; ++b) {
      const std::uint32_t selector = (y & 0x7777u) >> (4 * b) & 7u;
      const std::uint32_t byte = (selector < 4 ? x >> (8 * selector) : y >> (8 * (selector - 4))) & 0xffu;
      permuted |= byte << (8 * b);
    }
    // Schoolbook product of the 64-bit words for __umul64hi.
    const std::uint64_t middle =
        (static_cast<std::uint64_t>(y) * y >> 32) + static_cast<std::uint64_t>(x) * y;
    const std::uint64_t carry = (middle & 0xffffffffu) + static_cast<std::uint64_t>(x) * y;
    const std::uint64_t high = static_cast<std::uint64_t>(x) * x + (middle >> 32) + (carry >> 32);
    const Words expected = {
        count_bits(x),
        count_bits(wide),
        leading_zeros(x, 32),
        leading_zeros(wide, 64),
        first_set(x),
        first_set(wide),
        static_cast<std::uint32_t>(reversed(x, 32)),
        static_cast<std::uint32_t>(reversed(wide, 64) >> 32),
        permuted,
        funnel(x, y, y % 32, true),
        funnel(x, y, y % 32, false),
        funnel(x, y, std::min(y & 63u, 32u), true),
        funnel(x, y, std::min(y & 63u, 32u), false),
        static_cast<std::uint32_t>(static_cast<std::uint64_t>(static_cast<std::int64_t>(sx) * sy) >> 32),
        static_cast<std::uint32_t>(static_cast<std::uint64_t>(x) * y >> 32),
        static_cast<std::uint32_t>(high >> 32),
        (x < y ? x : y) ^ static_cast<std::uint32_t>(sx < sy ? sx : sy),
        (x < y ? y : x) ^ static_cast<std::uint32_t>(sx < sy ? sy : sx)};
    INFO("x " << x << " y " << y);
    const auto first = result.begin() + static_cast<std::ptrdiff_t>(i) * kernels::kIntegerResults;
    CHECK(Words(first, first + kernels::kIntegerResults) == expected);
  }
}

std::vector<float> arguments() {
  std::vector<float> values;
  for (float x = 0.03125f; x < 16.0f; x *= 1.03f) values.push_back(x);
  return values;
}

template <class Bench>
std::vector<double> math_results(Bench& bench) {
  const auto x = bench.upload(arguments());
  auto out = bench.template output<double>(kernels::kMathResults * x.size());
  kernels::math_functions(bench.stream(), x.span(), out.span());
  return bench.download(out);
}

std::vector<double> expected_math(double x) {
  const double pi = std::acos(-1.0);
  return {std::exp(x),
          std::log(x),
          std::exp2(x),
          1 / std::sqrt(x),
          1 / std::sqrt(x),
          1 / x,
          x * x + 1,
          std::lgamma(x),
          std::pow(x, 1.5),
          std::log2(x),
          std::sin(x),
          std::cos(x),
          1 / x,
          std::sin(pi * x),
          std::cos(pi * x),
          std::clamp(x, 0.5, 1.5),
          std::clamp(x, 0.0, 1.0),
          std::abs(x - 1),
          x,
          1};
}

/// Largest |result - exact| / max(|exact|, floor): near their zeros, functions are held to an absolute error.
double largest_math_error(const std::vector<double>& results, double floor) {
  double largest = 0;
  const std::vector<float> xs = arguments();
  for (std::size_t i = 0; i < xs.size(); ++i) {
    const std::vector<double> expected = expected_math(static_cast<double>(xs[i]));
    for (std::size_t f = 0; f < expected.size(); ++f) {
      const double error = std::abs(results[kernels::kMathResults * i + f] - expected[f]);
      const double relative = error / std::max(std::abs(expected[f]), floor);
      if (!(relative <= largest)) largest = relative;
    }
  }
  return largest;
}

TEST_CASE("mathematical functions are right to float's precision", "[simt]") {
  testing::TestBench<Simt> bench;
  CHECK(largest_math_error(math_results(bench), 1e-2) < 1e-5);
}

TEST_CASE(
    "a GPU's integer intrinsics give the bits of Simt, its functions agree to the fast intrinsics' error",
    "[gpu]") {
  if (Device<Cuda>::count() == 0) SKIP_TEST(Device<Cuda>::why_not());
  CHECK(testing::same_on_gpu([](auto& bench) { return integer_results(bench); }));
  // CUDA Programming Guide: __sinf is good to 2^-21.41 absolute in [-pi, pi] only; arguments here reach 16.
  testing::on_gpu([](auto& gpu) { CHECK(largest_math_error(math_results(gpu), 1e-1) < 1e-4); });
}

}  // namespace
}  // namespace remeasure
