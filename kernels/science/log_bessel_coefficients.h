// SPDX-License-Identifier: Apache-2.0
//
// The polynomials u_k of the uniform expansion of I_v and K_v (DLMF 10.41.10), made by the compiler in exact
// rational arithmetic from
//   u_0 = 1,   u_{k+1}(t) = t^2 (1 - t^2) u_k'(t) / 2 + (1/8) int_0^t (1 - 5 s^2) u_k(s) ds.
// u_k has degrees k, k+2, ..., 3k: u_k(t) = t^k sum_j c_{k,j} t^{2j}. A numerator that outgrew 127 bits would
// be signed overflow inside a constant expression, which doesn't compile; so what compiles is exact, and
// rounded once.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "kernels/device/qualifiers.h"

namespace remeasure::kernels {

inline constexpr int kUniformOrder = 13;
/// c_{1,0..1}, c_{2,0..2}, ..., c_{13,0..13}
inline constexpr int kUniformCoefficients = kUniformOrder * (kUniformOrder + 3) / 2;

/// Index of c_{k,0}, k >= 1, in the table.
RM_HOST_DEVICE constexpr int uniform_offset(int k) {
  return (k - 1) * (k + 2) / 2;
}

namespace detail {

__extension__ typedef __int128 Integer;

constexpr Integer absolute(Integer a) {
  return a < 0 ? -a : a;
}

constexpr Integer greatest_common_divisor(Integer a, Integer b) {
  a = absolute(a);
  b = absolute(b);
  while (b != 0) {
    const Integer rest = a % b;
    a = b;
    b = rest;
  }
  return a;
}

/// A fraction in lowest terms, denominator positive.
struct Rational {
  Integer numerator = 0;
  Integer denominator = 1;
};

constexpr Rational reduced(Integer numerator, Integer denominator) {
  const Integer divisor = greatest_common_divisor(numerator, denominator);
  return {numerator / divisor, denominator / divisor};
}

constexpr Rational operator*(Rational a, Rational b) {
  const Rational left = reduced(a.numerator, b.denominator);  // crosswise first: keeps the products small
  const Rational right = reduced(b.numerator, a.denominator);
  return {left.numerator * right.numerator, left.denominator * right.denominator};
}

constexpr Rational operator-(Rational a, Rational b) {
  const Integer divisor = greatest_common_divisor(a.denominator, b.denominator);
  const Integer scale = b.denominator / divisor;
  return reduced(a.numerator * scale - b.numerator * (a.denominator / divisor), a.denominator * scale);
}

/// Round to nearest even by long division: 64 bits of quotient and a sticky bit, then one rounding to 53.
constexpr double rounded(Rational value) {
  if (value.numerator == 0) return 0;
  Integer rest = absolute(value.numerator);
  const Integer divisor = value.denominator;
  std::uint64_t quotient = 0;
  int exponent = 0;
  if (rest / divisor >= (Integer{1} << 63)) throw "a coefficient of 2^63 and more isn't expected";
  quotient = static_cast<std::uint64_t>(rest / divisor);
  rest %= divisor;
  while (quotient < (std::uint64_t{1} << 63)) {
    rest *= 2;
    quotient = quotient * 2 + (rest >= divisor ? 1 : 0);
    if (rest >= divisor) rest -= divisor;
    --exponent;
  }
  const std::uint64_t tail = quotient & 0x7FF;
  std::uint64_t mantissa = quotient >> 11;
  if (tail > 0x400 || (tail == 0x400 && (rest != 0 || (mantissa & 1) != 0))) ++mantissa;
  double result = static_cast<double>(mantissa);  // exact: at most 2^53
  for (exponent += 11; exponent < 0; ++exponent) result /= 2;
  for (; exponent > 0; --exponent) result *= 2;
  return value.numerator < 0 ? -result : result;
}

using RationalTable = std::array<Rational, kUniformCoefficients>;

constexpr RationalTable uniform_rationals() {
  RationalTable table{};
  std::array<Rational, kUniformOrder + 1> current{};
  current[0] = {1, 1};  // u_0
  for (int k = 0; k < kUniformOrder; ++k) {
    std::array<Rational, kUniformOrder + 1> next{};
    for (int j = 0; j <= k + 1; ++j) {
      // The coefficient of t^m, m = k + 2j, in u_k gives those of t^{m+1} and t^{m+3} in u_{k+1}.
      const Integer power = k + 2 * j;
      const auto at = [&](int index) { return static_cast<std::size_t>(index); };
      const Rational same =
          j <= k ? current[at(j)] * reduced(4 * power * (power + 1) + 1, 8 * (power + 1)) : Rational{};
      const Rational below =
          j > 0 ? current[at(j - 1)] * reduced(4 * (power - 2) * (power + 1) + 5, 8 * (power + 1))
                : Rational{};
      next[at(j)] = same - below;
      table[at(uniform_offset(k + 1) + j)] = next[at(j)];
    }
    current = next;
  }
  return table;
}

}  // namespace detail

struct UniformTable {
  double values[kUniformCoefficients];
};

constexpr UniformTable make_uniform_table() {
  UniformTable table{};
  const detail::RationalTable exact = detail::uniform_rationals();
  for (std::size_t i = 0; i < exact.size(); ++i) table.values[i] = detail::rounded(exact[i]);
  return table;
}

/// c_{k,j} at kUniformTable.values[uniform_offset(k) + j], correctly rounded.
inline constexpr UniformTable kUniformTable = make_uniform_table();

}  // namespace remeasure::kernels
