// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "reports/record.h"

namespace remeasure::reports {

/// Either an SVG element to put into a page, or why there is none.
struct Drawing {
  std::string svg;
  std::string problem;
};

/// Draws with gnuplot (a name on PATH or a file), without a shell, in a temporary folder, within
/// `timeout_seconds`. `id` must be unique in the page: it keeps the ids inside the SVG apart from those of
/// other plots. Text and axes have the page's text colour.
Drawing draw(const Plot& plot, const std::string& id, const std::string& gnuplot = "gnuplot",
             double timeout_seconds = 20);

/// The script and the data that gnuplot gets: what `draw` writes into the temporary folder.
std::string plot_script(const Plot& plot);
std::string plot_data(const Plot& plot);

/// gnuplot's SVG document as an element for a page: no prologue, a title and a description for those who
/// can't see it, own ids, text in the page's colour.
std::string embedded_svg(std::string document, const Plot& plot, const std::string& id);

}  // namespace remeasure::reports
