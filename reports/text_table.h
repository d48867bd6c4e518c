// SPDX-License-Identifier: Apache-2.0
//
// Tables in columns of characters: cells wrap at words, widths count characters rather than bytes.
#pragma once

#include <string>
#include <vector>

#include "reports/view.h"

namespace remeasure::reports {

/// Columns that a text takes: characters of UTF-8, combining marks not counted.
std::size_t text_width(const std::string& text);

/// Lines of at most `width` columns, broken at spaces; a longer word is broken after its last '/', '-'
/// or '_' that fits, else where it must be. '\n' always breaks.
std::vector<std::string> wrapped(const std::string& text, std::size_t width);

class TextTable {
 public:
  struct Column {
    std::string title;
    bool right = false;
    std::size_t least = 4;  ///< width below which it isn't squeezed
    bool whole = false;     ///< never wrapped
  };
  struct Cell {
    std::string text;
    Tone tone = Tone::plain;
  };

  explicit TextTable(std::vector<Column> columns) : columns_(std::move(columns)) {}

  void add(std::vector<Cell> row);
  /// A line across all columns, above the rows that follow.
  void add_heading(const std::string& text);

  /// Fits into `width` columns by wrapping the widest cells; `indent` is part of the width.
  std::string text(std::size_t width, std::size_t indent, bool colour) const;

 private:
  struct Row {
    std::vector<Cell> cells;  ///< empty: a heading
    std::string heading;
  };
  std::vector<std::size_t> widths(std::size_t room) const;
  std::string lines(const std::vector<Cell>& cells, const std::vector<std::size_t>& columns,
                    const std::string& margin, bool colour) const;

  std::vector<Column> columns_;
  std::vector<Row> rows_;
};

/// `text` in the colour of its tone.
std::string coloured(const std::string& text, Tone tone, bool colour);
std::string strong(const std::string& text, bool colour);

}  // namespace remeasure::reports
