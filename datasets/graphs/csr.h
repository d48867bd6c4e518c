// SPDX-License-Identifier: Apache-2.0
//
// Sparse matrices by rows (CSR), as adjacency of graphs and as operands of sparse products.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "datasets/dataset.h"

namespace remeasure::datasets {

/// One nonzero of a matrix. Of a graph: an edge into `row` from `column`, so that A X gathers from the
/// sources.
struct Edge {
  std::int32_t row = 0, column = 0;
  auto operator<=>(const Edge&) const = default;
};

/// Row i has columns column_indices[row_pointers[i] .. row_pointers[i + 1]), ascending, each once. No values
/// = all 1.
struct Csr {
  std::int64_t rows = 0, columns = 0;
  std::vector<std::int32_t> row_pointers = {};    ///< [rows + 1]
  std::vector<std::int32_t> column_indices = {};  ///< [edges]
  std::vector<float> values = {};                 ///< [edges], or empty

  std::int64_t edges() const { return static_cast<std::int64_t>(column_indices.size()); }
  std::span<const std::int32_t> row(std::int64_t i) const {
    const auto begin = static_cast<std::size_t>(row_pointers[static_cast<std::size_t>(i)]);
    return std::span(column_indices)
        .subspan(begin, static_cast<std::size_t>(row_pointers[static_cast<std::size_t>(i) + 1]) - begin);
  }
};

/// From edges in any order. Duplicates are merged: their values are added in the order of the list; without
/// values one remains. Throws DatasetError for an index out of range, more than 2^31 - 1 edges, or values of
/// another number.
Csr csr_of_edges(std::int64_t rows, std::int64_t columns, std::span<const Edge> edges,
                 std::span<const float> values = {});

Csr transposed(const Csr& matrix);

/// The same graph with its nodes renamed: node i becomes names[i], a permutation. Square matrices only.
Csr renamed(const Csr& matrix, std::span<const std::int32_t> names);

/// Throws DatasetError, beginning with `what`, unless the pointers ascend from 0 to the edges, each row's
/// columns ascend strictly within range, and the values are as many as the edges or none.
void check_csr(const Csr& matrix, const std::string& what);

struct DegreeStatistics {
  std::int64_t smallest = 0, largest = 0, empty = 0;  ///< empty: rows without an edge
  double mean = 0, deviation = 0;
};
DegreeStatistics degree_statistics(const Csr& matrix);

}  // namespace remeasure::datasets
