// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include <testing/catch.h>

#include "kernels/device/philox.h"
#include "kernels/device/testing/conversion_kernels.h"
#include "kernels/device/testing/test_bench.h"

namespace remeasure {
namespace {

bool equal(const Philox4& a, const Philox4& b) {
  return a.word[0] == b.word[0] && a.word[1] == b.word[1] && a.word[2] == b.word[2] && a.word[3] == b.word[3];
}

TEST_CASE("Philox4x32-10 gives Random123's known answers", "[cpu]") {
  // Random123, tests/kat_vectors, the lines "philox4x32 10".
  CHECK(equal(philox4x32({{0, 0, 0, 0}}, 0, 0), {{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}}));
  CHECK(equal(philox4x32({{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}}, 0xffffffff, 0xffffffff),
              {{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}}));
  CHECK(equal(philox4x32({{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}}, 0xa4093822, 0x299f31d0),
              {{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}}));
}

TEST_CASE("seed, index and subsequence enter the counter and the key as 64-bit words", "[cpu]") {
  CHECK(equal(philox(0x299f31d0a4093822u, 0x85a308d3243f6a88u, 0x0370734413198a2eu),
              {{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}}));
}

TEST_CASE("uniform numbers stay inside (0, 1) at both ends", "[cpu]") {
  CHECK(uniform_float(0) == 0x1p-24f);
  CHECK(uniform_float(0xffffffffu) == 1.0f - 0x1p-24f);
  CHECK(uniform_double(0, 0) == 0x1p-53);
  CHECK(uniform_double(0xffffffffu, 0xffffffffu) == 1.0 - 0x1p-53);
}

TEST_CASE("normals have the moments of the standard normal", "[cpu]") {
  constexpr int kPairs = 200'000;
  double sums[5] = {};
  double float_square = 0, product = 0;
  for (int i = 0; i < kPairs; ++i) {
    const Philox4 random = philox(5, static_cast<std::uint64_t>(i));
    const NormalPair<double> x = normal_double(random);
    const NormalPair<float> y = normal_float(random.word[0], random.word[1]);
    for (int power = 1; power <= 4; ++power)
      sums[power] += std::pow(x.first, power) + std::pow(x.second, power);
    float_square += static_cast<double>(y.first) * y.first;
    product += x.first * x.second;
  }
  // Five standard deviations of each mean: the variance of x^p is 1, 2, 15, 96 for p = 1..4.
  const double n = 2.0 * kPairs;
  CHECK(std::abs(sums[1] / n) < 5 * std::sqrt(1 / n));
  CHECK(std::abs(sums[2] / n - 1) < 5 * std::sqrt(2 / n));
  CHECK(std::abs(sums[3] / n) < 5 * std::sqrt(15 / n));
  CHECK(std::abs(sums[4] / n - 3) < 5 * std::sqrt(96 / n));
  CHECK(std::abs(float_square / kPairs - 1) < 5 * std::sqrt(2.0 / kPairs));
  CHECK(std::abs(product / kPairs) < 5 * std::sqrt(1.0 / kPairs));
}

template <class Bench>
std::vector<std::uint32_t> words_of_kernel(Bench& bench, std::uint64_t seed, std::uint64_t first) {
  auto out = bench.template output<std::uint32_t>(4 * 1000);
  kernels::philox_words(bench.stream(), seed, first, out.span());
  return bench.download(out);
}

TEST_CASE("a kernel draws the words that the host draws", "[simt]") {
  testing::TestBench<Simt> bench;
  const std::uint64_t first = 0xffffff00u;  // the index passes 2^32
  const std::vector<std::uint32_t> words = words_of_kernel(bench, 99, first);
  bool same = true;
  for (std::size_t i = 0; i < 1000; ++i) {
    const Philox4 expected = philox(99, first + i);
    for (std::size_t w = 0; w < 4; ++w) same = same && words[4 * i + w] == expected.word[w];
  }
  CHECK(same);
}

TEST_CASE("a GPU draws the words that Simt draws", "[gpu]") {
  if (Device<Cuda>::count() == 0) SKIP_TEST(Device<Cuda>::why_not());
  CHECK(testing::same_on_gpu([](auto& bench) { return words_of_kernel(bench, 99, 0xffffff00u); }));
}

}  // namespace
}  // namespace remeasure
