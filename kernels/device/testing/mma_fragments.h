// SPDX-License-Identifier: Apache-2.0
//
// Matrices as fragments of a warp, for the tests of the tensor-core wrappers: packed by the formulas of the
// PTX ISA's fragment paragraphs (typed here once more, not taken from mma_layout.h), and compared with a
// product in double.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <random>
#include <utility>
#include <vector>

#include "kernels/device/float16.h"

namespace remeasure::testing {

using Words = std::vector<std::uint32_t>;

/// A matrix of exact values, row-major.
struct Matrix {
  int rows, columns;
  std::vector<double> values;
  Matrix(int r, int c) : rows(r), columns(c), values(static_cast<std::size_t>(r * c)) {}
  double& at(int r, int c) { return values[static_cast<std::size_t>(r * columns + c)]; }
  double at(int r, int c) const { return values[static_cast<std::size_t>(r * columns + c)]; }
};

/// How many bits an element takes, and its bits from a value that it represents exactly.
struct Format {
  int bits;
  std::uint32_t (*encode)(double);
  double (*draw)(std::mt19937&);  // a value of the format
};

inline std::uint32_t encode_float(double value) {
  return std::bit_cast<std::uint32_t>(static_cast<float>(value));
}
inline double draw_integer(std::mt19937& random, int low, int high) {
  return static_cast<double>(std::uniform_int_distribution<int>(low, high)(random));
}
/// A value with `digits` significant bits and a moderate exponent.
inline double draw_real(std::mt19937& random, int digits) {
  const double significand = draw_integer(random, -(1 << digits) + 1, (1 << digits) - 1);
  return std::ldexp(significand, -digits + static_cast<int>(draw_integer(random, -3, 3)));
}

inline const Format kF16{16, [](double v) -> std::uint32_t { return half(static_cast<float>(v)).bits; },
                         [](std::mt19937& r) { return draw_real(r, 11); }};
inline const Format kBf16{16, [](double v) -> std::uint32_t { return bfloat16(static_cast<float>(v)).bits; },
                          [](std::mt19937& r) { return draw_real(r, 8); }};
inline const Format kTf32{32, encode_float, [](std::mt19937& r) { return draw_real(r, 11); }};
inline const Format kS8{8, [](double v) { return static_cast<std::uint32_t>(static_cast<int>(v)) & 0xffu; },
                        [](std::mt19937& r) { return draw_integer(r, -128, 127); }};
inline const Format kS4{4, [](double v) { return static_cast<std::uint32_t>(static_cast<int>(v)) & 0xfu; },
                        [](std::mt19937& r) { return draw_integer(r, -8, 7); }};
inline const Format kB1{1, [](double v) { return static_cast<std::uint32_t>(v); },
                        [](std::mt19937& r) { return draw_integer(r, 0, 1); }};

inline Matrix random_matrix(int rows, int columns, const Format& format, std::mt19937& random) {
  Matrix matrix(rows, columns);
  for (double& value : matrix.values) value = format.draw(random);
  return matrix;
}

// The PTX ISA, "Matrix Fragments for mma.m16n8k...": groupID = %laneid >> 2, threadID_in_group = %laneid % 4.
// Element ai has
//   row = groupID for the elements of the first and third register, groupID + 8 otherwise
//   col = threadID_in_group * E + (i mod E), plus K/2 from the third register on       (E elements in a
//   register)
// element bi  row = threadID_in_group * E + (i mod E), plus 4E for each register before it;  col = groupID
// element ci  row = groupID for i < 2, else groupID + 8;  col = threadID_in_group * 2 + (i & 1)

inline std::uint32_t pack(const Matrix& m, const Format& format, int row, int column, bool along_row) {
  const int elements = 32 / format.bits;
  std::uint32_t word = 0;
  for (int e = 0; e < elements; ++e) {
    const double value = along_row ? m.at(row, column + e) : m.at(row + e, column);
    word |= format.encode(value) << (e * format.bits);
  }
  return word;
}

inline Words pack_a(const Matrix& a, const Format& format) {
  const int elements = 32 / format.bits;
  Words words;
  for (int lane = 0; lane < 32; ++lane) {
    const int group = lane >> 2, thread = lane % 4;
    words.push_back(pack(a, format, group, thread * elements, true));
    words.push_back(pack(a, format, group + 8, thread * elements, true));
    if (a.columns == 4 * elements) continue;  // m16n8k8 of 16-bit elements: two registers
    words.push_back(pack(a, format, group, thread * elements + a.columns / 2, true));
    words.push_back(pack(a, format, group + 8, thread * elements + a.columns / 2, true));
  }
  return words;
}

inline Words pack_b(const Matrix& b, const Format& format) {
  const int elements = 32 / format.bits;
  Words words;
  for (int lane = 0; lane < 32; ++lane) {
    const int group = lane >> 2, thread = lane % 4;
    for (int first = 0; first < b.rows; first += 4 * elements) {
      words.push_back(pack(b, format, first + thread * elements, group, false));
    }
  }
  return words;
}

/// Registers of C; `encode` makes float or integer bits.
inline Words pack_c(const Matrix& c, std::uint32_t (*encode)(double)) {
  Words words;
  for (int lane = 0; lane < 32; ++lane) {
    const int group = lane >> 2, thread = lane % 4;
    words.push_back(encode(c.at(group, thread * 2)));
    words.push_back(encode(c.at(group, thread * 2 + 1)));
    words.push_back(encode(c.at(group + 8, thread * 2)));
    words.push_back(encode(c.at(group + 8, thread * 2 + 1)));
  }
  return words;
}

struct Inputs {
  Matrix a, b, c;
};

inline std::uint32_t encode_integer(double value) {
  return static_cast<std::uint32_t>(static_cast<std::int32_t>(value));
}

/// The largest error of D in units of 2^-24 sum|a||b| + |c|, the natural scale of a float sum; counts any
/// error of integers.
inline double largest_error(const Words& d, const Matrix& exact, const Matrix& scale, bool integer) {
  double largest = 0;
  for (int lane = 0; lane < 32; ++lane) {
    for (int i = 0; i < 4; ++i) {
      const int row = (lane >> 2) + (i < 2 ? 0 : 8);
      const int column = lane % 4 * 2 + (i & 1);
      const std::uint32_t word = d[static_cast<std::size_t>(4 * lane + i)];
      const double is = integer ? static_cast<double>(static_cast<std::int32_t>(word))
                                : static_cast<double>(std::bit_cast<float>(word));
      const double unit = integer ? 1.0 : std::ldexp(scale.at(row, column), -24);
      const double error = std::abs(is - exact.at(row, column)) / unit;
      if (!(error <= largest)) largest = error;  // a NaN counts
    }
  }
  return largest;
}

template <class Product>
std::pair<Matrix, Matrix> exact_product(const Inputs& in, Product product) {
  Matrix exact = in.c;
  Matrix scale(16, 8);
  for (int row = 0; row < 16; ++row) {
    for (int column = 0; column < 8; ++column) {
      scale.at(row, column) = std::abs(in.c.at(row, column));
      for (int k = 0; k < in.a.columns; ++k) {
        const double term = product(in.a.at(row, k), in.b.at(k, column));
        exact.at(row, column) += term;
        scale.at(row, column) += std::abs(term);
      }
    }
  }
  return {exact, scale};
}

/// The band for float: each of K + 1 additions rounds by at most 2^-24 of a partial sum, which is at most the
/// scale.
inline double band(int k, bool integer) {
  return integer ? 0.0 : k + 1;
}

}  // namespace remeasure::testing
