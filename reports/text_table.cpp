// SPDX-License-Identifier: Apache-2.0
#include "reports/text_table.h"

#include <algorithm>
#include <numeric>
#include <stdexcept>

namespace remeasure::reports {
namespace {

constexpr std::size_t kGap = 2;

bool starts_character(char byte) {
  return (static_cast<unsigned char>(byte) & 0xC0U) != 0x80U;
}

/// Bytes of the first `columns` characters.
std::size_t bytes_of(const std::string& text, std::size_t columns) {
  std::size_t at = 0;
  while (at < text.size()) {
    if (starts_character(text[at]) && columns-- == 0) break;
    ++at;
  }
  return at;
}

void wrap_line(const std::string& line, std::size_t width, std::vector<std::string>& out) {
  std::string current;
  std::size_t at = 0;
  while (at < line.size()) {
    const std::size_t end = std::min(line.find(' ', at), line.size());
    std::string word = line.substr(at, end - at);
    at = end + 1;
    if (!current.empty() && text_width(current) + 1 + text_width(word) <= width) {
      current += " " + word;
      continue;
    }
    if (!current.empty()) out.push_back(current);
    while (text_width(word) > width) {
      std::size_t cut = bytes_of(word, width);
      const std::size_t joint = word.find_last_of("/-_", cut - 1);
      if (joint != std::string::npos && joint > 0) cut = joint + 1;
      out.push_back(word.substr(0, cut));
      word.erase(0, cut);
    }
    current = word;
  }
  out.push_back(current);
}

}  // namespace

std::size_t text_width(const std::string& text) {
  std::size_t width = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    // U+0300..U+036F, the combining marks (a tilde over a letter), are CC 80 .. CD AF.
    const bool combining = byte == 0xCC || (byte == 0xCD && i + 1 < text.size() &&
                                            static_cast<unsigned char>(text[i + 1]) < 0xB0);
    width += starts_character(text[i]) && !combining ? 1 : 0;
  }
  return width;
}

std::vector<std::string> wrapped(const std::string& text, std::size_t width) {
  std::vector<std::string> lines;
  std::size_t at = 0;
  while (at <= text.size()) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    wrap_line(text.substr(at, end - at), std::max<std::size_t>(width, 1), lines);
    at = end + 1;
  }
  return lines;
}

void TextTable::add(std::vector<Cell> row) {
  if (row.size() != columns_.size()) {
    throw std::invalid_argument("a row of a text table has as many cells as the table has columns");
  }
  rows_.push_back({std::move(row), ""});
}

void TextTable::add_heading(const std::string& text) {
  rows_.push_back({{}, text});
}

std::vector<std::size_t> TextTable::widths(std::size_t room) const {
  std::vector<std::size_t> widths;
  std::vector<std::size_t> least;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    std::size_t width = text_width(columns_[i].title);
    for (const Row& row : rows_) {
      if (row.cells.empty()) continue;
      for (const std::string& line : wrapped(row.cells[i].text, std::string::npos / 2)) {
        width = std::max(width, text_width(line));
      }
    }
    widths.push_back(width);
    least.push_back(columns_[i].whole ? width : std::min(width, columns_[i].least));
  }
  // The widest column that may shrink gives way, one character at a time.
  while (std::accumulate(widths.begin(), widths.end(), kGap * (widths.size() - 1)) > room) {
    std::size_t widest = widths.size();
    for (std::size_t i = 0; i < widths.size(); ++i) {
      if (widths[i] > least[i] && (widest == widths.size() || widths[i] > widths[widest])) widest = i;
    }
    if (widest == widths.size()) break;  // nothing may shrink further: the line gets longer than asked
    --widths[widest];
  }
  return widths;
}

std::string TextTable::lines(const std::vector<Cell>& cells, const std::vector<std::size_t>& columns,
                             const std::string& margin, bool colour) const {
  std::vector<std::vector<std::string>> parts;
  std::size_t height = 1;
  for (std::size_t i = 0; i < columns.size(); ++i) {
    parts.push_back(wrapped(cells[i].text, columns[i]));
    height = std::max(height, parts.back().size());
  }
  std::string out;
  for (std::size_t y = 0; y < height; ++y) {
    std::string line = margin;
    for (std::size_t i = 0; i < columns.size(); ++i) {
      const std::string part = y < parts[i].size() ? parts[i][y] : "";
      const std::string space(columns[i] - std::min(columns[i], text_width(part)), ' ');
      if (i) line += std::string(kGap, ' ');
      line += columns_[i].right ? space : "";
      line += coloured(part, cells[i].tone, colour);
      line += columns_[i].right ? "" : space;
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  }
  return out;
}

std::string TextTable::text(std::size_t width, std::size_t indent, bool colour) const {
  const std::size_t room = width - std::min(width, indent);
  const std::vector<std::size_t> columns = widths(room);
  const std::string margin(indent, ' ');
  std::vector<Cell> titles;
  std::size_t total = kGap * (columns.size() - 1);
  for (std::size_t i = 0; i < columns.size(); ++i) {
    titles.push_back({columns_[i].title, Tone::dim});
    total += columns[i];
  }
  std::string rule;
  for (std::size_t i = 0; i < total; ++i) rule += "─";
  std::string out =
      lines(titles, columns, margin, colour) + margin + coloured(rule, Tone::dim, colour) + "\n";
  for (const Row& row : rows_) {
    if (!row.cells.empty()) {
      out += lines(row.cells, columns, margin, colour);
      continue;
    }
    for (const std::string& line : wrapped(row.heading, room)) {
      out += margin + strong(line, colour) + "\n";
    }
  }
  return out;
}

std::string coloured(const std::string& text, Tone tone, bool colour) {
  if (!colour || tone == Tone::plain || text.empty()) return text;
  const char* code = tone == Tone::good ? "32" : tone == Tone::fair ? "33" : tone == Tone::bad ? "1;31" : "2";
  return "\x1b[" + std::string(code) + "m" + text + "\x1b[0m";
}

std::string strong(const std::string& text, bool colour) {
  return colour ? "\x1b[1m" + text + "\x1b[0m" : text;
}

}  // namespace remeasure::reports
