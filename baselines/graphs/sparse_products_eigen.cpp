// SPDX-License-Identifier: Apache-2.0
#include <Eigen/Dense>
#include <Eigen/SparseCore>
#include <algorithm>
#include <stdexcept>

#include "baselines/graphs/sparse_products.h"
#include "kernels/parallel_tasks.h"

namespace remeasure::baselines {
namespace {

using Dense = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Sparse = Eigen::SparseMatrix<float, Eigen::RowMajor, std::int32_t>;

void check_size(std::int64_t rows, int dim, std::size_t size) {
  if (dim < 1 || size != static_cast<std::size_t>(rows) * static_cast<std::size_t>(dim)) {
    throw std::invalid_argument("sparse product: an array of " + std::to_string(size) + " values for [" +
                                std::to_string(rows) + ", " + std::to_string(dim) + "]");
  }
}

}  // namespace

EigenSpmm::EigenSpmm(const HostCsr& csr) : csr_(csr) {
  kernels::check_csr_sizes("EigenSpmm", csr.rows, csr.columns, csr.row_pointers.size(),
                           csr.column_indices.size(), csr.values.size());
  if (csr.values.empty()) ones_.assign(csr.column_indices.size(), 1.0f);
}

void EigenSpmm::operator()(int dim, std::span<const float> x, std::span<float> y) const {
  check_size(csr_.columns, dim, x.size());
  check_size(csr_.rows, dim, y.size());
  const float* values = csr_.values.empty() ? ones_.data() : csr_.values.data();
  const Eigen::Map<const Sparse> a(csr_.rows, csr_.columns, csr_.edges(), csr_.row_pointers.data(),
                                   csr_.column_indices.data(), values);
  Eigen::Map<Dense>(y.data(), csr_.rows, dim).noalias() =
      a * Eigen::Map<const Dense>(x.data(), csr_.columns, dim);
}

void sddmm_eigen(const HostCsr& csr, int dim, std::span<const float> a, std::span<const float> b,
                 std::span<float> scores) {
  check_size(csr.rows, dim, a.size());
  check_size(csr.columns, dim, b.size());
  if (scores.size() != csr.column_indices.size())
    throw std::invalid_argument("sddmm_eigen: expected a score for each edge");
  const Eigen::Map<const Dense> rows(a.data(), csr.rows, dim), columns(b.data(), csr.columns, dim);
  // Blocks of rows a tenth of a thread's share: rows differ in their edges.
  const int block = static_cast<int>(std::max<std::int64_t>(1, csr.rows / 64)),
            blocks = static_cast<int>((csr.rows + block - 1) / block);
  kernels::for_each_row_block(blocks, 1, 0, [&](int index, int, int) {
    const std::int64_t first = std::int64_t{index} * block;
    for (std::int64_t row = first; row < std::min(csr.rows, first + block); ++row) {
      const auto begin = csr.row_pointers[static_cast<std::size_t>(row)],
                 end = csr.row_pointers[static_cast<std::size_t>(row) + 1];
      for (std::int32_t e = begin; e < end; ++e) {
        scores[static_cast<std::size_t>(e)] =
            rows.row(row).dot(columns.row(csr.column_indices[static_cast<std::size_t>(e)]));
      }
    }
  });
}

}  // namespace remeasure::baselines
