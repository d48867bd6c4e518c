// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <cstddef>
#include <vector>

namespace remeasure::kernels::testing {

/// |out - reference|_2 / |reference|_2
template <class T>
double relative_error(const std::vector<T>& out, const std::vector<double>& reference) {
  double difference = 0, scale = 0;
  for (std::size_t i = 0; i < reference.size(); ++i) {
    difference += std::pow(static_cast<double>(out[i]) - reference[i], 2);
    scale += reference[i] * reference[i];
  }
  return std::sqrt(difference / scale);
}

}  // namespace remeasure::kernels::testing
