// SPDX-License-Identifier: Apache-2.0
#include "kernels/precision/quantize.h"

#include <testing/catch.h>
#include <limits>

using namespace remeasure::kernels;

TEST_CASE("halves round to even, away from zero or down, as the rule says", "[cpu]") {
  CHECK(rounded_to_integer<Rounding::nearest_even>(0.5) == 0.0);
  CHECK(rounded_to_integer<Rounding::nearest_even>(1.5f) == 2.0f);
  CHECK(rounded_to_integer<Rounding::nearest_even>(-2.5) == -2.0);
  CHECK(rounded_to_integer<Rounding::nearest_away>(0.5) == 1.0);
  CHECK(rounded_to_integer<Rounding::nearest_away>(-2.5f) == -3.0f);
  CHECK(rounded_to_integer<Rounding::floor>(0.99) == 0.0);
  CHECK(rounded_to_integer<Rounding::floor>(-0.01f) == -1.0f);
}

TEST_CASE("ranges of codes: unsigned, signed, and the signed one that negation keeps", "[cpu]") {
  CHECK(unsigned_codes(1) == CodeRange{0, 1});
  CHECK(unsigned_codes(8) == CodeRange{0, 255});
  CHECK(signed_codes(8) == CodeRange{-128, 127});
  CHECK(symmetric_codes(8) == CodeRange{-127, 127});
  CHECK(signed_codes(4).count() == 16);
  CHECK(symmetric_codes(4).count() == 15);
}

TEST_CASE("a code is clipped to its range, whatever is quantised", "[cpu]") {
  const UniformQuantizer<float> symmetric{.step = 0.5f, .zero = 0, .range = signed_codes(4)};
  CHECK(symmetric.code(0.74f) == 1);
  CHECK(symmetric.code(0.75f) == 2);  // a tie, to even
  CHECK(symmetric.code(1e30f) == 7);
  CHECK(symmetric.code(-std::numeric_limits<float>::infinity()) == -8);
  CHECK(symmetric.code(std::numeric_limits<float>::quiet_NaN()) == -8);
  CHECK(symmetric(3.3f) == 3.5f);
  const UniformQuantizer<double, Rounding::nearest_away> affine{
      .step = 0.25, .zero = 3, .range = unsigned_codes(3)};
  CHECK(affine.code(0.0) == 3);
  CHECK(affine.code(0.125) == 4);
  CHECK(affine.code(-0.75) == 0);
  CHECK(affine.code(-9.0) == 0);
  CHECK(affine.code(9.0) == 7);
  for (int code = 0; code <= 7; ++code) CHECK(affine.code(affine.value(code)) == code);
}

TEST_CASE("an interval's ends are its first and last code", "[cpu]") {
  const IntervalQuantizer<float> quantizer{.low = -1, .high = 3, .range = unsigned_codes(2)};
  CHECK(quantizer.code(-1.0f) == 0);
  CHECK(quantizer.code(-5.0f) == 0);
  CHECK(quantizer.code(3.0f) == 3);
  CHECK(quantizer.code(8.0f) == 3);
  CHECK(quantizer.code(1.0f) == 2);  // 1.5: to even
  CHECK(quantizer.value(0) == -1.0f);
  CHECK(quantizer.value(3) == 3.0f);
}

TEST_CASE("a sum is requantised with one rounding", "[cpu]") {
  const CodeRange two_bits = unsigned_codes(2);
  CHECK(requantised<Rounding::floor>(10, 0.125f, 0.5f, two_bits) == 1);
  CHECK(requantised<Rounding::floor>(-10, 0.125f, 0.5f, two_bits) == 0);
  CHECK(requantised<Rounding::floor>(1 << 30, 1.0f, 0.0f, two_bits) == 3);
  // n * float(1/n) a little below 1 that rounds to 1: rounded twice the code would be 0, exactly it is the
  // one below.
  int found = 0;
  for (int n = 3; n < 200; ++n) {
    const float scale = 1.0f / static_cast<float>(n);
    if (static_cast<double>(n) * static_cast<double>(scale) >= 1 || static_cast<float>(n) * scale != 1.0f)
      continue;
    ++found;
    CHECK(requantised<Rounding::floor>(n, scale, -1.0f, CodeRange{-1, 1}) == -1);
    CHECK(requantised<Rounding::floor>(n, static_cast<double>(scale), -1.0, CodeRange{-1, 1}) == -1);
  }
  CHECK(found > 3);
}
