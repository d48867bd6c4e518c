// SPDX-License-Identifier: Apache-2.0
//
// Aggregation over a translated graph (row_windows.h). X: [columns, dim], Y: [rows, dim], row-major, dim a
// multiple of 4 (of tensor cores' 16 the rest is zeros in shared memory alone). Throw std::invalid_argument
// for sizes that don't fit.
#pragma once

#include "kernels/graphs/row_windows.h"

namespace remeasure::kernels {

/// How a block of tc_spmm divides its four warps among columns of X (16 or 32 each) and tiles of the window.
struct SpmmPlan {
  int slice = 16;         ///< columns of a warp
  int depth_warps = 1;    ///< warps that take turns at the window's tiles; their sums are added at the end
  int column_blocks = 1;  ///< blocks per window

  int columns() const { return 4 / depth_warps * slice; }  ///< of a block
};
SpmmPlan spmm_plan(int dim);

/// Y = A X by TF32 tensor cores, fp32 sums. `weights`: one per edge in the CSR's order, or none = 1.
template <class Target>
void tc_spmm(Stream<Target>& stream, const RowWindowsView<Target>& windows,
             const WindowPartsView<Target>& parts, int dim, DeviceSpan<Target, const float> weights,
             DeviceSpan<Target, const float> x, DeviceSpan<Target, float> y);

/// Y = A X where `parts` sends some windows to CUDA cores (in fp32), the others to tensor cores.
template <class Target>
void hybrid_spmm(Stream<Target>& stream, const RowWindowsView<Target>& windows,
                 const WindowPartsView<Target>& parts, const CsrView<Target>& csr, int dim,
                 DeviceSpan<Target, const float> x, DeviceSpan<Target, float> y);

/// Y = A X by CUDA cores from the CSR alone.
template <class Target>
void csr_spmm(Stream<Target>& stream, const CsrView<Target>& csr, int dim, DeviceSpan<Target, const float> x,
              DeviceSpan<Target, float> y);

/// Y = A X the authors' way: for each tile the block looks through all edges of the window. `condensed` and
/// `edge_rows` (row in the window): [edges] in the CSR's order; of `windows` only tile pointers and column
/// map are read.
template <class Target>
void tc_spmm_rescan(Stream<Target>& stream, const RowWindowsView<Target>& windows, const CsrView<Target>& csr,
                    DeviceSpan<Target, const std::int32_t> condensed,
                    DeviceSpan<Target, const std::int32_t> edge_rows, int dim,
                    DeviceSpan<Target, const float> x, DeviceSpan<Target, float> y);

/// Row of each edge in its window.
std::vector<std::int32_t> rows_in_window(const HostCsr& csr);

/// scores[e] = <a[row of e, :], b[column of e, :]> in TF32, in the CSR's order of edges.  a: [rows, dim], b:
/// [columns, dim]
template <class Target>
void tc_sddmm(Stream<Target>& stream, const RowWindowsView<Target>& windows,
              const WindowPartsView<Target>& parts, int dim, DeviceSpan<Target, const float> a,
              DeviceSpan<Target, const float> b, DeviceSpan<Target, float> scores);

/// Throws std::invalid_argument, beginning with `what`, unless the arrays hold the windows and [columns, dim]
/// and [rows, dim].
void check_aggregation(const char* what, std::int64_t rows, std::int64_t columns, int dim, std::size_t x,
                       std::size_t y);

template <class Target>
void check_windows(const char* what, const RowWindowsView<Target>& windows, std::size_t edges) {
  const auto pointers = static_cast<std::size_t>(window_count(windows.rows)) + 1;
  if (windows.tile_pointers.size() != pointers || windows.column_map.size() % kTileColumns != 0 ||
      windows.edge_pointers.size() != windows.column_map.size() / kTileColumns + 1 ||
      windows.places.size() != edges || windows.edge_order.size() != edges) {
    check_aggregation(what, -1, 0, 0, 0, 0);
  }
}

/// The parts are whole, and their scratch holds [slots, 16, dim].
template <class Target>
void check_parts(const char* what, const RowWindowsView<Target>& windows,
                 const WindowPartsView<Target>& parts, int dim) {
  const auto least = static_cast<std::size_t>(window_count(windows.rows));
  if (parts.parts.size() % 4 != 0 || parts.parts.size() / 4 < least || parts.splits.size() % 4 != 0 ||
      (parts.slots > 0) != (parts.splits.size() > 0) ||
      parts.scratch.size() <
          static_cast<std::size_t>(parts.slots) * kWindowRows * static_cast<std::size_t>(dim)) {
    check_aggregation(what, -1, 0, 0, 0, 0);
  }
}

}  // namespace remeasure::kernels
