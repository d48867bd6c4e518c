// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <stdexcept>
#include <string>
#include <vector>

#include "kernels/learning/linear_bounds.h"

namespace remeasure::kernels {

/// A bound object in host memory.
template <class Scalar>
struct BoundArrays {
  BoundShape shape;
  std::vector<Scalar> lower_weight, upper_weight, lower_bias, upper_bias;

  BoundArrays() = default;
  explicit BoundArrays(const BoundShape& of)
      : shape(of),
        lower_weight(of.weights()),
        upper_weight(of.weights()),
        lower_bias(of.biases()),
        upper_bias(of.biases()) {}

  HostBounds<Scalar> spans() { return {lower_weight, upper_weight, lower_bias, upper_bias}; }
  HostBounds<const Scalar> spans() const { return {lower_weight, upper_weight, lower_bias, upper_bias}; }
  HostBounds<const Scalar> constant() const { return spans(); }

  /// The bounds of row 0 alone.
  BoundArrays first_row() const {
    BoundArrays row({1, shape.inputs, shape.channels});
    std::copy_n(lower_weight.begin(), row.lower_weight.size(), row.lower_weight.begin());
    std::copy_n(upper_weight.begin(), row.upper_weight.size(), row.upper_weight.begin());
    std::copy_n(lower_bias.begin(), row.lower_bias.size(), row.lower_bias.begin());
    std::copy_n(upper_bias.begin(), row.upper_bias.size(), row.upper_bias.begin());
    return row;
  }

  template <class Other>
  BoundArrays<Other> as() const {
    BoundArrays<Other> result(shape);
    const auto convert = [](const std::vector<Scalar>& from, std::vector<Other>& to) {
      std::transform(from.begin(), from.end(), to.begin(), [](Scalar x) { return static_cast<Other>(x); });
    };
    convert(lower_weight, result.lower_weight);
    convert(upper_weight, result.upper_weight);
    convert(lower_bias, result.lower_bias);
    convert(upper_bias, result.upper_bias);
    return result;
  }
};

/// Throws std::invalid_argument where the arrays don't have the shape's sizes.
template <class Scalar>
void check_bounds(const char* what, const BoundShape& shape, const HostBounds<Scalar>& bounds) {
  if (shape.rows >= 1 && shape.inputs >= 1 && shape.channels >= 1 &&
      bounds.lower_weight.size() == shape.weights() && bounds.upper_weight.size() == shape.weights() &&
      bounds.lower_bias.size() == shape.biases() && bounds.upper_bias.size() == shape.biases()) {
    return;
  }
  throw std::invalid_argument(
      std::string(what) + ": weights of " + std::to_string(bounds.lower_weight.size()) + " and biases of " +
      std::to_string(bounds.lower_bias.size()) + " values; " + std::to_string(shape.weights()) + " and " +
      std::to_string(shape.biases()) + " follow from the shape");
}

}  // namespace remeasure::kernels
