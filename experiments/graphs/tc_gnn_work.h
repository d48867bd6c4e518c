// SPDX-License-Identifier: Apache-2.0
//
// What the kernels of tc-gnn execute and what they touch, by formulas over a translated graph.
#pragma once

#include <algorithm>
#include <cmath>

#include "experiments/graphs/tc_gnn_graphs.h"
#include "experiments/vocabulary.h"

namespace remeasure::experiments::tc_gnn_graphs {

/// Of the parts of all windows.
struct PartSums {
  double parts = 0, slots = 0, splits = 0;
};

inline PartSums sums_of(const kernels::WindowParts& parts) {
  return {static_cast<double>(parts.count()), static_cast<double>(parts.slots),
          static_cast<double>(parts.split_count())};
}

/// Slots that are written and read, and the parts' own description.
inline double part_bytes(const PartSums& s, int dim) {
  return 16 * s.parts + 16 * s.splits + 2 * 4.0 * 16 * dim * s.slots;
}
/// A split window's slots but the first are added.
inline double part_flops(const PartSums& s, int dim) {
  return 16.0 * dim * (s.slots - s.splits);
}

/// Sums over the windows.
struct WindowSums {
  double nodes = 0, edges = 0, windows = 0, tiles = 0, pairs = 0;
  double distinct = 0;     ///< columns that occur: rows of X that are read
  double rows_in_use = 0;  ///< rows of windows that have a tile
  double rows_with_edge = 0;
  double sorted_in_memory = 0;  ///< edges of windows that don't fit shared memory
  PartSums parts = {}, hybrid_parts = {};
  // For hybrid_spmm: what goes to CUDA cores.
  double cuda_edges = 0, cuda_rows = 0, cuda_tiles = 0, cuda_windows = 0;
};

inline WindowSums sums_of(const Translated& g, double least_edges_per_tile, int sorted_in_shared) {
  WindowSums s{.nodes = static_cast<double>(g.csr.rows),
               .edges = static_cast<double>(g.csr.edges()),
               .windows = static_cast<double>(g.windows.windows()),
               .tiles = static_cast<double>(g.windows.tiles()),
               .distinct = static_cast<double>(g.counts.distinct)};
  s.parts = sums_of(g.parts);
  s.hybrid_parts = sums_of(g.hybrid_parts);
  for (std::int64_t w = 0; w < g.windows.windows(); ++w) {
    const auto at = static_cast<std::size_t>(w);
    const double tiles = g.windows.tile_pointers[at + 1] - g.windows.tile_pointers[at];
    const std::int64_t first = w * kernels::kWindowRows,
                       end = std::min(g.csr.rows, first + kernels::kWindowRows);
    const double rows = static_cast<double>(end - first);
    const double edges = g.csr.row_pointers[static_cast<std::size_t>(end)] -
                         g.csr.row_pointers[static_cast<std::size_t>(first)];
    s.pairs += std::ceil(tiles / 2);
    if (tiles > 0) s.rows_in_use += rows;
    if (edges > sorted_in_shared) s.sorted_in_memory += edges;
    if (edges < least_edges_per_tile * tiles) {
      s.cuda_edges += edges;
      s.cuda_rows += rows;
      s.cuda_tiles += tiles;
      s.cuda_windows += 1;
    }
  }
  for (std::int64_t row = 0; row < g.csr.rows; ++row) s.rows_with_edge += g.csr.row(row).empty() ? 0 : 1;
  return s;
}

/// Products over `tiles` tiles and, where warps take turns, their sums of a part.
inline double tensor_flops(double tiles, double parts, int dim) {
  const kernels::SpmmPlan plan = kernels::spmm_plan(dim);
  const double columns = plan.columns() * plan.column_blocks;
  return 2.0 * 16 * 8 * columns * tiles + (plan.depth_warps - 1) * 16.0 * columns * parts;
}

/// Two per edge and column, and the sums of lanes that share a row: log2 rounds of 4 x 32. Where there is one
/// round, its sums of the lanes that don't store are for nothing, and compilers leave them out.
inline double cuda_flops(double edges, double rows, int dim) {
  const kernels::SpmmPlan plan = kernels::spmm_plan(dim);
  const int groups = 128 / plan.columns();
  const double sums = groups == 2 ? 64 : 128 * std::log2(groups);
  return 2 * edges * dim + rows * sums * plan.column_blocks;
}

inline double dense_bytes(const WindowSums& s, int dim) {
  return 4.0 * dim * (s.distinct + s.nodes);
}

inline Work tc_spmm_work(const WindowSums& s, int dim, bool weighted) {
  return {.flops = tensor_flops(s.tiles, s.parts.parts, dim) + part_flops(s.parts, dim),
          .bytes = dense_bytes(s, dim) + part_bytes(s.parts, dim) + 32 * s.tiles + 4 * (s.tiles + 1) +
                   s.edges * (weighted ? 9 : 1)};
}

inline Work rescan_work(const WindowSums& s, int dim) {
  return {.flops = 2.0 * 16 * 8 * std::ceil(dim / 8.0) * 8 * s.tiles,
          .bytes = dense_bytes(s, dim) + 8 * (s.windows + 1) + 32 * s.tiles + 8 * s.edges};
}

inline Work csr_spmm_work(const WindowSums& s, int dim) {
  return {.flops = cuda_flops(s.edges, s.nodes, dim),
          .bytes = dense_bytes(s, dim) + 4 * (s.nodes + 1) + 4 * s.edges};
}

/// Windows on CUDA cores, a part each, read columns and pointers of their rows.
inline Work hybrid_work(const WindowSums& s, int dim) {
  const double tiles = s.tiles - s.cuda_tiles, edges = s.edges - s.cuda_edges;
  return {.flops = tensor_flops(tiles, s.hybrid_parts.parts - s.cuda_windows, dim) +
                   part_flops(s.hybrid_parts, dim) + cuda_flops(s.cuda_edges, s.cuda_rows, dim),
          .bytes = dense_bytes(s, dim) + part_bytes(s.hybrid_parts, dim) + 36 * tiles + edges +
                   4 * s.cuda_edges + 4 * s.cuda_rows};
}

/// Integers alone. Sort: pointers, columns, keys; sums: pointers twice; places: all of it again, and the
/// translation written.
inline Work translate_work(const WindowSums& s) {
  const double sort = 8 * (s.windows + 1) + 12 * s.edges + 8 * s.sorted_in_memory, sum = 8 * (s.windows + 1);
  const double place =
      4 * (s.windows + 1) + 4 * (s.nodes + 1) + 17 * s.edges + 32 * s.tiles + 4 * (s.tiles + 1);
  return {.bytes = sort + sum + place};
}

/// Scores of the edges between rows of one array.
inline Work sddmm_work(const WindowSums& s, int dim) {
  const double padded = std::ceil(dim / 16.0) * 16;
  return {.flops = 2.0 * 16 * 16 * padded * s.pairs,
          .bytes = 4.0 * dim * s.rows_in_use + 16 * s.parts.parts + 32 * s.tiles + 4 * (s.tiles + 1) +
                   9 * s.edges};
}

/// Norms: 3 per value, a warp's sum, a quotient and a root of each lane; softmax: 5 per edge, a warp's sum
/// and a quotient.
inline Work agnn_work(const WindowSums& s, int dim) {
  const Work scores = sddmm_work(s, dim), sum = tc_spmm_work(s, dim, true);
  const double norms = 3 * s.nodes * dim + (5 + 2) * 32 * s.nodes,
               softmax = 5 * s.edges + (5 + 1) * 32 * s.rows_with_edge;
  return {.flops = scores.flops + sum.flops + norms + softmax,
          .bytes = scores.bytes + sum.bytes + 8 * s.nodes * dim + 4 * (s.nodes + 1) + 8 * s.edges,
          .special = s.edges};
}

}  // namespace remeasure::experiments::tc_gnn_graphs
