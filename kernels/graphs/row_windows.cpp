// SPDX-License-Identifier: Apache-2.0
#include "kernels/graphs/row_windows.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <stdexcept>

namespace remeasure::kernels {
namespace {

std::size_t at(std::int64_t index) {
  return static_cast<std::size_t>(index);
}

/// Edges [first, last) of window w.
struct WindowEdges {
  std::int64_t row, rows_end, first, last;
};

WindowEdges edges_of(const HostCsr& csr, std::int64_t w) {
  const std::int64_t row = w * kWindowRows, end = std::min(csr.rows, row + kWindowRows);
  return {row, end, csr.row_pointers[at(row)], csr.row_pointers[at(end)]};
}

/// The window's distinct columns, ascending.
void collect(const HostCsr& csr, const WindowEdges& window, std::vector<std::int32_t>& distinct) {
  const auto columns = csr.column_indices.subspan(at(window.first), at(window.last - window.first));
  distinct.assign(columns.begin(), columns.end());
  std::sort(distinct.begin(), distinct.end());
  distinct.erase(std::unique(distinct.begin(), distinct.end()), distinct.end());
}

}  // namespace

void check_csr_sizes(const char* what, std::int64_t rows, std::int64_t columns, std::size_t row_pointers,
                     std::size_t edges, std::size_t values) {
  constexpr std::int64_t most = std::numeric_limits<std::int32_t>::max() - kWindowRows;
  if (rows < 0 || columns < 0 || rows > most || columns > most || edges > static_cast<std::size_t>(most) ||
      row_pointers != at(rows) + 1 || (values != 0 && values != edges)) {
    throw std::invalid_argument(fmt::format(
        "{}: {} x {} with {} row pointers, {} edges and {} values; expected rows + 1 pointers, as many "
        "values as edges or none, and less than 2^31 of each",
        what, rows, columns, row_pointers, edges, values));
  }
}

RowWindows arrange_edges(const HostCsr& csr, RowWindows named) {
  const std::int64_t tiles = named.tiles();
  named.edge_pointers.assign(at(tiles) + 1, 0);
  named.places.resize(at(csr.edges()));
  named.edge_order.resize(at(csr.edges()));
  std::vector<std::int32_t> row_of;
  for (std::int64_t w = 0; w < named.windows(); ++w) {
    const WindowEdges window = edges_of(csr, w);
    row_of.resize(at(window.last - window.first));
    for (std::int64_t row = window.row; row < window.rows_end; ++row) {
      for (std::int64_t e = csr.row_pointers[at(row)]; e < csr.row_pointers[at(row) + 1]; ++e) {
        row_of[at(e - window.first)] = static_cast<std::int32_t>(row - window.row);
      }
    }
    const auto order = std::span(named.edge_order).subspan(at(window.first), at(window.last - window.first));
    std::iota(order.begin(), order.end(), static_cast<std::int32_t>(window.first));
    // Edges of a CSR come by rows, so a stable sort by column leaves each column's rows in order.
    std::stable_sort(order.begin(), order.end(), [&](std::int32_t a, std::int32_t b) {
      return named.condensed[at(a)] < named.condensed[at(b)];
    });
    for (std::size_t i = 0; i < order.size(); ++i) {
      const std::int32_t column = named.condensed[at(order[i])];
      named.places[at(window.first) + i] = static_cast<std::uint8_t>(
          row_of[at(order[i] - window.first)] * kTileColumns + column % kTileColumns);
      ++named.edge_pointers[at(named.tile_pointers[at(w)] + column / kTileColumns) + 1];
    }
  }
  for (std::size_t t = 0; t < at(tiles); ++t) named.edge_pointers[t + 1] += named.edge_pointers[t];
  return named;
}

RowWindows translate_rows(const HostCsr& csr) {
  check_csr_sizes("translate_rows", csr.rows, csr.columns, csr.row_pointers.size(), csr.column_indices.size(),
                  csr.values.size());
  RowWindows result{.rows = csr.rows, .columns = csr.columns};
  result.tile_pointers.assign(at(result.windows()) + 1, 0);
  result.condensed.resize(at(csr.edges()));
  std::vector<std::int32_t> distinct;
  for (std::int64_t w = 0; w < result.windows(); ++w) {
    const WindowEdges window = edges_of(csr, w);
    collect(csr, window, distinct);
    for (std::int64_t e = window.first; e < window.last; ++e) {
      const auto place = std::lower_bound(distinct.begin(), distinct.end(), csr.column_indices[at(e)]);
      result.condensed[at(e)] = static_cast<std::int32_t>(place - distinct.begin());
    }
    distinct.resize((distinct.size() + kTileColumns - 1) / kTileColumns * kTileColumns, -1);
    result.column_map.insert(result.column_map.end(), distinct.begin(), distinct.end());
    result.tile_pointers[at(w) + 1] = static_cast<std::int32_t>(result.column_map.size() / kTileColumns);
  }
  return arrange_edges(csr, std::move(result));
}

WindowParts split_windows(const RowWindows& windows, int most, float least_edges_per_tile) {
  if (most < 1) throw std::invalid_argument("split_windows: parts of no tile");
  WindowParts result;
  for (std::int64_t w = 0; w < windows.windows(); ++w) {
    const std::int32_t begin = windows.tile_pointers[at(w)], end = windows.tile_pointers[at(w) + 1];
    const std::int32_t edges = windows.edge_pointers[at(end)] - windows.edge_pointers[at(begin)];
    const auto window = static_cast<std::int32_t>(w);
    const auto add = [&](std::int32_t first, std::int32_t last, std::int32_t place) {
      result.parts.insert(result.parts.end(), {window, first, last, place});
    };
    if (static_cast<float>(edges) < least_edges_per_tile * static_cast<float>(end - begin)) {
      add(begin, end, WindowParts::kCudaCores);
    } else if (end - begin <= most) {
      add(begin, end, WindowParts::kWhole);
    } else {
      const auto first_slot = static_cast<std::int32_t>(result.slots);
      for (std::int32_t tile = begin; tile < end; tile += most) {
        add(tile, std::min(end, tile + most), static_cast<std::int32_t>(result.slots++));
      }
      result.splits.insert(result.splits.end(),
                           {window, first_slot, static_cast<std::int32_t>(result.slots) - first_slot, 0});
    }
  }
  return result;
}

Untranslated untranslate(const RowWindows& windows) {
  Untranslated result;
  result.row_pointers.assign(at(windows.rows) + 1, 0);
  std::vector<std::vector<std::int32_t>> rows(kWindowRows);
  for (std::int64_t w = 0; w < windows.windows(); ++w) {
    for (auto& row : rows) row.clear();
    for (std::int64_t tile = windows.tile_pointers[at(w)]; tile < windows.tile_pointers[at(w) + 1]; ++tile) {
      for (std::int64_t i = windows.edge_pointers[at(tile)]; i < windows.edge_pointers[at(tile) + 1]; ++i) {
        const int place = windows.places[at(i)], row = place / kTileColumns;
        const std::int32_t column = windows.column_map[at(tile * kTileColumns + place % kTileColumns)];
        if (column < 0 || w * kWindowRows + row >= windows.rows) {
          throw std::invalid_argument(
              fmt::format("edge {} of tile {} lies on padding (row {}, column {})", i, tile, row, column));
        }
        rows[at(row)].push_back(column);
      }
    }
    for (std::int64_t row = w * kWindowRows; row < std::min(windows.rows, (w + 1) * kWindowRows); ++row) {
      std::vector<std::int32_t>& columns = rows[at(row % kWindowRows)];
      std::sort(columns.begin(), columns.end());
      if (std::adjacent_find(columns.begin(), columns.end()) != columns.end()) {
        throw std::invalid_argument(fmt::format("row {} has two edges at one place", row));
      }
      result.column_indices.insert(result.column_indices.end(), columns.begin(), columns.end());
      result.row_pointers[at(row) + 1] = static_cast<std::int32_t>(result.column_indices.size());
    }
  }
  return result;
}

TileCounts count_tiles(const HostCsr& csr, int tile_columns) {
  TileCounts counts;
  std::vector<std::int32_t> distinct;
  std::vector<bool> occurs(at(csr.columns));
  for (std::int64_t w = 0; w < window_count(csr.rows); ++w) {
    collect(csr, edges_of(csr, w), distinct);
    const auto size = static_cast<std::int64_t>(distinct.size());
    const std::int64_t translated = (size + tile_columns - 1) / tile_columns;
    counts.shared += size;
    counts.translated += translated;
    counts.largest = std::max(counts.largest, translated);
    std::int64_t covered = -1;  // last column that the latest window covers
    for (const std::int32_t column : distinct) {
      occurs[at(column)] = true;
      if (column <= covered) continue;
      ++counts.naive;
      covered = std::int64_t{column} + tile_columns - 1;
    }
  }
  counts.distinct = std::count(occurs.begin(), occurs.end(), true);
  return counts;
}

}  // namespace remeasure::kernels
