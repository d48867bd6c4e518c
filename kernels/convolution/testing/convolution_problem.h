// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "kernels/convolution/tensor4.h"
#include "kernels/device/float16.h"
#include "kernels/device/philox.h"

namespace remeasure::kernels::testing {

/// Arrays of one convolution, N(0, 1), as an Element rounds them: the oracle sees what a kernel does.
struct ConvolutionArrays {
  std::vector<double> input, weights, output_gradient, bias, residual;
};

template <class Element = double>
std::vector<double> normal_doubles(std::size_t size, std::uint64_t seed) {
  std::vector<double> values(size);
  for (std::size_t i = 0; i < size; ++i) {
    const Philox4 random = philox(seed, i);
    const float value = normal_float(random.word[0], random.word[1]).first;
    values[i] = static_cast<double>(static_cast<float>(static_cast<Element>(value)));
  }
  return values;
}

template <class Element = double>
ConvolutionArrays convolution_arrays(const ConvolutionShape& shape, Layout layout, std::uint64_t seed = 1) {
  const std::size_t outputs = shape.output(layout).size();
  return {normal_doubles<Element>(shape.input(layout).size(), seed),
          normal_doubles<Element>(shape.weights(layout).size(), seed + 100),
          normal_doubles<Element>(outputs, seed + 200),
          normal_doubles<float>(static_cast<std::size_t>(shape.out_channels), seed + 300),
          normal_doubles<Element>(outputs, seed + 400)};
}

/// The largest relative error of a value that is rounded to an Element.
template <class Element>
constexpr double unit_roundoff() {
  return std::is_same_v<Element, half> ? 0x1p-11 : std::is_same_v<Element, bfloat16> ? 0x1p-8 : 0x1p-24;
}

/// |a - b| / |b|; infinite for a NaN or other sizes.
template <class T, class U>
double relative_difference(const std::vector<T>& a, const std::vector<U>& b) {
  if (a.size() != b.size()) return INFINITY;
  double difference = 0, size = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double d = static_cast<double>(a[i]) - static_cast<double>(b[i]);
    difference += d * d;
    size += static_cast<double>(b[i]) * static_cast<double>(b[i]);
  }
  const double relative = size == 0 ? std::sqrt(difference) : std::sqrt(difference / size);
  return std::isnan(relative) ? INFINITY : relative;
}

}  // namespace remeasure::kernels::testing
