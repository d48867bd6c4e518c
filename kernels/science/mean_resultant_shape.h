// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

namespace remeasure::kernels {

/// How mean_resultant splits the rows. Depends on the sizes alone, so that the order of the sums does too.
struct MeanResultantShape {
  int chunks = 1;
  int rows_per_chunk = 1;
};

/// Throws std::invalid_argument for rows or columns of 0.
MeanResultantShape mean_resultant_shape(std::size_t rows, std::size_t columns);

}  // namespace remeasure::kernels
