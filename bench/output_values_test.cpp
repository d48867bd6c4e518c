// SPDX-License-Identifier: Apache-2.0
#include "bench/output_values.h"

#include <testing/catch.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>

using namespace remeasure::bench;

namespace {

template <class T>
std::vector<double> values(OutputType type, const std::vector<T>& elements) {
  return values_of(type, std::as_bytes(std::span<const T>(elements)));
}

std::vector<std::uint16_t> all_patterns() {
  std::vector<std::uint16_t> bits(65536);
  for (std::size_t i = 0; i < bits.size(); ++i) bits[i] = static_cast<std::uint16_t>(i);
  return bits;
}

/// IEEE 754-2019, 3.4: sign, exponent, fraction of a binary format of 16 bits, from its definition.
double by_definition(std::uint16_t bits, int exponent_bits) {
  const int fraction_bits = 15 - exponent_bits, bias = (1 << (exponent_bits - 1)) - 1,
            top = (1 << exponent_bits) - 1;
  const int exponent = (bits >> fraction_bits) & top, fraction = bits & ((1 << fraction_bits) - 1);
  const double sign = (bits & 0x8000) != 0 ? -1 : 1;
  if (exponent == top) return fraction == 0 ? sign * INFINITY : NAN;
  const int implicit = exponent == 0 ? 0 : 1 << fraction_bits;
  return sign * std::ldexp(implicit + fraction, std::max(exponent, 1) - bias - fraction_bits);
}

}  // namespace

TEST_CASE("each of the 65,536 patterns of both 16-bit formats is read back as IEEE 754 defines it", "[cpu]") {
  struct Format {
    OutputType type;
    int exponent_bits;
  };
  for (const Format format : {Format{OutputType::f16, 5}, Format{OutputType::bf16, 8}}) {
    const auto patterns = all_patterns();
    const auto read = values(format.type, patterns);
    REQUIRE(read.size() == patterns.size());
    std::size_t wrong = 0;
    for (std::size_t i = 0; i < read.size(); ++i) {
      const double expected = by_definition(patterns[i], format.exponent_bits);
      const bool same = std::isnan(expected)
                            ? std::isnan(read[i])
                            : std::bit_cast<std::uint64_t>(read[i]) == std::bit_cast<std::uint64_t>(expected);
      wrong += same ? 0 : 1;
    }
    CHECK(wrong == 0);
  }
}

TEST_CASE("the landmarks of binary16 and bfloat16", "[cpu]") {
  CHECK(values<std::uint16_t>(OutputType::f16, {0x3C00, 0xC000, 0x7BFF, 0x0400, 0x0001}) ==
        std::vector<double>{1, -2, 65504, std::ldexp(1.0, -14), std::ldexp(1.0, -24)});
  CHECK(values<std::uint16_t>(OutputType::bf16, {0x3F80, 0xC000, 0x7F7F, 0x0080, 0x0001}) ==
        std::vector<double>{1, -2, std::ldexp(255.0, 120), std::ldexp(1.0, -126), std::ldexp(1.0, -133)});
  CHECK(std::signbit(values<std::uint16_t>(OutputType::f16, {0x8000})[0]));
}

TEST_CASE("read back without an error of its own, also from an odd address", "[cpu]") {
  std::vector<std::byte> bytes(1 + 4);
  const std::uint16_t elements[] = {0x3C00, 0x4000};
  std::memcpy(bytes.data() + 1, elements, 4);
  CHECK(values_of(OutputType::f16, std::span<const std::byte>(bytes).subspan(1)) ==
        std::vector<double>{1, 2});
}

TEST_CASE("every type is read back at its limits", "[cpu]") {
  CHECK(values<double>(OutputType::f64, {0.1, -1e300}) == std::vector<double>{0.1, -1e300});
  CHECK(values<float>(OutputType::f32, {0.1f}) == std::vector<double>{static_cast<double>(0.1f)});
  CHECK(values<std::int32_t>(OutputType::i32, {INT32_MIN, INT32_MAX}) ==
        std::vector<double>{-2147483648.0, 2147483647.0});
  CHECK(values<std::uint32_t>(OutputType::u32, {UINT32_MAX}) == std::vector<double>{4294967295.0});
  CHECK(values<std::int64_t>(OutputType::i64, {-(1LL << 53)}) == std::vector<double>{-9007199254740992.0});
  CHECK(values<std::uint16_t>(OutputType::u16, {65535}) == std::vector<double>{65535});
  CHECK(values<std::uint8_t>(OutputType::u8, {255}) == std::vector<double>{255});
  CHECK(values<std::int8_t>(OutputType::i8, {-128, 127}) == std::vector<double>{-128, 127});
}

TEST_CASE("poison is a NaN in every floating-point type, and no small integer", "[cpu]") {
  for (const auto type : {OutputType::f64, OutputType::f32, OutputType::f16, OutputType::bf16}) {
    const std::vector<std::byte> bytes(size_of(type), std::byte{poison_byte(type)});
    CHECK(std::isnan(values_of(type, bytes).at(0)));
  }
  for (const auto type :
       {OutputType::i32, OutputType::u32, OutputType::i64, OutputType::u16, OutputType::u8, OutputType::i8}) {
    const std::vector<std::byte> bytes(size_of(type), std::byte{poison_byte(type)});
    CHECK(std::abs(values_of(type, bytes).at(0)) > 1);
  }
}

TEST_CASE("half an element is refused", "[cpu]") {
  CHECK_THROWS_AS(values_of(OutputType::f16, std::vector<std::byte>(3)), std::invalid_argument);
  CHECK(values_of(OutputType::f16, std::vector<std::byte>()).empty());
}
