// SPDX-License-Identifier: Apache-2.0
#include "kernels/graphs/tc_spmm.h"

#include <fmt/format.h>

#include <stdexcept>

namespace remeasure::kernels {

SpmmPlan spmm_plan(int dim) {
  if (dim <= 16) return {.slice = 16, .depth_warps = 4, .column_blocks = 1};
  if (dim <= 32) return {.slice = 16, .depth_warps = 2, .column_blocks = 1};
  if (dim <= 64) return {.slice = 16, .depth_warps = 1, .column_blocks = 1};
  return {.slice = 32, .depth_warps = 1, .column_blocks = (dim + 127) / 128};
}

void check_aggregation(const char* what, std::int64_t rows, std::int64_t columns, int dim, std::size_t x,
                       std::size_t y) {
  if (rows < 0)
    throw std::invalid_argument(
        fmt::format("{}: arrays of the translation that don't fit its rows or edges", what));
  const auto width = static_cast<std::size_t>(dim);
  if (dim < 4 || dim % 4 != 0 || dim > 4096 || rows == 0 || x != static_cast<std::size_t>(columns) * width ||
      y != static_cast<std::size_t>(rows) * width) {
    throw std::invalid_argument(fmt::format(
        "{}: {} values for [{}, {}] and {} for [{}, {}]; dim must be a multiple of 4 up to 4096, and "
        "there must be a row",
        what, x, columns, dim, y, rows, dim));
  }
}

std::vector<std::int32_t> rows_in_window(const HostCsr& csr) {
  std::vector<std::int32_t> rows(csr.column_indices.size());
  for (std::size_t row = 0; row < static_cast<std::size_t>(csr.rows); ++row) {
    for (std::int32_t e = csr.row_pointers[row]; e < csr.row_pointers[row + 1]; ++e) {
      rows[static_cast<std::size_t>(e)] = static_cast<std::int32_t>(row % kWindowRows);
    }
  }
  return rows;
}

}  // namespace remeasure::kernels
