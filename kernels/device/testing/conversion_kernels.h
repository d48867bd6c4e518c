// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "kernels/device/device.h"

namespace remeasure::kernels {

/// out: [n][4], bits of half(x), bfloat16(x), float(half of x's low 16 bits), float(bfloat16 of the same).
template <class Target>
void convert(Stream<Target>&, DeviceSpan<Target, const float> values, DeviceSpan<Target, std::uint32_t> out);

/// out[i] = words of philox(seed, first + i); [n][4]
template <class Target>
void philox_words(Stream<Target>&, std::uint64_t seed, std::uint64_t first,
                  DeviceSpan<Target, std::uint32_t> out);

/// Results of the integer intrinsics for pairs (x, y); [n][kIntegerResults], see the kernel for the order.
inline constexpr int kIntegerResults = 18;
template <class Target>
void integer_intrinsics(Stream<Target>&, DeviceSpan<Target, const std::uint32_t> x,
                        DeviceSpan<Target, const std::uint32_t> y, DeviceSpan<Target, std::uint32_t> out);

/// Results of mathematical functions for x > 0; [n][kMathResults], see the kernel for the order.
inline constexpr int kMathResults = 20;
template <class Target>
void math_functions(Stream<Target>&, DeviceSpan<Target, const float> x, DeviceSpan<Target, double> out);

}  // namespace remeasure::kernels
