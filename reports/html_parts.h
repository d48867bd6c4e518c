// SPDX-License-Identifier: Apache-2.0
//
// Pieces of the HTML page.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "reports/view.h"
#include "reports/writers.h"

namespace remeasure::reports::html {

extern const std::string_view style;  ///< the page's CSS

/// A cell: already HTML.
struct Cell {
  std::string html;
  bool number = false;  ///< right-aligned
};

struct Group {
  std::string heading;                  ///< HTML of a line across the table; empty: none
  std::vector<std::vector<Cell>> rows;  ///< the first cell of a row is its header
};

Cell text(const std::string& plain);
Cell number(const std::string& plain);

/// A table in a box of its own that scrolls sideways where the window is narrow. Columns without any text are
/// left out.
std::string table(const std::string& caption, const std::vector<std::string>& columns,
                  const std::vector<Group>& groups);

/// A word in the colour of its tone, in a frame.
std::string badge(const std::string& word, Tone tone);
std::string paragraph(const std::string& plain, const char* css_class = "");
std::string list(const std::vector<std::string>& lines, const char* css_class = "");

/// The section of one experiment.
std::string paper_section(const Record& record, const HtmlOptions& options);

}  // namespace remeasure::reports::html
