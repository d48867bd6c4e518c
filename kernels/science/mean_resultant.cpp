// SPDX-License-Identifier: Apache-2.0
#include "kernels/science/mean_resultant.h"

#include <algorithm>
#include <stdexcept>

#include "kernels/science/mean_resultant_shape.h"

namespace remeasure::kernels {

MeanResultantShape mean_resultant_shape(std::size_t rows, std::size_t columns) {
  if (rows == 0 || columns == 0)
    throw std::invalid_argument("mean_resultant: needs at least one row and one column");
  // 512 blocks fill the largest GPU a few times; a chunk of fewer than 64 rows isn't worth its partial sums.
  constexpr std::size_t kBlocks = 512, kLeastRows = 64;
  const std::size_t column_blocks = (columns + 127) / 128;
  const std::size_t wanted =
      std::clamp<std::size_t>(kBlocks / column_blocks, 1, (rows + kLeastRows - 1) / kLeastRows);
  const std::size_t rows_per_chunk = (rows + wanted - 1) / wanted;
  const std::size_t chunks = (rows + rows_per_chunk - 1) / rows_per_chunk;
  return {static_cast<int>(chunks), static_cast<int>(rows_per_chunk)};
}

std::size_t mean_resultant_workspace(std::size_t rows, std::size_t columns) {
  return static_cast<std::size_t>(mean_resultant_shape(rows, columns).chunks) * columns;
}

MeanResultantWork mean_resultant_work(std::size_t rows, std::size_t columns) {
  const auto n = static_cast<double>(rows), d = static_cast<double>(columns);
  const double chunks = mean_resultant_shape(rows, columns).chunks;
  // Partial sums: an addition per feature, and three join the four sums of a chunk's column. Joined: an
  // addition per chunk, a division. Length: a square added, then each of 256 threads adds 5 times in its warp
  // and 7 times over the warps; a root.
  const double flops = n * d + 3 * chunks * d + (chunks + 1) * d + 2 * d + 256 * 12 + 1;
  // Features and partial sums; partial sums and mean; mean and length.
  const double bytes = (4 * n * d + 8 * chunks * d) + (8 * chunks * d + 8 * d) + (8 * d + 8);
  return {flops, bytes};
}

}  // namespace remeasure::kernels
