// SPDX-License-Identifier: Apache-2.0
//
// What both directions of a transformer compute with: sums in a fixed order, softmax, attention's heads.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <type_traits>

#include "datasets/learning/dense_math.h"
#include "datasets/learning/transformer.h"

namespace remeasure::datasets {

/// Sums in eight parts, so that it vectorises, in an order that no machine changes.
template <class T, class Term>
T ordered_sum(std::ptrdiff_t n, Term term) {
  T part[8] = {};
  std::ptrdiff_t i = 0;
  for (; i + 8 <= n; i += 8) {
    for (std::ptrdiff_t l = 0; l < 8; ++l) part[l] += term(i + l);
  }
  for (; i < n; ++i) part[i % 8] += term(i);
  return ((part[0] + part[1]) + (part[2] + part[3])) + ((part[4] + part[5]) + (part[6] + part[7]));
}

template <class T>
void softmax(T* x, std::ptrdiff_t n, T scale) {
  T largest = x[0];
  for (std::ptrdiff_t i = 1; i < n; ++i) largest = std::max(largest, x[i]);
  for (std::ptrdiff_t i = 0; i < n; ++i) x[i] = portable_exp<T>((x[i] - largest) * scale);
  const T inverse = T(1) / ordered_sum<T>(n, [x](std::ptrdiff_t i) { return x[i]; });
  for (std::ptrdiff_t i = 0; i < n; ++i) x[i] *= inverse;
}

inline std::size_t size_of_matrix(int rows, int columns) {
  return static_cast<std::size_t>(rows) * static_cast<std::size_t>(columns);
}

/// [samples, rows, part of 3 dim] to and from [samples, heads, rows, head dim].
template <class T, bool kBack>
void split_heads(const TransformerShape& s, int samples, std::ptrdiff_t width, std::ptrdiff_t first,
                 std::conditional_t<kBack, T*, const T*> wide,
                 std::conditional_t<kBack, const T*, T*> heads) {
  const std::ptrdiff_t rows = s.rows(), d = s.head_dim();
  for (std::ptrdiff_t sample = 0; sample < samples; ++sample) {
    for (std::ptrdiff_t h = 0; h < s.heads; ++h) {
      for (std::ptrdiff_t r = 0; r < rows; ++r) {
        auto* in = wide + (sample * rows + r) * width + first + h * d;
        auto* out = heads + ((sample * s.heads + h) * rows + r) * d;
        for (std::ptrdiff_t i = 0; i < d; ++i) {
          if constexpr (kBack)
            in[i] = out[i];
          else
            out[i] = in[i];
        }
      }
    }
  }
}

}  // namespace remeasure::datasets
