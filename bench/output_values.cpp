// SPDX-License-Identifier: Apache-2.0
#include "bench/output_values.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <stdexcept>

namespace remeasure::bench {
namespace {

template <class T>
std::vector<double> convert(std::span<const std::byte> bytes) {
  std::vector<double> values(bytes.size() / sizeof(T));
  for (std::size_t i = 0; i < values.size(); ++i) {
    T element;
    std::memcpy(&element, bytes.data() + i * sizeof(T), sizeof(T));
    values[i] = static_cast<double>(element);
  }
  return values;
}

/// binary16 to double in integers and one scaling: bench reads outputs back without the kernels' headers.
double from_half(std::uint16_t bits) {
  const int exponent = (bits >> 10) & 31;
  const double fraction = (bits & 1023) / 1024.0;
  double magnitude;
  if (exponent == 31) {
    magnitude =
        fraction == 0 ? std::numeric_limits<double>::infinity() : std::numeric_limits<double>::quiet_NaN();
  } else if (exponent == 0) {
    magnitude = std::ldexp(fraction, -14);
  } else {
    magnitude = std::ldexp(1 + fraction, exponent - 15);
  }
  return (bits & 0x8000) != 0 ? -magnitude : magnitude;
}

double from_bfloat16(std::uint16_t bits) {
  const std::uint32_t wide = static_cast<std::uint32_t>(bits) << 16;
  float value;
  std::memcpy(&value, &wide, sizeof value);
  return static_cast<double>(value);
}

template <class Decode>
std::vector<double> decode16(std::span<const std::byte> bytes, Decode decode) {
  std::vector<double> values(bytes.size() / 2);
  for (std::size_t i = 0; i < values.size(); ++i) {
    std::uint16_t bits;
    std::memcpy(&bits, bytes.data() + 2 * i, 2);
    values[i] = decode(bits);
  }
  return values;
}

}  // namespace

std::size_t size_of(OutputType type) {
  switch (type) {
    case OutputType::f64:
    case OutputType::i64:
      return 8;
    case OutputType::f32:
    case OutputType::i32:
    case OutputType::u32:
      return 4;
    case OutputType::f16:
    case OutputType::bf16:
    case OutputType::u16:
      return 2;
    case OutputType::u8:
    case OutputType::i8:
      return 1;
  }
  throw std::logic_error("size_of: unknown output type");
}

std::uint8_t poison_byte(OutputType type) {
  switch (type) {
    case OutputType::f64:
    case OutputType::f32:
    case OutputType::f16:
    case OutputType::bf16:
      return 0xFF;
    default:
      return 0xCD;
  }
}

std::vector<double> values_of(OutputType type, std::span<const std::byte> bytes) {
  if (bytes.size() % size_of(type) != 0)
    throw std::invalid_argument("values_of: not a whole number of elements");
  switch (type) {
    case OutputType::f64:
      return convert<double>(bytes);
    case OutputType::f32:
      return convert<float>(bytes);
    case OutputType::f16:
      return decode16(bytes, from_half);
    case OutputType::bf16:
      return decode16(bytes, from_bfloat16);
    case OutputType::i32:
      return convert<std::int32_t>(bytes);
    case OutputType::u32:
      return convert<std::uint32_t>(bytes);
    case OutputType::i64:
      return convert<std::int64_t>(bytes);
    case OutputType::u16:
      return convert<std::uint16_t>(bytes);
    case OutputType::u8:
      return convert<std::uint8_t>(bytes);
    case OutputType::i8:
      return convert<std::int8_t>(bytes);
  }
  throw std::logic_error("values_of: unknown output type");
}

}  // namespace remeasure::bench
