// SPDX-License-Identifier: Apache-2.0
#include "reports/format.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>

namespace remeasure::reports {
namespace {

/// The decimal exponent after rounding to `digits`: 999.6 has 3, not 2.
int exponent_of(double value, int digits) {
  const std::string text = fmt::format("{:.{}e}", value, digits - 1);
  return std::atoi(text.c_str() + text.find('e') + 1);
}

std::string without_trailing_zeros(std::string text) {
  if (text.find('.') != std::string::npos && text.find('e') == std::string::npos) {
    text.erase(text.find_last_not_of('0') + 1);
    if (text.back() == '.') text.pop_back();
  }
  return text;
}

/// fmt writes "3.1e-03".
std::string short_exponent(std::string text) {
  const auto e = text.find('e');
  if (e == std::string::npos) return text;
  const int exponent = std::atoi(text.c_str() + e + 1);
  return text.substr(0, e) + "e" + std::to_string(exponent);
}

std::string symbol(const std::string& unit) {
  if (unit.empty()) return "";
  if (unit == "x" || unit == "×") return "×";
  return " " + unit;
}

}  // namespace

std::string significant(double value, int digits) {
  if (!std::isfinite(value)) return "not finite";
  if (value == 0) return "0";
  const int decimals = std::max(0, digits - 1 - exponent_of(value, digits));
  return fmt::format("{:.{}f}", value, decimals);
}

std::string seconds_text(double seconds) {
  if (!std::isfinite(seconds)) return "not finite";
  if (seconds == 0) return "0 s";
  const int exponent = exponent_of(seconds, 3);
  if (exponent < -6) return significant(seconds * 1e9) + " ns";
  if (exponent < -3) return significant(seconds * 1e6) + " µs";
  if (exponent < 0) return significant(seconds * 1e3) + " ms";
  return significant(seconds) + " s";
}

std::string bytes_text(double bytes) {
  constexpr std::array kUnits = {"B", "KiB", "MiB", "GiB", "TiB"};
  std::size_t unit = 0;
  while (std::abs(bytes) >= 1023.5 && unit + 1 < kUnits.size()) {
    bytes /= 1024;
    ++unit;
  }
  if (unit == 0) return fmt::format("{:.0f} B", bytes);
  return fmt::format("{} {}", significant(bytes), kUnits[unit]);
}

std::string ratio_text(double ratio) {
  return significant(ratio) + "×";
}

std::string percent_text(double fraction) {
  return significant(fraction * 100, 2) + " %";
}

std::string error_text(double error) {
  if (!std::isfinite(error)) return "not finite";
  if (error == 0) return "0";
  std::string text = fmt::format("{:.1e}", error);
  if (const auto at = text.find(".0e"); at != std::string::npos) text.erase(at, 2);
  return short_exponent(text);
}

std::string number_text(double value, const std::string& unit) {
  if (!std::isfinite(value)) return "not finite";
  if (unit == "s") return seconds_text(value);
  if (unit == "B" || unit == "bytes") return bytes_text(value);
  return short_exponent(fmt::format("{:.6g}", value)) + symbol(unit);
}

std::string interval_text(const Interval& interval, const std::string& unit) {
  const auto text = [&](double value) {
    if (unit == "x" || unit == "×") return significant(value);
    return short_exponent(fmt::format("{:.4g}", value));
  };
  std::string low = text(interval.low);
  std::string high = text(interval.high);
  // Zeros go only where both ends lose them: "45×", but "1.58–1.60×".
  const auto has_zero = [](const std::string& it) {
    return it.find('.') != std::string::npos && it.find('e') == std::string::npos && it.back() == '0';
  };
  while (has_zero(low) && has_zero(high)) {
    low.pop_back();
    high.pop_back();
  }
  if (low.back() == '.' && high.back() == '.') {
    low.pop_back();
    high.pop_back();
  }
  if (low == high) return low + symbol(unit);
  // An en dash between 1e-16 and 1e-14, or before a minus sign, reads as another minus.
  const bool plain = (low + high).find_first_of("e-") == std::string::npos;
  return low + (plain ? "–" : " to ") + high + symbol(unit);
}

std::string time_text(const Estimate& seconds) {
  const double distance = std::max(seconds.high - seconds.median, seconds.median - seconds.low);
  const double relative = distance / seconds.median * 100;
  return fmt::format("{} ±{} %", seconds_text(seconds.median),
                     relative < 0.95 ? fmt::format("{:.1f}", relative) : significant(relative, 2));
}

std::string rate_text(double per_second, const std::string& unit) {
  constexpr std::array kPrefixes = {"", "k", "M", "G", "T", "P"};
  std::size_t prefix = 0;
  while (per_second >= 999.5 && prefix + 1 < kPrefixes.size()) {
    per_second /= 1000;
    ++prefix;
  }
  return fmt::format("{} {}{}/s", significant(per_second), kPrefixes[prefix], unit);
}

std::string ceiling_text(const std::string& name, double value) {
  if (name.starts_with("gpu-launch")) return seconds_text(value);
  for (const char* kind : {"gemm-", "fma-", "gpu-mma-", "gpu-fma-"}) {
    if (name.starts_with(kind)) return rate_text(value, "flop");
  }
  return rate_text(value, "B");
}

std::string plain_decimal(double value) {
  return without_trailing_zeros(fmt::format("{:.9f}", value));
}

std::string exact_text(double value) {
  return fmt::format("{}", value);
}

}  // namespace remeasure::reports
