// SPDX-License-Identifier: Apache-2.0
#include "datasets/graphs/csr.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace remeasure::datasets {
namespace {

constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max();

std::size_t at(std::int64_t index) {
  return static_cast<std::size_t>(index);
}

void check_extents(std::int64_t rows, std::int64_t columns, std::size_t edges) {
  if (rows < 0 || columns < 0 || rows >= kMost || columns >= kMost ||
      edges > static_cast<std::size_t>(kMost)) {
    throw DatasetError(fmt::format(
        "sparse matrix of {} x {} with {} nonzeros: 32-bit indices reach to 2^31 - 1", rows, columns, edges));
  }
}

/// Sorts a row's columns and moves the distinct ones to its front; returns how many.
std::size_t merge_row(std::span<std::int32_t> columns) {
  std::sort(columns.begin(), columns.end());
  return static_cast<std::size_t>(std::unique(columns.begin(), columns.end()) - columns.begin());
}

std::size_t merge_row(std::span<std::int32_t> columns, std::span<float> values,
                      std::vector<std::pair<std::int32_t, float>>& scratch) {
  scratch.clear();
  for (std::size_t i = 0; i < columns.size(); ++i) scratch.emplace_back(columns[i], values[i]);
  std::stable_sort(scratch.begin(), scratch.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::size_t kept = 0;
  for (const auto& [column, value] : scratch) {
    if (kept > 0 && columns[kept - 1] == column) {
      values[kept - 1] += value;
    } else {
      columns[kept] = column;
      values[kept++] = value;
    }
  }
  return kept;
}

}  // namespace

Csr csr_of_edges(std::int64_t rows, std::int64_t columns, std::span<const Edge> edges,
                 std::span<const float> values) {
  check_extents(rows, columns, edges.size());
  if (!values.empty() && values.size() != edges.size()) {
    throw DatasetError(fmt::format("sparse matrix: {} values for {} nonzeros", values.size(), edges.size()));
  }
  Csr csr{.rows = rows,
          .columns = columns,
          .row_pointers = std::vector<std::int32_t>(at(rows) + 1),
          .column_indices = {},
          .values = {}};
  std::vector<std::int32_t> next(at(rows) + 1);
  for (const Edge& edge : edges) {
    if (edge.row < 0 || edge.row >= rows || edge.column < 0 || edge.column >= columns) {
      throw DatasetError(fmt::format("sparse matrix of {} x {}: a nonzero at ({}, {}), counted from 0", rows,
                                     columns, edge.row, edge.column));
    }
    ++next[at(edge.row) + 1];
  }
  for (std::size_t row = 0; row < at(rows); ++row) next[row + 1] += next[row];
  const std::vector<std::int32_t> begin = next;
  std::vector<std::int32_t>& stored = csr.column_indices;
  stored.resize(edges.size());
  csr.values.resize(values.size());
  for (std::size_t i = 0; i < edges.size(); ++i) {
    const auto place = static_cast<std::size_t>(next[at(edges[i].row)]++);
    stored[place] = edges[i].column;
    if (!values.empty()) csr.values[place] = values[i];
  }
  std::vector<std::pair<std::int32_t, float>> scratch;
  std::size_t filled = 0;
  for (std::size_t row = 0; row < at(rows); ++row) {
    const auto first = static_cast<std::size_t>(begin[row]),
               count = static_cast<std::size_t>(begin[row + 1]) - first;
    const auto of_row = std::span(stored).subspan(first, count);
    const std::size_t kept = values.empty()
                                 ? merge_row(of_row)
                                 : merge_row(of_row, std::span(csr.values).subspan(first, count), scratch);
    std::copy_n(stored.begin() + static_cast<std::ptrdiff_t>(first), kept,
                stored.begin() + static_cast<std::ptrdiff_t>(filled));
    if (!values.empty()) {
      std::copy_n(csr.values.begin() + static_cast<std::ptrdiff_t>(first), kept,
                  csr.values.begin() + static_cast<std::ptrdiff_t>(filled));
    }
    filled += kept;
    csr.row_pointers[row + 1] = static_cast<std::int32_t>(filled);
  }
  stored.resize(filled);
  if (!values.empty()) csr.values.resize(filled);
  return csr;
}

Csr transposed(const Csr& matrix) {
  Csr result{.rows = matrix.columns,
             .columns = matrix.rows,
             .row_pointers = std::vector<std::int32_t>(at(matrix.columns) + 1),
             .column_indices = std::vector<std::int32_t>(matrix.column_indices.size()),
             .values = std::vector<float>(matrix.values.size())};
  for (const std::int32_t column : matrix.column_indices) ++result.row_pointers[at(column) + 1];
  for (std::size_t row = 0; row < at(result.rows); ++row)
    result.row_pointers[row + 1] += result.row_pointers[row];
  std::vector<std::int32_t> next(result.row_pointers.begin(), result.row_pointers.end() - 1);
  for (std::size_t row = 0; row < at(matrix.rows);
       ++row) {  // ascending rows, so each row of the result ascends
    for (std::int32_t i = matrix.row_pointers[row]; i < matrix.row_pointers[row + 1]; ++i) {
      const auto place = static_cast<std::size_t>(next[at(matrix.column_indices[at(i)])]++);
      result.column_indices[place] = static_cast<std::int32_t>(row);
      if (!matrix.values.empty()) result.values[place] = matrix.values[at(i)];
    }
  }
  return result;
}

Csr renamed(const Csr& matrix, std::span<const std::int32_t> names) {
  if (matrix.rows != matrix.columns || names.size() != at(matrix.rows)) {
    throw DatasetError(
        fmt::format("{} names for the nodes of a {} x {} matrix", names.size(), matrix.rows, matrix.columns));
  }
  std::vector<Edge> edges;
  edges.reserve(matrix.column_indices.size());
  for (std::int64_t row = 0; row < matrix.rows; ++row) {
    for (const std::int32_t column : matrix.row(row)) edges.push_back({names[at(row)], names[at(column)]});
  }
  Csr result = csr_of_edges(matrix.rows, matrix.columns, edges, matrix.values);
  if (result.edges() != matrix.edges())
    throw DatasetError("the names of the nodes are no permutation: two nodes became one");
  return result;
}

void check_csr(const Csr& matrix, const std::string& what) {
  const auto refuse = [&](const std::string& why) { throw DatasetError(what + ": " + why); };
  check_extents(matrix.rows, matrix.columns, matrix.column_indices.size());
  if (matrix.row_pointers.size() != at(matrix.rows) + 1) {
    refuse(fmt::format("{} row pointers for {} rows; expected one more than rows", matrix.row_pointers.size(),
                       matrix.rows));
  }
  if (matrix.row_pointers.front() != 0 || matrix.row_pointers.back() != matrix.edges()) {
    refuse(fmt::format("row pointers from {} to {}; expected 0 to {}", matrix.row_pointers.front(),
                       matrix.row_pointers.back(), matrix.edges()));
  }
  if (!matrix.values.empty() && matrix.values.size() != matrix.column_indices.size()) {
    refuse(fmt::format("{} values for {} nonzeros", matrix.values.size(), matrix.edges()));
  }
  if (!std::is_sorted(matrix.row_pointers.begin(), matrix.row_pointers.end()))
    refuse("row pointers that descend");
  for (std::int64_t row = 0; row < matrix.rows; ++row) {
    std::int32_t last = -1;
    for (const std::int32_t column : matrix.row(row)) {
      if (column <= last || column >= matrix.columns) {
        refuse(fmt::format("row {}: column {} after {}; expected ascending columns below {}", row, column,
                           last, matrix.columns));
      }
      last = column;
    }
  }
}

DegreeStatistics degree_statistics(const Csr& matrix) {
  DegreeStatistics result;
  if (matrix.rows == 0) return result;
  result.smallest = kMost;
  double squares = 0;
  for (std::int64_t row = 0; row < matrix.rows; ++row) {
    const auto degree = static_cast<std::int64_t>(matrix.row(row).size());
    result.smallest = std::min(result.smallest, degree);
    result.largest = std::max(result.largest, degree);
    result.empty += degree == 0;
    squares += static_cast<double>(degree) * static_cast<double>(degree);
  }
  const auto rows = static_cast<double>(matrix.rows);
  result.mean = static_cast<double>(matrix.edges()) / rows;
  result.deviation = std::sqrt(std::max(0.0, squares / rows - result.mean * result.mean));
  return result;
}

}  // namespace remeasure::datasets
