// SPDX-License-Identifier: Apache-2.0
//
// Counter-based random numbers: Philox4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy
// as 1, 2, 3", SC 2011; checked with Random123's known answers). A number depends on (seed, stream, index)
// alone, never on the order of evaluation, the number of threads, the compiler or the machine's libm.
#pragma once

#include <array>
#include <cstdint>

namespace remeasure::datasets {

/// The bijection itself: ten rounds of Philox4x32.
constexpr std::array<std::uint32_t, 4> philox4x32_10(std::array<std::uint32_t, 4> counter,
                                                     std::array<std::uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t low = std::uint64_t{0xD2511F53} * counter[0];
    const std::uint64_t high = std::uint64_t{0xCD9E8D57} * counter[2];
    counter = {static_cast<std::uint32_t>(high >> 32) ^ counter[1] ^ key[0], static_cast<std::uint32_t>(high),
               static_cast<std::uint32_t>(low >> 32) ^ counter[3] ^ key[1], static_cast<std::uint32_t>(low)};
    key = {key[0] + 0x9E3779B9u, key[1] + 0xBB67AE85u};
  }
  return counter;
}

/// Inverse of the standard normal distribution function on (0, 1): Wichura's AS 241 (PPND16), relative error
/// about 1e-16, from + - * / and sqrt alone (its logarithm is portable_log), so that every machine gives the
/// same bits.
double inverse_normal(double probability);

/// Natural logarithm of a positive, normal, finite number from + - * / alone (fdlibm's e_log scheme); error
/// below 1 ulp.
double portable_log(double x);

/// cos(pi x) for |x| < 2^50 from + - * alone: exact at multiples of 1/2, error below 2e-16 else.
double portable_cospi(double x);

/// Independent streams of one seed: `Philox(seed, 0)` for queries, `Philox(seed, 1)` for keys, ...
/// `index` counts up to 2^63; each kind of number uses words of its own at each index, so `uniform(i)` and
/// `normal(i)` of one stream are related, but numbers at different indices are independent.
class Philox {
 public:
  constexpr explicit Philox(std::uint64_t seed, std::uint64_t stream = 0) : seed_(seed), stream_(stream) {}

  /// 64 random bits. Two consecutive indices share one evaluation of the bijection.
  constexpr std::uint64_t bits(std::uint64_t index) const {
    const std::uint64_t pair = index >> 1;
    const auto words =
        philox4x32_10({static_cast<std::uint32_t>(pair), static_cast<std::uint32_t>(pair >> 32),
                       static_cast<std::uint32_t>(stream_), static_cast<std::uint32_t>(stream_ >> 32)},
                      {static_cast<std::uint32_t>(seed_), static_cast<std::uint32_t>(seed_ >> 32)});
    const std::size_t first = (index & 1) * 2;
    return std::uint64_t{words[first + 1]} << 32 | words[first];
  }

  /// In (0, 1): the middle of one of 2^52 equal cells, so neither 0 nor 1 occurs and 1 - u is exact.
  constexpr double uniform(std::uint64_t index) const {
    return (static_cast<double>(bits(index) >> 12) + 0.5) * 0x1p-52;
  }

  /// Standard normal: inverse_normal(uniform(index)).
  double normal(std::uint64_t index) const { return inverse_normal(uniform(index)); }

  /// In [0, n): the upper half of bits * n (Lemire); bias below n / 2^64. `n` must be positive.
  constexpr std::uint64_t integer(std::uint64_t index, std::uint64_t n) const {
    const std::uint64_t x = bits(index);
    const std::uint64_t middle = (x & 0xffffffffu) * (n >> 32);
    const std::uint64_t low = (x & 0xffffffffu) * (n & 0xffffffffu);
    const std::uint64_t cross = (x >> 32) * (n & 0xffffffffu) + (low >> 32);
    return (x >> 32) * (n >> 32) + (cross >> 32) + ((middle + (cross & 0xffffffffu)) >> 32);
  }

 private:
  std::uint64_t seed_, stream_;
};

}  // namespace remeasure::datasets
