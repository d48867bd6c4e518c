// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <random>
#include <set>
#include <vector>

#include "kernels/device/testing/test_bench.h"
#include "kernels/graphs/row_windows.h"
#include "kernels/graphs/tc_spmm.h"

namespace remeasure::kernels::testing {

using remeasure::testing::TestBench;

/// A sparse matrix that owns its arrays.
struct SparseProblem {
  std::int64_t rows = 0, columns = 0;
  std::vector<std::int32_t> row_pointers = {0}, column_indices = {};
  std::vector<float> values = {};

  HostCsr csr(bool weighted = false) const {
    return {rows, columns, row_pointers, column_indices,
            weighted ? std::span<const float>(values) : std::span<const float>()};
  }
};

/// Rows of about `mean` distinct columns, a third of them empty; row `hub` (if any) has all columns. Values
/// are N(0, 1).
inline SparseProblem random_sparse(std::int64_t rows, std::int64_t columns, double mean, unsigned seed,
                                   std::int64_t hub = -1) {
  std::mt19937 random(seed);
  std::poisson_distribution<int> degree(1.5 * mean);
  std::uniform_int_distribution<std::int32_t> column(0, static_cast<std::int32_t>(columns) - 1);
  std::normal_distribution<float> value;
  SparseProblem problem{.rows = rows, .columns = columns};
  for (std::int64_t row = 0; row < rows; ++row) {
    std::set<std::int32_t> chosen;
    if (row == hub) {
      for (std::int32_t c = 0; c < columns; ++c) chosen.insert(c);
    } else if (random() % 3 != 0) {
      for (int i = degree(random); i > 0; --i) chosen.insert(column(random));
    }
    problem.column_indices.insert(problem.column_indices.end(), chosen.begin(), chosen.end());
    problem.row_pointers.push_back(static_cast<std::int32_t>(problem.column_indices.size()));
  }
  problem.values.resize(problem.column_indices.size());
  for (float& v : problem.values) v = value(random);
  return problem;
}

inline std::vector<float> random_dense(std::int64_t rows, int dim, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> value;
  std::vector<float> x(static_cast<std::size_t>(rows) * static_cast<std::size_t>(dim));
  for (float& v : x) v = value(random);
  return x;
}

/// A CSR and its translation on a device.
template <class Target>
struct OnDevice {
  DeviceBuffer<Target, std::int32_t> row_pointers, column_indices, tile_pointers, column_map, edge_pointers,
      edge_order, condensed, edge_rows;
  DeviceBuffer<Target, float> values, scratch;
  DeviceBuffer<Target, std::int32_t> part_places, part_splits;
  std::int64_t slots;
  DeviceBuffer<Target, std::uint8_t> places;
  std::int64_t rows, columns;
  bool weighted;

  OnDevice(TestBench<Target>& bench, const HostCsr& csr, const RowWindows& windows)
      : OnDevice(bench, csr, windows, split_windows(windows)) {}
  OnDevice(TestBench<Target>& bench, const HostCsr& csr, const RowWindows& windows, const WindowParts& parts)
      : row_pointers(
            bench.upload(std::vector<std::int32_t>(csr.row_pointers.begin(), csr.row_pointers.end()))),
        column_indices(
            bench.upload(std::vector<std::int32_t>(csr.column_indices.begin(), csr.column_indices.end()))),
        tile_pointers(bench.upload(windows.tile_pointers)),
        column_map(bench.upload(windows.column_map)),
        edge_pointers(bench.upload(windows.edge_pointers)),
        edge_order(bench.upload(windows.edge_order)),
        condensed(bench.upload(windows.condensed)),
        edge_rows(bench.upload(rows_in_window(csr))),
        values(bench.upload(std::vector<float>(csr.values.begin(), csr.values.end()))),
        scratch(bench.template output<float>(0)),
        part_places(bench.upload(parts.parts)),
        part_splits(bench.upload(parts.splits)),
        slots(parts.slots),
        places(bench.upload(windows.places)),
        rows(csr.rows),
        columns(csr.columns),
        weighted(!csr.values.empty()) {}
  OnDevice(TestBench<Target>& bench, const HostCsr& csr) : OnDevice(bench, csr, translate_rows(csr)) {}

  CsrView<Target> csr(bool with_values = true) {
    CsrView<Target> view{rows, columns, row_pointers, column_indices, {}};
    if (weighted && with_values) view.values = values;
    return view;
  }
  WindowPartsView<Target> parts(TestBench<Target>& bench, int dim) {
    scratch = bench.template output<float>(
        static_cast<std::size_t>(slots) * kWindowRows * static_cast<std::size_t>(dim), "scratch");
    return {part_places, part_splits, scratch, slots};
  }
  RowWindowsView<Target> windows() {
    return {rows, columns, tile_pointers, column_map, edge_pointers, places, edge_order};
  }
};

}  // namespace remeasure::kernels::testing
