// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "kernels/device/philox.h"
#include "kernels/learning/layers.h"

namespace remeasure::kernels::testing {

/// N(0, 1), a function of (seed, place).
template <class T>
layers::Matrix<T> normal_matrix(int rows, int columns, std::uint64_t seed) {
  layers::Matrix<T> m(rows, columns);
  for (Eigen::Index i = 0; i < m.size(); ++i)
    m.data()[i] = static_cast<T>(normal_double(philox(seed, static_cast<std::uint64_t>(i))).first);
  return m;
}

}  // namespace remeasure::kernels::testing
