// SPDX-License-Identifier: Apache-2.0
#include "datasets/random.h"

#include <testing/catch.h>
#include <bit>
#include <cmath>
#include <limits>
#include <vector>

using namespace remeasure::datasets;

namespace {

double ulps(double found, double expected) {
  const double unit = std::fabs(std::nextafter(expected, 2 * expected + 1) - expected);
  return std::fabs(found - expected) / unit;
}

}  // namespace

TEST_CASE("Philox4x32-10 gives Random123's known answers", "[cpu]") {
  // Random123, examples/kat_vectors.
  using Words = std::array<std::uint32_t, 4>;
  CHECK(philox4x32_10({0, 0, 0, 0}, {0, 0}) == Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  constexpr std::uint32_t ones = 0xffffffff;
  CHECK(philox4x32_10({ones, ones, ones, ones}, {ones, ones}) ==
        Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(philox4x32_10({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) ==
        Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
  CHECK(Philox(0).bits(0) == 0xe169c58d6627e8d5);
  CHECK(Philox(0).bits(1) == 0x9b00dbd8bc57ac4c);
}

TEST_CASE("the frozen numbers of every generated file come out bit for bit", "[cpu]") {
  // Other bits mean other files: a compiler that fuses multiply and add, or a change that must raise
  // generator versions.
  const Philox random(20260101, 7);
  const std::vector<std::uint64_t> expected{0xc006b03012d27497, 0xbfebfb80cb57ff5a, 0x3fe5f854b7315a87,
                                            0xbfe607139dea8160, 0x3fd3a0a63079fa09, 0xbff1b06e75665da4,
                                            0xbffae8ee412644e0, 0x3fd1ade801a8a110};
  for (std::size_t i = 0; i < expected.size(); ++i) {
    INFO("index " << i << " value " << random.normal(i));
    CHECK(std::bit_cast<std::uint64_t>(random.normal(i)) == expected[i]);
  }
  std::uint64_t mixed = 0;
  for (std::uint64_t i = 0; i < 1'000'000; ++i)
    mixed = mixed * 1000003 ^ std::bit_cast<std::uint64_t>(random.normal(i));
  CHECK(mixed == 0x33c06e71ee469f5f);
  CHECK(std::bit_cast<std::uint64_t>(inverse_normal(1e-300)) == 0xc04286074064c26e);
}

TEST_CASE("a Philox number depends on seed, stream and index alone", "[cpu]") {
  const Philox a(5, 1);
  std::vector<double> forward, backward(64);
  for (std::uint64_t i = 0; i < 64; ++i) forward.push_back(a.normal(i));
  for (std::uint64_t i = 64; i-- > 0;) backward[i] = Philox(5, 1).normal(i);
  CHECK(forward == backward);
  CHECK(Philox(5, 2).bits(0) != a.bits(0));
  CHECK(Philox(6, 1).bits(0) != a.bits(0));
  CHECK(Philox(5 + (std::uint64_t{1} << 32), 1).bits(0) != a.bits(0));
  CHECK(Philox(5, 1 + (std::uint64_t{1} << 32)).bits(0) != a.bits(0));
  CHECK(a.bits(std::uint64_t{1} << 40) != a.bits(0));
}

TEST_CASE("uniform numbers lie strictly between 0 and 1 and fill the interval", "[cpu]") {
  const Philox random(1);
  std::vector<int> cells(64);
  constexpr int n = 64000;
  for (std::uint64_t i = 0; i < n; ++i) {
    const double u = random.uniform(i);
    REQUIRE(u > 0);
    REQUIRE(u < 1);
    ++cells[static_cast<std::size_t>(u * 64)];
  }
  double chi2 = 0;
  for (const int count : cells) chi2 += (count - 1000.0) * (count - 1000.0) / 1000.0;
  CHECK(chi2 > 63 - 5 * std::sqrt(126.0));  // chi-square with 63 degrees: mean 63, variance 126
  CHECK(chi2 < 63 + 5 * std::sqrt(126.0));
}

TEST_CASE("integers cover their range evenly and stay inside it", "[cpu]") {
  const Philox random(3);
  std::vector<int> counts(10);
  for (std::uint64_t i = 0; i < 100000; ++i) ++counts[random.integer(i, 10)];
  for (const int count : counts) CHECK(std::abs(count - 10000) < 5 * 95);  // binomial: standard deviation 95
  for (std::uint64_t i = 0; i < 1000; ++i) {
    const std::uint64_t n = random.bits(i + 5000) | 1;
    __extension__ using Wide = unsigned __int128;
    REQUIRE(random.integer(i, n) == static_cast<std::uint64_t>(Wide{random.bits(i)} * n >> 64));
  }
}

TEST_CASE("normal numbers have the moments of the standard normal distribution", "[cpu]") {
  const Philox random(11);
  constexpr int n = 200000;
  double m1 = 0, m2 = 0, m3 = 0, m4 = 0;
  for (std::uint64_t i = 0; i < n; ++i) {
    const double x = random.normal(i);
    m1 += x, m2 += x * x, m3 += x * x * x, m4 += x * x * x * x;
  }
  CHECK(std::fabs(m1 / n) < 5 * std::sqrt(1.0 / n));
  CHECK(std::fabs(m2 / n - 1) < 5 * std::sqrt(2.0 / n));
  CHECK(std::fabs(m3 / n) < 5 * std::sqrt(15.0 / n));
  CHECK(std::fabs(m4 / n - 3) < 5 * std::sqrt(96.0 / n));
}

TEST_CASE("inverse_normal inverts the normal distribution function", "[cpu]") {
  for (double x = -8; x <= 8; x += 0.03125) {
    const double p = 0.5 * std::erfc(-x / std::sqrt(2.0));
    // p is rounded: its last bit moves x by eps p / density(x), which is all that the upper tail can resolve.
    const double density = std::exp(-0.5 * x * x) / std::sqrt(2 * 3.141592653589793);
    const double resolution = 4e-16 * p / density + 4e-16 * std::fabs(x) + 1e-16;
    if (p >= 1) continue;
    INFO("x " << x << " p " << p);
    REQUIRE(std::fabs(inverse_normal(p) - x) < 4 * resolution);
  }
  CHECK(inverse_normal(0.5) == 0);
  CHECK(std::fabs(inverse_normal(0x1p-53) + 8.2095361516013874) < 1e-14);
}

TEST_CASE("the portable logarithm and cosine agree with libm to the last bits", "[cpu]") {
  const Philox random(2);
  for (std::uint64_t i = 0; i < 20000; ++i) {
    const double x = std::ldexp(random.uniform(i), static_cast<int>(random.integer(i + 50000, 2000)) - 1000);
    REQUIRE(ulps(portable_log(x), std::log(x)) <= 1.5);
    const double t = 40 * random.uniform(i) - 20;
    REQUIRE(
        std::fabs(portable_cospi(t) - static_cast<double>(std::cos(3.14159265358979323846264338327950288L *
                                                                   static_cast<long double>(t)))) < 4e-16);
  }
  CHECK(portable_log(1.0) == 0);
  for (int k = -9; k < 9; ++k) {
    CHECK(portable_cospi(k) == (k % 2 == 0 ? 1 : -1));
    CHECK(portable_cospi(k + 0.5) == 0);
  }
}
