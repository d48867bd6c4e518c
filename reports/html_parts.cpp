// SPDX-License-Identifier: Apache-2.0
#include "reports/html_parts.h"

#include <fmt/format.h>

#include "reports/escape.h"

namespace remeasure::reports::html {
namespace {

const char* class_of(Tone tone) {
  switch (tone) {
    case Tone::good:
      return "good";
    case Tone::fair:
      return "fair";
    case Tone::bad:
      return "bad";
    case Tone::plain:
    case Tone::dim:
      break;
  }
  return "dim";
}

/// Columns in which some row has text.
std::vector<bool> used_columns(std::size_t count, const std::vector<Group>& groups) {
  std::vector<bool> used(count, false);
  for (const Group& group : groups) {
    for (const auto& row : group.rows) {
      for (std::size_t i = 0; i < count; ++i) {
        used[i] = used[i] || !row.at(i).html.empty();
      }
    }
  }
  return used;
}

bool is_number_column(std::size_t i, const std::vector<Group>& groups) {
  for (const Group& group : groups) {
    for (const auto& row : group.rows) {
      if (row[i].number) return true;
    }
  }
  return false;
}

}  // namespace

Cell text(const std::string& plain) {
  return {xml_text(plain), false};
}
Cell number(const std::string& plain) {
  return {xml_text(plain), true};
}

std::string table(const std::string& caption, const std::vector<std::string>& columns,
                  const std::vector<Group>& groups) {
  const std::vector<bool> used = used_columns(columns.size(), groups);
  std::string out = fmt::format(
      "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{0}\">\n"
      "<table>\n<caption>{0}</caption>\n<thead><tr>",
      xml_text(caption));
  std::size_t count = 0;
  for (std::size_t i = 0; i < columns.size(); ++i) {
    if (!used[i]) continue;
    ++count;
    out += fmt::format("<th scope=\"col\"{}>{}</th>", is_number_column(i, groups) ? " class=\"number\"" : "",
                       xml_text(columns[i]));
  }
  out += "</tr></thead>\n";
  for (const Group& group : groups) {
    out += "<tbody>\n";
    if (!group.heading.empty()) {
      out += fmt::format("<tr><th scope=\"rowgroup\" colspan=\"{}\">{}</th></tr>\n", count, group.heading);
    }
    for (const auto& row : group.rows) {
      out += "<tr>";
      bool first = true;
      for (std::size_t i = 0; i < columns.size(); ++i) {
        if (!used[i]) continue;
        constexpr std::size_t kLongText = 60;
        const char* attributes = row[i].number                    ? " class=\"number\""
                                 : row[i].html.size() > kLongText ? " class=\"wide\""
                                                                  : "";
        out += first ? fmt::format("<th scope=\"row\">{}</th>", row[i].html)
                     : fmt::format("<td{}>{}</td>", attributes, row[i].html);
        first = false;
      }
      out += "</tr>\n";
    }
    out += "</tbody>\n";
  }
  return out + "</table>\n</div>\n";
}

std::string badge(const std::string& word, Tone tone) {
  return fmt::format("<span class=\"badge {}\">{}</span>", class_of(tone), xml_text(word));
}

std::string paragraph(const std::string& plain, const char* css_class) {
  return fmt::format("<p{}>{}</p>\n", *css_class ? fmt::format(" class=\"{}\"", css_class) : "",
                     xml_text(plain));
}

std::string list(const std::vector<std::string>& lines, const char* css_class) {
  if (lines.empty()) return "";
  std::string out = fmt::format("<ul{}>\n", *css_class ? fmt::format(" class=\"{}\"", css_class) : "");
  for (const std::string& line : lines) {
    out += "<li>" + xml_text(line) + "</li>\n";
  }
  return out + "</ul>\n";
}

}  // namespace remeasure::reports::html
