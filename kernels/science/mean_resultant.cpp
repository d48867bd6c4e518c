// SPDX-License-Identifier: Apache-2.0
#include "kernels/science/mean_resultant.h"

#include <algorithm>
#include <stdexcept>

#include "kernels/science/mean_resultant_shape.h"

namespace remeasure::kernels {

MeanResultantShape mean_resultant_shape(std::size_t rows, std::size_t columns) {
  if (rows == 0 || columns == 0) throw std::invalid_argument("mean_resultant: needs at least one row and one column");
  // 512 blocks fill the largest GPU a few times; a chunk of fewer than 64 rows isn't worth its partial sums.
  constexpr std::size_t kBlocks = 512, kLeastRows = 64;
  const std::size_t column_blocks = (columns + 127) / 128;
  const std::size_t wanted = std::clamp<std::size_t>(kBlocks / column_blocks, 1, (rows + kLeastRows - 1) / kLeastRows);
  const std::size_t rows_per_chunk = (rows + wanted - 1) / wanted;
  const std::size_t chunks = (rows + rows_per_chunk - 1) / rows_per_chunk;
  return {static_cast<int>(chunks), static_cast<int>(rows_per_chunk)};
}

std::size_t mean_resultant_workspace(std::size_t rows, std::size_t columns) {
  return static_cast<std::size_t>(mean_resultant_shape(rows, columns).chunks) * columns;
}

}  // namespace remeasure::kernels
