// SPDX-License-Identifier: Apache-2.0
//
// What the results of tc-gnn are compared with, and how closely.
#pragma once

#include <algorithm>

#include "experiments/graphs/tc_gnn_graphs.h"
#include "experiments/vocabulary.h"

namespace remeasure::experiments::tc_gnn_graphs {

inline constexpr float kBeta = 1;
/// TF32: X is rounded to 11 bits, ones are exact. Tensor cores' sums lose a little more than f32's, and rows
/// have thousands of terms.
inline constexpr double kTf32 = 0x1p-11 * 1.01 + 1e-5;
/// f32 of X can't err that little in a row of two or more edges.
inline constexpr double kTf32AtLeast = 1e-5;

/// Rows that are compared: all of a small graph; else the first and the last window and some between.
inline std::vector<std::int64_t> checked_rows(const Csr& csr, int dim) {
  constexpr std::int64_t kValues = 400'000;
  const std::int64_t wanted = std::max<std::int64_t>(64, kValues / dim),
                     step = csr.rows / wanted | 1;  // odd: all rows of windows
  std::vector<std::int64_t> rows;
  for (std::int64_t row = 0; row < csr.rows; ++row) {
    if (step == 1 || row < 16 || row >= csr.rows - 20 || row % step == 0) rows.push_back(row);
  }
  return rows;
}

inline Csr rows_of(const Csr& csr, const std::vector<std::int64_t>& rows) {
  Csr part{.rows = static_cast<std::int64_t>(rows.size()), .columns = csr.columns, .row_pointers = {0}};
  for (const std::int64_t row : rows) {
    const auto columns = csr.row(row);
    part.column_indices.insert(part.column_indices.end(), columns.begin(), columns.end());
    part.row_pointers.push_back(static_cast<std::int32_t>(part.column_indices.size()));
  }
  return part;
}

/// A X in double, with sum |a||x| as scale; a row without an edge must be zeros, whatever the scale.
inline OracleOutput spmm_oracle(const Csr& csr, int dim, const std::vector<float>& x) {
  const std::vector<std::int64_t> rows = checked_rows(csr, dim);
  const Csr part = rows_of(csr, rows);
  const auto width = static_cast<std::size_t>(dim);
  OracleOutput oracle{.values = std::vector<double>(rows.size() * width),
                      .scale = std::vector<double>(rows.size() * width)};
  kernels::spmm_reference<double>(host(part), dim, x, oracle.values);
  kernels::spmm_scale(host(part), dim, x, oracle.scale);
  for (double& scale : oracle.scale) scale = scale > 0 ? scale : 1;
  if (rows.size() == static_cast<std::size_t>(csr.rows)) return oracle;
  for (const std::int64_t row : rows) {
    for (std::size_t d = 0; d < width; ++d)
      oracle.indices.push_back(static_cast<std::size_t>(row) * width + d);
  }
  return oracle;
}

inline OracleOutput sddmm_oracle(const Csr& csr, int dim, const std::vector<float>& x) {
  OracleOutput oracle{.values = std::vector<double>(csr.column_indices.size()),
                      .scale = std::vector<double>(csr.column_indices.size())};
  kernels::sddmm_reference<double>(host(csr), dim, x, x, oracle.values);
  kernels::sddmm_scale(host(csr), dim, x, x, oracle.scale);
  return oracle;
}

inline OracleOutput agnn_oracle(const Csr& csr, int dim, const std::vector<float>& x) {
  OracleOutput oracle{.values = std::vector<double>(x.size())};
  kernels::agnn_reference<double>(host(csr), static_cast<double>(kBeta), dim, x, oracle.values);
  return oracle;
}

inline std::vector<Accept> accept_tf32(const char* output = "y", double limit = kTf32) {
  return {{.output = output,
           .metric = ErrorMetric::max_scaled,
           .limit = limit,
           .at_least = kTf32AtLeast,
           .reason = "operands rounded to TF32 once, f32 sums; relative to sum |a||x|"}};
}
inline std::vector<Accept> accept_f32(const char* output = "y") {
  return {{.output = output,
           .metric = ErrorMetric::max_scaled,
           .limit = 1e-5,
           .reason = "f32 sums of up to thousands of terms, relative to sum |a||x|"}};
}
inline std::vector<Accept> accept_layer(double limit) {
  return {{.output = "y",
           .metric = ErrorMetric::relative_l2,
           .limit = limit,
           .reason = "a softmax of cosines between two products, TF32 or f32"}};
}

}  // namespace remeasure::experiments::tc_gnn_graphs
