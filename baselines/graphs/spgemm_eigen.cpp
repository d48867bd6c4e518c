// SPDX-License-Identifier: Apache-2.0
#include <Eigen/SparseCore>
#include <algorithm>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

#include "baselines/graphs/spgemm.h"
#include "kernels/parallel_tasks.h"

namespace remeasure::baselines {
namespace {

using Matrix = Eigen::SparseMatrix<float, Eigen::RowMajor, std::int32_t>;

Eigen::Map<const Matrix> view(const HostCsr& m) {
  return {m.rows,
          m.columns,
          static_cast<Eigen::Index>(m.column_indices.size()),
          m.row_pointers.data(),
          m.column_indices.data(),
          m.values.data()};
}

constexpr int kRowsEach = 512;

}  // namespace

void spgemm_eigen(const HostCsr& a, const HostCsr& b, const CsrResult<float>& c, int threads) {
  if (a.columns != b.rows || c.row_pointers.size() != static_cast<std::size_t>(a.rows) + 1) {
    throw std::invalid_argument("spgemm_eigen: " + std::to_string(a.columns) + " columns times " +
                                std::to_string(b.rows) +
                                " rows, row pointers of C: " + std::to_string(c.row_pointers.size()));
  }
  const auto left = view(a), right = view(b);
  const auto row_count = static_cast<int>(a.rows);
  const int blocks = (row_count + kRowsEach - 1) / kRowsEach;
  std::vector<Matrix> parts(static_cast<std::size_t>(blocks));
  if (blocks > 0) {
    kernels::for_each_row_block(blocks, 1, threads, [&](int block, int, int) {
      const int first = block * kRowsEach, rows = std::min(kRowsEach, row_count - first);
      parts[static_cast<std::size_t>(block)] = left.middleRows(first, rows) * right;
    });
  }
  std::vector<std::int32_t> offset{0};
  for (const Matrix& part : parts)
    offset.push_back(offset.back() + static_cast<std::int32_t>(part.nonZeros()));
  if (c.column.size() < static_cast<std::size_t>(offset.back()) ||
      c.value.size() < static_cast<std::size_t>(offset.back())) {
    throw std::invalid_argument("spgemm_eigen: C has " + std::to_string(offset.back()) +
                                " entries, room for " + std::to_string(c.column.size()));
  }
  c.row_pointers[0] = 0;
  if (blocks == 0) return;
  kernels::for_each_row_block(blocks, 1, threads, [&](int block, int, int) {
    const auto i = static_cast<std::size_t>(block);
    const Matrix& part = parts[i];
    std::copy_n(part.innerIndexPtr(), part.nonZeros(), c.column.begin() + offset[i]);
    std::copy_n(part.valuePtr(), part.nonZeros(), c.value.begin() + offset[i]);
    for (int row = 0; row < part.rows(); ++row) {
      c.row_pointers[i * kRowsEach + static_cast<std::size_t>(row) + 1] =
          offset[i] + part.outerIndexPtr()[row + 1];
    }
  });
}

}  // namespace remeasure::baselines
