// SPDX-License-Identifier: Apache-2.0
#include "reports/plot.h"

#include <fmt/format.h>
#include <stdlib.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <stdexcept>

#include "reports/escape.h"
#include "reports/format.h"
#include "reports/run_program.h"
#include "reports/text_file.h"

namespace remeasure::reports {
namespace {

// Told apart by people who don't see colours alike (after Okabe and Ito), of a brightness that is readable on
// white and on black.
constexpr std::array kColours = {"#2b83c6", "#d9662c", "#1f9e77", "#b565a7", "#c08a00", "#7a8a99"};

/// Text for gnuplot between single quotes. The terminal doesn't interpret it (`noenhanced`).
std::string quoted(const std::string& text) {
  std::string out = "'";
  for (const char c : text) {
    out += c == '\'' ? std::string("''") : c == '\n' ? std::string(" ") : std::string(1, c);
  }
  return out + "'";
}

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "remeasure-plot.XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr)
      throw std::runtime_error("can't make the temporary folder " + name);
    path_ = name;
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

void replace_all(std::string& text, const std::string& what, const std::string& with) {
  for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + with.size())) {
    text.replace(at, what.size(), with);
  }
}

/// gnuplot puts a white disc under each point that has an error bar, whatever the background.
void remove_white_discs(std::string& svg) {
  const std::string end = "color='white'/>";
  for (std::size_t at = svg.find(end); at != std::string::npos; at = svg.find(end, at)) {
    const std::size_t from = svg.rfind("<use", at);
    if (from == std::string::npos) return;
    svg.erase(from, at + end.size() - from);
    at = from;
  }
}

std::string description(const Plot& plot) {
  std::string text = fmt::format("{} over {}.", plot.y_label, plot.x_label);
  for (const Curve& curve : plot.curves) {
    if (curve.x.empty()) continue;
    const auto x = std::minmax_element(curve.x.begin(), curve.x.end());
    const auto y = std::minmax_element(curve.y.begin(), curve.y.end());
    text += fmt::format(" {}: {} points, x from {} to {}, y from {} to {}.", curve.label, curve.x.size(),
                        number_text(*x.first), number_text(*x.second), number_text(*y.first),
                        number_text(*y.second));
  }
  return text;
}

/// A logarithmic axis shows only what is above zero.
bool drawable(const Plot& plot, const Curve& curve, std::size_t i) {
  return (!plot.log_x || curve.x[i] > 0) && (!plot.log_y || curve.y[i] > 0);
}

/// A logarithmic axis that ends just beyond the data; in powers of two where powers of ten would leave it
/// bare.
std::string log_axis(const Plot& plot, char axis) {
  double low = 0;
  double high = 0;
  for (const Curve& curve : plot.curves) {
    for (std::size_t i = 0; i < curve.x.size(); ++i) {
      if (!drawable(plot, curve, i)) continue;
      const double value = axis == 'x' ? curve.x[i] : curve.y[i];
      low = low == 0 ? value : std::min(low, value);
      high = std::max(high, value);
    }
  }
  constexpr double kMargin = 1.15;
  constexpr double kFewDecades = 256;
  const int base = high <= low * kFewDecades ? 2 : 10;
  return fmt::format("set logscale {0} {1}\nset {0}range [{2}:{3}]\nset format {0} '%g'\n", axis, base,
                     low / kMargin, high * kMargin);
}

}  // namespace

std::string plot_script(const Plot& plot) {
  // Black stands for the page's text colour: embedded_svg puts that in.
  std::string script =
      "set terminal svg size 580,390 dynamic noenhanced font 'sans-serif,14'\n"
      "set output 'plot.svg'\n"
      "set border 3 linewidth 1\nset tics nomirror out scale 0.6\nset grid linewidth 0.4 linetype 0\n"
      "set key outside top center horizontal\n";
  script += fmt::format("set xlabel {}\nset ylabel {}\n", quoted(plot.x_label), quoted(plot.y_label));
  script += plot.log_x ? log_axis(plot, 'x')
                       : std::string("set autoscale xfix\nset offsets graph 0.02, graph 0.02, 0, 0\n");
  if (plot.log_y) script += log_axis(plot, 'y');
  std::string curves;
  const auto add = [&](std::size_t index, const std::string& style, const std::string& title) {
    curves +=
        fmt::format("{}'data' index {} {} linecolor rgb '{}' {}", curves.empty() ? "plot " : ", \\\n     ",
                    index, style, kColours[index % kColours.size()], title);
  };
  // Lines of reference first: what was measured lies above them.
  int dashes = 0;
  for (const bool reference : {true, false}) {
    for (std::size_t i = 0; i < plot.curves.size(); ++i) {
      const Curve& curve = plot.curves[i];
      if (curve.reference != reference) continue;
      const std::string title = "title " + quoted(curve.label);
      if (reference) {
        add(i, fmt::format("using 1:2 with lines linewidth 1.6 dashtype {}", 1 + dashes++ % 4), title);
      } else if (curve.error.empty()) {
        add(i, "using 1:2 with linespoints linewidth 1.2 pointtype 7 pointsize 0.6", title);
      } else {
        add(i, "using 1:2:3 with yerrorbars linewidth 1.2 pointtype 7 pointsize 0.6", title);
      }
    }
  }
  return script + curves + "\n";
}

std::string plot_data(const Plot& plot) {
  std::string data;
  for (const Curve& curve : plot.curves) {
    for (std::size_t i = 0; i < curve.x.size(); ++i) {
      if (!drawable(plot, curve, i)) continue;
      data += fmt::format("{} {} {}\n", curve.x[i], curve.y[i], curve.error.empty() ? 0.0 : curve.error[i]);
    }
    data += "\n\n";
  }
  return data;
}

std::string embedded_svg(std::string document, const Plot& plot, const std::string& id) {
  const std::size_t start = document.find("<svg");
  if (start == std::string::npos) return "";
  document.erase(0, start);
  const std::size_t end = document.find('>');
  const std::size_t box = document.find("viewBox=");
  const std::size_t box_end = box == std::string::npos ? box : document.find('"', box + 9);
  const std::string view = box < end && box_end < end ? document.substr(box, box_end - box + 1) : "";
  document.erase(0, end + 1);
  // gnuplot's own title says "Gnuplot", and its ids are the same in every plot.
  for (const char* element : {"title", "desc"}) {
    const std::string close = fmt::format("</{}>", element);
    const std::size_t from = document.find(fmt::format("<{}>", element));
    const std::size_t to = document.find(close);
    if (from < to && to != std::string::npos) document.erase(from, to + close.size() - from);
  }
  replace_all(document, " id=\"", " id=\"" + id + "-");
  replace_all(document, " id='", " id='" + id + "-");
  replace_all(document, "url(#", "url(#" + id + "-");
  replace_all(document, "xlink:href='#", "xlink:href='#" + id + "-");
  replace_all(document, "xlink:href=\"#", "xlink:href=\"#" + id + "-");
  replace_all(document, "xlink:href", "href");
  remove_white_discs(document);
  for (const char* black : {"\"black\"", "'black'", "\"#000000\"", "'#000000'"}) {
    replace_all(document, black, "\"currentColor\"");
  }
  return fmt::format(
      "<svg role=\"img\" aria-labelledby=\"{0}-title {0}-desc\" xmlns=\"http://www.w3.org/2000/svg\" "
      "{1}>\n<title id=\"{0}-title\">{2}</title>\n<desc id=\"{0}-desc\">{3}</desc>\n{4}",
      id, view, xml_text(plot.title), xml_text(description(plot)), document);
}

Drawing draw(const Plot& plot, const std::string& id, const std::string& gnuplot, double timeout_seconds) {
  bool anything = false;
  for (const Curve& curve : plot.curves) {
    for (std::size_t i = 0; i < curve.x.size(); ++i) {
      anything = anything || drawable(plot, curve, i);
    }
  }
  if (!anything) return {"", "there are no points to draw"};
  try {
    const TemporaryFolder folder;
    const auto& path = folder.path();
    // gnuplot has no option for its working folder: the names in the script become full ones.
    std::string script = plot_script(plot);
    replace_all(script, "'plot.svg'", quoted((path / "plot.svg").string()));
    replace_all(script, "'data'", quoted((path / "data").string()));
    write_text_file(path / "script", script);
    write_text_file(path / "data", plot_data(plot));
    const ProgramResult result = run_program({gnuplot, (path / "script").string()}, path, timeout_seconds);
    if (!result.found) {
      return {"",
              fmt::format("{} isn't installed (on Debian and Ubuntu: apt install gnuplot-nox); then make the "
                          "report again from the same results",
                          gnuplot)};
    }
    if (result.timed_out) return {"", fmt::format("{} had not ended after {} s", gnuplot, timeout_seconds)};
    if (result.exit_code != 0) return {"", fmt::format("{} failed: {}", gnuplot, result.errors)};
    const std::string svg = embedded_svg(read_text_file(path / "plot.svg"), plot, id);
    if (svg.empty()) return {"", fmt::format("{} wrote something that isn't SVG", gnuplot)};
    return {svg, ""};
  } catch (const std::runtime_error& error) {
    return {"", error.what()};
  }
}

}  // namespace remeasure::reports
