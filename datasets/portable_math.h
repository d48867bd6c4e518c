// SPDX-License-Identifier: Apache-2.0
//
// Functions from + - * / and sqrt alone, so that a generated file is the same bytes whatever the machine's
// libm (datasets/ is compiled without contraction to fused multiply-adds). The logarithm and the cosine are
// in random.h, whose normal distribution needs them.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <type_traits>

namespace remeasure::datasets {

/// e^x; relative error below 2e-7 in float and 1e-15 in double for results in the normal range; 0 below it,
/// clamped above.
template <class T>
inline T portable_exp(T x) {
  if constexpr (std::is_same_v<T, float>) {
    const float limited = std::min(std::max(x, -87.0f), 88.0f);
    const float n = (limited * 1.44269504f + 12582912.0f) - 12582912.0f;  // rounded to nearest
    const float r = (limited - n * 0.693359375f) + n * 2.12194440e-4f;  // Cody and Waite's ln 2 in two parts
    float p = 1.0f / 5040;
    for (const float c : {1.0f / 720, 1.0f / 120, 1.0f / 24, 1.0f / 6, 0.5f, 1.0f, 1.0f}) p = p * r + c;
    const auto exponent = static_cast<std::uint32_t>(static_cast<std::int32_t>(n) + 127) << 23;
    const float value = p * std::bit_cast<float>(exponent);
    return x < -87.0f ? 0.0f : value;
  } else {
    const double limited = std::min(std::max(x, -700.0), 700.0);
    const double n = (limited * 1.4426950408889634 + 6755399441055744.0) - 6755399441055744.0;
    const double r = (limited - n * 6.93147180369123816490e-01) - n * 1.90821492927058770002e-10;
    double p = 1.0 / 6227020800.0;
    for (const double c : {1.0 / 479001600, 1.0 / 39916800, 1.0 / 3628800, 1.0 / 362880, 1.0 / 40320,
                           1.0 / 5040, 1.0 / 720, 1.0 / 120, 1.0 / 24, 1.0 / 6, 0.5, 1.0, 1.0}) {
      p = p * r + c;
    }
    const auto exponent = static_cast<std::uint64_t>(static_cast<std::int64_t>(n) + 1023) << 52;
    const double value = p * std::bit_cast<double>(exponent);
    return x < -700.0 ? 0.0 : value;
  }
}

}  // namespace remeasure::datasets
