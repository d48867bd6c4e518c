// SPDX-License-Identifier: Apache-2.0
//
// How the rows of a sparse product C = A B are dealt out to hash tables in scratchpad: windows of whole rows,
// and inside a window the pieces that one filling of the table covers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/device/qualifiers.h"
#include "kernels/graphs/csr_view.h"

namespace remeasure::kernels {

/// A table and how full it is planned to become.
struct TablePlan {
  int slots = 4096;    ///< a power of two, 256 to 16384
  double load = 0.5;   ///< products planned per slot; above 1 tables may overflow, and are filled again
  int most_rows = 64;  ///< of a window

  int slots_log2() const;
  int products() const;  ///< planned per table
};

/// Rows that are planned by themselves, so that a GPU can plan many of them at once: no window reaches
/// beyond.
inline constexpr int kPlanRows = 1024;

/// Greedy packing (phase 1 of the paper): rows join a window while their products fit the table; a row with
/// more products than that is a window of its own, and a window ends where kPlanRows do.
struct WindowPlan {
  TablePlan table = {};
  std::vector<std::int32_t> first_row = {};      ///< [windows + 1]
  std::vector<std::int64_t> first_product = {};  ///< [windows + 1]: products of all rows before

  int windows() const { return static_cast<int>(first_row.size()) - 1; }
  std::int64_t products() const { return first_product.back(); }
};

/// Products a_ik b_kj of each row of A B.
std::vector<std::int64_t> products_of_rows(const HostCsr& a, const HostCsr& b);

/// Throws std::invalid_argument for a table outside its limits, and columns whose tags wouldn't fit.
void check_table(const TablePlan& table, std::int64_t columns);

/// Throws std::invalid_argument for matrices that don't match, tables outside the limits, and tags of more
/// than 31 bits.
WindowPlan plan_windows(const HostCsr& a, const HostCsr& b, const TablePlan& table);
/// The same from products that are already counted.
WindowPlan plan_windows(std::span<const std::int64_t> products, std::int64_t columns, const TablePlan& table);

/// Bits of the numbers below n.
RM_HOST_DEVICE constexpr int bits_below(int n) {
  int bits = 0;
  while (bits < 31 && (1 << bits) < n) ++bits;
  return bits;
}

/// Rows [row, row + rows) and columns [column, column + width) of C: what one filling of the table covers. A
/// piece of several rows has all columns.
struct Piece {
  int row, rows, column, width;
};

/// The first piece of a window. A row of more products than planned takes as many fillings as would hold
/// them, were its columns spread evenly; where they aren't, the table overflows and the piece is narrowed.
RM_HOST_DEVICE constexpr Piece first_piece(int row, int rows, int columns, std::int64_t products,
                                           int planned) {
  Piece piece{row, rows, 0, columns};
  if (rows == 1 && products > planned) {
    const std::int64_t most = products < columns ? products : columns;
    const auto fillings = static_cast<int>((most + planned - 1) / planned);
    piece.width = (columns + fillings - 1) / fillings;
  }
  return piece;
}

/// What to try after a piece that overflowed. A piece of one row and no more columns than slots can't.
RM_HOST_DEVICE constexpr Piece narrowed(const Piece& piece) {
  if (piece.rows > 1) return {piece.row, (piece.rows + 1) / 2, piece.column, piece.width};
  return {piece.row, 1, piece.column, (piece.width + 1) / 2};
}

/// The piece that follows one that left `entries` in its table; begins at row_end when the window is done. A
/// piece that left the table less than half as full as planned is followed by one of twice its size.
RM_HOST_DEVICE constexpr Piece following(const Piece& piece, int row_end, int columns, int entries,
                                         int planned) {
  const int factor = 2 * entries <= planned ? 2 : 1;
  if (piece.column + piece.width < columns) {
    const int column = piece.column + piece.width, left = columns - column;
    const int width = piece.width > left / factor ? left : piece.width * factor;
    return {piece.row, 1, column, width};
  }
  const int row = piece.row + piece.rows, left = row_end - row;
  const int rows = piece.rows * factor < left ? piece.rows * factor : left;
  return {row, rows, 0, columns};
}

}  // namespace remeasure::kernels
