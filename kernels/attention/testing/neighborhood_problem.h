// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <numeric>
#include <vector>

#include "kernels/attention/neighborhood.h"
#include "kernels/device/testing/normal_values.h"

namespace remeasure::kernels::testing {

inline NeighborhoodAxis axis(int length, int window, int dilation = 1, bool causal = false) {
  return {length, window, dilation, causal};
}

inline NeighborhoodShape along(int batch, int heads, int dim, NeighborhoodAxis a, NeighborhoodAxis b = {},
                               NeighborhoodAxis c = {}) {
  return {batch, heads, dim, {a, b, c}};
}

template <class Element>
std::vector<Element> rounded(const std::vector<float>& values) {
  std::vector<Element> result;
  for (const float value : values) result.push_back(Element(value));
  return result;
}

struct NeighborhoodInputs {
  NeighborhoodShape shape;
  float scale;
  std::vector<float> query, key, value;
};

template <class Element>
NeighborhoodInputs inputs_of(const NeighborhoodShape& shape, std::uint64_t seed = 1) {
  const std::size_t size = shape.elements();
  return {shape, 1.0f / std::sqrt(static_cast<float>(shape.dim)), normal_values<Element>(size, seed),
          normal_values<Element>(size, seed + 100), normal_values<Element>(size, seed + 200)};
}

inline std::vector<std::size_t> all_rows(const NeighborhoodShape& shape) {
  std::vector<std::size_t> rows(shape.rows());
  std::iota(rows.begin(), rows.end(), std::size_t{0});
  return rows;
}

template <class T, class U>
double largest_difference(const std::vector<T>& a, const std::vector<U>& b) {
  double largest = a.size() == b.size() ? 0 : INFINITY;
  for (std::size_t i = 0; i < a.size() && i < b.size(); ++i) {
    const double difference =
        std::abs(static_cast<double>(static_cast<float>(a[i])) - static_cast<double>(b[i]));
    largest = difference > largest || std::isnan(difference)
                  ? (std::isnan(difference) ? INFINITY : difference)
                  : largest;
  }
  return largest;
}

}  // namespace remeasure::kernels::testing
