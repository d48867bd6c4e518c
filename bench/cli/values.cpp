// SPDX-License-Identifier: Apache-2.0
#include "bench/cli/values.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <exception>
#include <system_error>
#include <utility>

#include "bench/cli/nearest.h"
#include "bench/runner/budget.h"

namespace remeasure::bench::cli {

std::string positive_number(const std::string& text) {
  try {
    std::size_t end = 0;
    const double value = std::stod(text, &end);
    if (end == text.size() && std::isfinite(value) && value > 0) return {};
  } catch (const std::exception&) {
  }
  return fmt::format("'{}' is not a number above 0", text);
}

std::string duration(const std::string& text) {
  if (runner::parse_duration(text)) return {};
  return fmt::format("'{}' is not a duration above 0: write 480s, 8m, 1h30m or 90 (seconds)", text);
}

std::string whole_number(const std::string& text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc{} && end == text.data() + text.size() && !text.empty()) return {};
  return fmt::format("'{}' is not a whole number from 0 to 2^64 - 1", text);
}

std::function<std::string(const std::string&)> one_of(const char* what, std::vector<std::string> choices) {
  return [what, choices = std::move(choices)](const std::string& text) -> std::string {
    if (std::find(choices.begin(), choices.end(), text) != choices.end()) return {};
    return unknown_name(what, text, choices, fmt::format("choose {}", fmt::join(choices, ", ")));
  };
}

}  // namespace remeasure::bench::cli
