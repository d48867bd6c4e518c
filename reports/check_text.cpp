// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "reports/check.h"
#include "reports/format.h"
#include "reports/text_table.h"

namespace remeasure::reports {
namespace {

Tone tone_of(Outcome outcome) {
  switch (outcome) {
    case Outcome::worse:
      return Tone::bad;
    case Outcome::better:
      return Tone::good;
    case Outcome::unclear:
      return Tone::fair;
    case Outcome::same:
      break;
  }
  return Tone::dim;
}

std::string change_text(const CheckRow& row) {
  if (!row.change || !std::isfinite(*row.change)) return "";
  const double percent = *row.change * 100;
  return std::abs(percent) < 99.95 ? fmt::format("{:+.1f} %", percent)
                                   : (percent < 0 ? "-" : "+") + significant(std::abs(percent)) + " %";
}

std::string limit_text(const CheckRow& row) {
  return row.judgement.threshold > 0 && row.change ? "±" + percent_text(row.judgement.threshold) : "";
}

std::string result_text(const CheckRow& row) {
  const std::string text = to_string(row.judgement.outcome);
  return row.judgement.note.empty() ? text : text + ": " + row.judgement.note;
}

}  // namespace

std::string check_text(const CheckResult& result, const TerminalOptions& options) {
  const auto width = static_cast<std::size_t>(std::max(options.columns, 60));
  std::string out;
  const auto paragraph = [&](const std::string& text, Tone tone) {
    bool first = true;
    for (const std::string& line : wrapped(text, width - 2)) {
      out += (first ? "" : "  ") + coloured(line, tone, options.colour) + "\n";
      first = false;
    }
  };
  TextTable table({{"variant", false, 12, false},
                   {"quantity", false, 14, false},
                   {"before", false, 12, false},
                   {"now", false, 12, false},
                   {"change", true, 8, true},
                   {"limit", true, 6, true},
                   {"result", false, 16, false}});
  std::string heading;
  bool any = false;
  for (const Outcome outcome : {Outcome::worse, Outcome::unclear, Outcome::better}) {
    for (const CheckRow& row : result.rows) {
      if (row.judgement.outcome != outcome) continue;
      const std::string place = row.experiment + (row.test.empty() ? "" : " · " + row.test);
      if (place != heading) table.add_heading(place);
      heading = place;
      table.add({{row.variant},
                 {row.quantity},
                 {row.before},
                 {row.after},
                 {change_text(row)},
                 {limit_text(row)},
                 {result_text(row), tone_of(outcome)}});
      any = true;
    }
  }
  if (any) out += table.text(width, 0, options.colour) + "\n";
  for (const std::string& line : result.incorrect) paragraph("INCORRECT " + line, Tone::bad);
  for (const std::string& line : result.broken) paragraph("BROKEN " + line, Tone::bad);
  for (const std::string& line : result.not_applied) paragraph("NOT COMPARED " + line, Tone::fair);
  if (!result.incorrect.empty() || !result.broken.empty() || !result.not_applied.empty()) out += "\n";
  paragraph(fmt::format("{} compared: {} same, {} better, {} worse, {} unclear{}", result.rows.size(),
                        result.count(Outcome::same), result.count(Outcome::better),
                        result.count(Outcome::worse), result.count(Outcome::unclear),
                        result.exit_code == ExitCode::fine
                            ? ""
                            : fmt::format("; exit status {}", static_cast<int>(result.exit_code))),
            result.exit_code == ExitCode::fine ? Tone::plain : Tone::bad);
  return out;
}

}  // namespace remeasure::reports
