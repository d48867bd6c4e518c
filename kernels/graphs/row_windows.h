// SPDX-License-Identifier: Apache-2.0
//
// A sparse matrix translated for tensor cores (TC-GNN, Wang et al., USENIX ATC 2023, section 4: "sparse graph
// translation"). 16 rows form a window. The distinct columns of a window, ascending, are renamed 0, 1, 2,
// ..., and eight of them form a tile:
//
//   for (window w) {
//     U = sorted unique { column of e : e in rows 16 w .. 16 w + 15 };
//     tiles[w] = ceil(|U| / 8);   column_map[w][c] = U[c];   condensed[e] = rank of column[e] in U;
//   }
//
// so that a window's product is tiles[w] dense 16 x 8 by 8 x dim products, and a column that several rows
// share is gathered once. Unlike the authors' form, a window's edges are sorted by tile (then column, then
// row), so that each tile reads its own edges alone: edge_pointers.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/graphs/csr_view.h"

namespace remeasure::kernels {

inline constexpr int kWindowRows = 16;
inline constexpr int kTileColumns = 8;

constexpr std::int64_t window_count(std::int64_t rows) {
  return (rows + kWindowRows - 1) / kWindowRows;
}
/// No translation has more tiles: each tile but a window's last has at least eight edges.
constexpr std::int64_t most_tiles(std::int64_t rows, std::int64_t edges) {
  return edges / kTileColumns + window_count(rows);
}

struct RowWindows {
  std::int64_t rows = 0, columns = 0;
  std::vector<std::int32_t> tile_pointers = {};  ///< [windows + 1]: first tile of each window
  std::vector<std::int32_t> column_map = {};     ///< [8 tiles]: column of each condensed one, -1 = padding
  std::vector<std::int32_t> edge_pointers = {};  ///< [tiles + 1]: first edge of each tile
  std::vector<std::uint8_t> places = {};  ///< [edges], by tile: 8 * row in the window + column in the tile
  std::vector<std::int32_t> edge_order = {};  ///< [edges], by tile: which edge of the CSR it is
  std::vector<std::int32_t> condensed = {};   ///< [edges], as in the CSR: condensed column in the window

  std::int64_t windows() const { return window_count(rows); }
  std::int64_t tiles() const { return tile_pointers.empty() ? 0 : tile_pointers.back(); }
  std::int64_t edges() const { return static_cast<std::int64_t>(places.size()); }
};

/// On a device. Arrays may be longer than the tiles need.
template <class Target>
struct RowWindowsView {
  std::int64_t rows = 0, columns = 0;
  DeviceSpan<Target, const std::int32_t> tile_pointers = {}, column_map = {}, edge_pointers = {};
  DeviceSpan<Target, const std::uint8_t> places = {};
  DeviceSpan<Target, const std::int32_t> edge_order = {};
};

/// The translation, in plain loops.
RowWindows translate_rows(const HostCsr& csr);

/// Its second half: edges by tile for given condensed columns (with the right ones: translate_rows). For
/// tests of wrong ones.
RowWindows arrange_edges(const HostCsr& csr, RowWindows named);

/// The CSR that a translation stands for. Throws std::invalid_argument where two edges have one place, or an
/// edge lies on padding.
struct Untranslated {
  std::vector<std::int32_t> row_pointers, column_indices;
};
Untranslated untranslate(const RowWindows& windows);

/// Tiles of one block at most, unless the caller says otherwise.
inline constexpr int kPartTiles = 32;

/// How windows are shared out among blocks. A hub's window has hundreds of times the tiles of others: windows
/// of more than `most` tiles are split, and their parts' sums meet in scratch memory, in order.
struct WindowParts {
  /// A part's place: the window's rows of Y, the rows on CUDA cores, or else a slot of the scratch, from 0
  /// on.
  static constexpr std::int32_t kWhole = -1, kCudaCores = -2;

  std::vector<std::int32_t> parts = {};   ///< four each: window, first tile, end, place
  std::vector<std::int32_t> splits = {};  ///< four each: window, first slot, number of slots, 0
  std::int64_t slots = 0;                 ///< of [16, dim]

  std::int64_t count() const { return static_cast<std::int64_t>(parts.size() / 4); }
  std::int64_t split_count() const { return static_cast<std::int64_t>(splits.size() / 4); }
};

/// Windows with fewer than `least_edges_per_tile` are one part each, for CUDA cores.
WindowParts split_windows(const RowWindows& windows, int most = kPartTiles, float least_edges_per_tile = 0);

/// On a device.
template <class Target>
struct WindowPartsView {
  DeviceSpan<Target, const std::int32_t> parts = {}, splits = {};
  DeviceSpan<Target, float> scratch = {};  ///< [slots, 16, dim]
  std::int64_t slots = 0;
};

/// Tiles with and without translation, counted from the CSR. Naive: windows of `tile_columns` neighbouring
/// columns slide over U from its first uncovered column on (the authors' 3_cnt_TC_blk_SpMM.py).
struct TileCounts {
  std::int64_t naive = 0, translated = 0;
  std::int64_t shared = 0;    ///< sum of |U| over the windows: rows of X that are gathered
  std::int64_t distinct = 0;  ///< columns that occur at all
  std::int64_t largest = 0;   ///< translated tiles of the largest window
  double reduction() const {
    return naive == 0 ? 0 : 1 - static_cast<double>(translated) / static_cast<double>(naive);
  }
};
TileCounts count_tiles(const HostCsr& csr, int tile_columns = kTileColumns);

}  // namespace remeasure::kernels
