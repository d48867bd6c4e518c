// SPDX-License-Identifier: Apache-2.0
//
// What training at data-generation time computes with: matrix products and the normal distribution
// function, from + - * / and sqrt alone and in a fixed order, so that a trained model is the same bits on
// every machine (datasets/ is compiled without contraction to fused multiply-adds). Templates on float and
// double.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "datasets/portable_math.h"

namespace remeasure::datasets {

/// The normal distribution function by Abramowitz and Stegun 7.1.26 (absolute error 1e-7), and the derivative
/// of that formula, so that gradients are those of what is computed.
template <class T>
struct NormalCdf {
  T value, slope;
};
template <class T>
inline NormalCdf<T> normal_cdf(T x) {
  const T z = (x < 0 ? -x : x) * T(0.70710678118654752440);
  const T t = T(1) / (T(1) + T(0.3275911) * z);
  const T a1 = T(0.254829592), a2 = T(-0.284496736), a3 = T(1.421413741), a4 = T(-1.453152027),
          a5 = T(1.061405429);
  const T poly = ((((a5 * t + a4) * t + a3) * t + a2) * t + a1) * t;
  const T poly_slope = (((5 * a5 * t + 4 * a4) * t + 3 * a3) * t + 2 * a2) * t + a1;  // by t
  const T e = portable_exp<T>(-z * z);
  const T tail = T(0.5) * poly * e;  // 1 - Phi(|x|)
  const T tail_slope =
      T(0.5) * e * (-poly_slope * T(0.3275911) * t * t - 2 * z * poly) * T(0.70710678118654752440);  // by |x|
  return {x < 0 ? tail : T(1) - tail, -tail_slope};
}

template <class T>
inline T gelu(T x) {
  return x * normal_cdf(x).value;
}
template <class T>
inline T gelu_slope(T x) {
  const NormalCdf<T> cdf = normal_cdf(x);
  return cdf.value + x * cdf.slope;
}

/// A matrix with any strides, in elements.
template <class T>
struct StridedMatrix {
  const T* data;
  std::ptrdiff_t row, column;
  StridedMatrix transposed() const { return {data, column, row}; }
};
template <class T>
StridedMatrix<T> row_major(const T* data, std::ptrdiff_t columns) {
  return {data, columns, 1};
}

/// c[rows, columns] = a[rows, inner] b[inner, columns] (+ c), row-major with `c_row` elements a row. Each
/// element is summed in the order of `inner`, from 0.
template <class T>
void multiply(std::ptrdiff_t rows, std::ptrdiff_t columns, std::ptrdiff_t inner, StridedMatrix<T> a,
              StridedMatrix<T> b, T* c, std::ptrdiff_t c_row, bool accumulate = false) {
  constexpr std::ptrdiff_t kLanes = 64 / sizeof(T), kWidth = 2 * kLanes, kHeight = 6;
  typedef T Lanes __attribute__((vector_size(64)));
  static thread_local std::vector<T> packed;
  packed.resize(static_cast<std::size_t>(inner * kWidth) + 64);
  void* start = packed.data();
  std::size_t room = packed.size() * sizeof(T);
  T* const panel = static_cast<T*>(std::align(64, room - 64 * sizeof(T), start, room));
  for (std::ptrdiff_t first = 0; first < columns; first += kWidth) {
    const std::ptrdiff_t width = std::min(kWidth, columns - first);
    for (std::ptrdiff_t k = 0; k < inner; ++k) {
      const T* from = b.data + k * b.row + first * b.column;
      T* to = panel + k * kWidth;
      for (std::ptrdiff_t j = 0; j < width; ++j) to[j] = from[j * b.column];
      for (std::ptrdiff_t j = width; j < kWidth; ++j) to[j] = 0;
    }
    for (std::ptrdiff_t top = 0; top < rows; top += kHeight) {
      const std::ptrdiff_t height = std::min(kHeight, rows - top);
      const T* of[kHeight];
      for (std::ptrdiff_t i = 0; i < kHeight; ++i) of[i] = a.data + (top + std::min(i, height - 1)) * a.row;
      Lanes sum[kHeight][2] = {};
      const Lanes* from = reinterpret_cast<const Lanes*>(panel);
      for (std::ptrdiff_t k = 0; k < inner; ++k, from += 2) {
        const std::ptrdiff_t at = k * a.column;
#pragma GCC unroll 6
        for (int i = 0; i < kHeight; ++i) {
          sum[i][0] += of[i][at] * from[0];
          sum[i][1] += of[i][at] * from[1];
        }
      }
      for (std::ptrdiff_t i = 0; i < height; ++i) {
        T* to = c + (top + i) * c_row + first;
        for (std::ptrdiff_t j = 0; j < width; ++j)
          to[j] = (accumulate ? to[j] : T(0)) + sum[i][j / kLanes][j % kLanes];
      }
    }
  }
}

}  // namespace remeasure::datasets
