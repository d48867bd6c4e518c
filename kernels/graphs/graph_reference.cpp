// SPDX-License-Identifier: Apache-2.0
#include "kernels/graphs/graph_reference.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <vector>

#include "kernels/parallel_tasks.h"

namespace remeasure::kernels {
namespace {

std::size_t at(std::int64_t index) {
  return static_cast<std::size_t>(index);
}

void check_dense(const char* what, std::int64_t rows, int dim, std::size_t size) {
  if (dim < 1 || size != at(rows) * at(dim)) {
    throw std::invalid_argument(fmt::format("{}: {} values for [{}, {}]", what, size, rows, dim));
  }
}

template <class Run>
void for_edges(const HostCsr& csr, Run run) {
  for (std::int64_t row = 0; row < csr.rows; ++row) {
    for (std::int64_t e = csr.row_pointers[at(row)]; e < csr.row_pointers[at(row) + 1]; ++e)
      run(row, e, csr.column_indices[at(e)]);
  }
}

std::span<const float> row_of(std::span<const float> x, std::int64_t row, int dim) {
  return x.subspan(at(row) * at(dim), at(dim));
}

template <class Scalar>
Scalar dot(std::span<const float> a, std::span<const float> b) {
  Scalar sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += static_cast<Scalar>(a[i]) * static_cast<Scalar>(b[i]);
  return sum;
}

template <class Scalar>
std::vector<Scalar> norms(std::int64_t rows, int dim, std::span<const float> x) {
  std::vector<Scalar> result(at(rows));
  for (std::int64_t row = 0; row < rows; ++row)
    result[at(row)] = std::sqrt(dot<Scalar>(row_of(x, row, dim), row_of(x, row, dim)));
  return result;
}

}  // namespace

template <class Scalar>
void spmm_reference(const HostCsr& csr, int dim, std::span<const float> x, std::span<Scalar> y) {
  check_dense("spmm_reference: x", csr.columns, dim, x.size());
  check_dense("spmm_reference: y", csr.rows, dim, y.size());
  std::fill(y.begin(), y.end(), Scalar{0});
  for_edges(csr, [&](std::int64_t row, std::int64_t e, std::int32_t column) {
    const Scalar value = csr.values.empty() ? Scalar{1} : static_cast<Scalar>(csr.values[at(e)]);
    for (std::size_t d = 0; d < at(dim); ++d)
      y[at(row) * at(dim) + d] += value * static_cast<Scalar>(x[at(column) * at(dim) + d]);
  });
}

void spmm_scale(const HostCsr& csr, int dim, std::span<const float> x, std::span<double> scale) {
  check_dense("spmm_scale", csr.columns, dim, x.size());
  std::fill(scale.begin(), scale.end(), 0.0);
  for_edges(csr, [&](std::int64_t row, std::int64_t e, std::int32_t column) {
    const double value = csr.values.empty() ? 1 : std::abs(static_cast<double>(csr.values[at(e)]));
    for (std::size_t d = 0; d < at(dim); ++d) {
      scale[at(row) * at(dim) + d] += value * std::abs(static_cast<double>(x[at(column) * at(dim) + d]));
    }
  });
}

template <class Scalar>
void sddmm_reference(const HostCsr& csr, int dim, std::span<const float> a, std::span<const float> b,
                     std::span<Scalar> scores) {
  check_dense("sddmm_reference: a", csr.rows, dim, a.size());
  check_dense("sddmm_reference: b", csr.columns, dim, b.size());
  for_edges(csr, [&](std::int64_t row, std::int64_t e, std::int32_t column) {
    scores[at(e)] = dot<Scalar>(row_of(a, row, dim), row_of(b, column, dim));
  });
}

void sddmm_scale(const HostCsr& csr, int dim, std::span<const float> a, std::span<const float> b,
                 std::span<double> scale) {
  const std::vector<double> of_a = norms<double>(csr.rows, dim, a), of_b = norms<double>(csr.columns, dim, b);
  for_edges(csr, [&](std::int64_t row, std::int64_t e, std::int32_t column) {
    scale[at(e)] = of_a[at(row)] * of_b[at(column)];
  });
}

template <class Scalar>
void agnn_reference(const HostCsr& csr, Scalar beta, int dim, std::span<const float> x, std::span<Scalar> y) {
  check_dense("agnn_reference: x", csr.columns, dim, x.size());
  check_dense("agnn_reference: y", csr.rows, dim, y.size());
  if (csr.rows != csr.columns)
    throw std::invalid_argument("agnn_reference: a graph has as many rows as columns");
  const std::vector<Scalar> norm = norms<Scalar>(csr.rows, dim, x);
  std::vector<Scalar> weights;
  for (std::int64_t row = 0; row < csr.rows; ++row) {
    const std::int64_t first = csr.row_pointers[at(row)], last = csr.row_pointers[at(row) + 1];
    weights.assign(at(last - first), Scalar{0});
    Scalar largest = 0, sum = 0;
    for (std::size_t i = 0; i < weights.size(); ++i) {
      const std::int32_t column = csr.column_indices[at(first) + i];
      const Scalar scale = norm[at(row)] * norm[at(column)];
      weights[i] =
          scale > 0 ? beta * dot<Scalar>(row_of(x, row, dim), row_of(x, column, dim)) / scale : Scalar{0};
      largest = i == 0 ? weights[i] : std::max(largest, weights[i]);
    }
    for (Scalar& weight : weights) sum += weight = std::exp(weight - largest);
    const auto out = y.subspan(at(row) * at(dim), at(dim));
    std::fill(out.begin(), out.end(), Scalar{0});
    for (std::size_t i = 0; i < weights.size(); ++i) {
      const auto source = row_of(x, csr.column_indices[at(first) + i], dim);
      for (std::size_t d = 0; d < out.size(); ++d)
        out[d] += weights[i] / sum * static_cast<Scalar>(source[d]);
    }
  }
}

template <class Scalar>
void translated_spmm(const RowWindows& windows, int dim, std::span<const float> values,
                     std::span<const float> x, std::span<Scalar> y, int threads) {
  check_dense("translated_spmm: x", windows.columns, dim, x.size());
  check_dense("translated_spmm: y", windows.rows, dim, y.size());
  const auto width = at(dim);
  for_each_row_block(1, static_cast<int>(windows.windows()), threads, [&](int, int first, int count) {
    std::vector<Scalar> gathered(kTileColumns * width), sums(kWindowRows * width);
    Scalar block[kWindowRows][kTileColumns];
    for (std::int64_t w = first; w < first + count; ++w) {
      std::fill(sums.begin(), sums.end(), Scalar{0});
      for (std::int64_t tile = windows.tile_pointers[at(w)]; tile < windows.tile_pointers[at(w) + 1];
           ++tile) {
        for (auto& row : block) std::fill(std::begin(row), std::end(row), Scalar{0});
        for (std::int64_t i = windows.edge_pointers[at(tile)]; i < windows.edge_pointers[at(tile) + 1]; ++i) {
          const int place = windows.places[at(i)];
          block[place / kTileColumns][place % kTileColumns] =
              values.empty() ? Scalar{1} : static_cast<Scalar>(values[at(windows.edge_order[at(i)])]);
        }
        for (std::size_t c = 0; c < kTileColumns; ++c) {
          const std::int32_t column = windows.column_map[at(tile) * kTileColumns + c];
          for (std::size_t d = 0; d < width; ++d) {
            gathered[c * width + d] = column < 0 ? Scalar{0} : static_cast<Scalar>(x[at(column) * width + d]);
          }
        }
        for (std::size_t row = 0; row < kWindowRows; ++row) {
          for (std::size_t c = 0; c < kTileColumns; ++c) {
            for (std::size_t d = 0; d < width; ++d)
              sums[row * width + d] += block[row][c] * gathered[c * width + d];
          }
        }
      }
      const std::int64_t rows = std::min<std::int64_t>(kWindowRows, windows.rows - w * kWindowRows);
      std::copy_n(sums.begin(), at(rows) * width,
                  y.begin() + static_cast<std::ptrdiff_t>(at(w * kWindowRows) * width));
    }
  });
}

#define RM_INSTANTIATE(Scalar)                                                                          \
  template void spmm_reference(const HostCsr&, int, std::span<const float>, std::span<Scalar>);         \
  template void sddmm_reference(const HostCsr&, int, std::span<const float>, std::span<const float>,    \
                                std::span<Scalar>);                                                     \
  template void agnn_reference(const HostCsr&, Scalar, int, std::span<const float>, std::span<Scalar>); \
  template void translated_spmm(const RowWindows&, int, std::span<const float>, std::span<const float>, \
                                std::span<Scalar>, int)
RM_INSTANTIATE(float);
RM_INSTANTIATE(double);
#undef RM_INSTANTIATE

}  // namespace remeasure::kernels
