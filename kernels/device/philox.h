// SPDX-License-Identifier: Apache-2.0
//
// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011; the reference
// implementation is Random123): a counter-based generator. Element `index` of stream `seed` is a function of
// the two alone, so a kernel draws what it needs in any order and on any target, and gets the same integers.
// The floating-point conversions use one multiplication each and are the same bits too; normals go through
// log and cos, which differ in the last bits.
#pragma once

#include <cmath>
#include <cstdint>

#include "kernels/device/qualifiers.h"

namespace remeasure {

/// Four random words.
struct Philox4 {
  std::uint32_t word[4];
};

/// The generator itself: ten rounds on a 128-bit counter under a 64-bit key.
RM_HOST_DEVICE inline Philox4 philox4x32(Philox4 counter, std::uint32_t key0, std::uint32_t key1) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t product0 = std::uint64_t{0xD2511F53u} * counter.word[0];
    const std::uint64_t product1 = std::uint64_t{0xCD9E8D57u} * counter.word[2];
    counter = {{static_cast<std::uint32_t>(product1 >> 32) ^ counter.word[1] ^ key0,
                static_cast<std::uint32_t>(product1),
                static_cast<std::uint32_t>(product0 >> 32) ^ counter.word[3] ^ key1,
                static_cast<std::uint32_t>(product0)}};
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  return counter;
}

/// Words 4*index .. 4*index + 3 of the stream of `seed`. `subsequence` makes independent streams of one seed.
RM_HOST_DEVICE inline Philox4 philox(std::uint64_t seed, std::uint64_t index, std::uint64_t subsequence = 0) {
  return philox4x32(
      {{static_cast<std::uint32_t>(index), static_cast<std::uint32_t>(index >> 32),
        static_cast<std::uint32_t>(subsequence), static_cast<std::uint32_t>(subsequence >> 32)}},
      static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32));
}

/// Uniform in (0, 1), both ends excluded: the upper 23 bits, centred in their interval, which makes it exact.
RM_HOST_DEVICE inline float uniform_float(std::uint32_t word) {
  return (static_cast<float>(word >> 9) + 0.5f) * 0x1p-23f;
}

/// Uniform in (0, 1) with 52 bits.
RM_HOST_DEVICE inline double uniform_double(std::uint32_t low, std::uint32_t high) {
  const std::uint64_t bits = static_cast<std::uint64_t>(high) << 32 | low;
  return (static_cast<double>(bits >> 12) + 0.5) * 0x1p-52;
}

template <class T>
struct NormalPair {
  T first;
  T second;
};

/// Two independent standard normals (Box and Muller 1958) from four words.
RM_HOST_DEVICE inline NormalPair<double> normal_double(const Philox4& random) {
  const double radius = std::sqrt(-2.0 * std::log(uniform_double(random.word[0], random.word[1])));
  const double angle = 6.283185307179586 * uniform_double(random.word[2], random.word[3]);
  return {radius * std::cos(angle), radius * std::sin(angle)};
}

/// Two independent standard normals from two words.
RM_HOST_DEVICE inline NormalPair<float> normal_float(std::uint32_t word0, std::uint32_t word1) {
  const float radius = std::sqrt(-2.0f * std::log(uniform_float(word0)));
  const float angle = 6.2831853f * uniform_float(word1);
  return {radius * std::cos(angle), radius * std::sin(angle)};
}

}  // namespace remeasure
