// SPDX-License-Identifier: Apache-2.0
#include "kernels/device/fast_divisor.h"

#include <testing/catch.h>
#include <cstdint>

namespace remeasure {
namespace {

TEST_CASE("FastDivisor divides exactly, next to every multiple and at the ends of its range", "[cpu]") {
  constexpr int kLargest = 0x7fffffff;
  std::uint32_t random = 1;
  for (std::int64_t next = 1; next <= kLargest; next = next < 300 ? next + 1 : next * 5 / 3) {
    const int d = static_cast<int>(next);
    const FastDivisor divisor(d);
    int wrong = 0;
    const auto check = [&](std::int64_t n) {
      if (n < 0 || n > kLargest) return;
      const int dividend = static_cast<int>(n), quotient = divisor.quotient(dividend);
      wrong += quotient != dividend / d || divisor.remainder(dividend, quotient) != dividend % d;
    };
    for (int i = 0; i < 300; ++i) {
      random = random * 1664525u + 1013904223u;
      const std::int64_t multiple = std::int64_t{random >> 1} / d * d;
      for (const int beside : {-1, 0, 1}) check(multiple + beside);
      check(kLargest - i);
      check(i);
    }
    INFO(d);
    CHECK(wrong == 0);
  }
  CHECK_THROWS_AS(FastDivisor(0), std::invalid_argument);
}

}  // namespace
}  // namespace remeasure
