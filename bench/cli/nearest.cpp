// SPDX-License-Identifier: Apache-2.0
#include "bench/cli/nearest.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <utility>

namespace remeasure::bench::cli {
namespace {

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

}  // namespace

std::size_t edit_distance(std::string_view first, std::string_view second) {
  const std::string a = lower(first), b = lower(second);
  // Optimal string alignment: three rows of the table of prefixes.
  std::vector<std::size_t> before(b.size() + 1), previous(b.size() + 1), row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) previous[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t substitution = previous[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({previous[j] + 1, row[j - 1] + 1, substitution});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        row[j] = std::min(row[j], before[j - 2] + 1);
      }
    }
    std::swap(before, previous);
    std::swap(previous, row);
  }
  return previous[b.size()];
}

std::vector<std::string> nearest(std::string_view wanted, std::span<const std::string> candidates) {
  std::vector<std::pair<std::size_t, std::string>> close;
  const std::string text = lower(wanted);
  for (const auto& candidate : candidates) {
    const std::size_t distance = edit_distance(wanted, candidate);
    const std::string other = lower(candidate);
    const std::size_t shorter = std::min(text.size(), other.size());
    const bool contained =
        shorter >= 2 && (other.find(text) != std::string::npos || text.find(other) != std::string::npos);
    // A third of the name may be wrong; beyond that a suggestion is noise.
    if (distance <= std::max<std::size_t>(1, std::max(text.size(), other.size()) / 3) || contained) {
      close.emplace_back(contained ? std::min<std::size_t>(distance, 2) : distance, candidate);
    }
  }
  std::sort(close.begin(), close.end());
  if (close.size() > 3) close.resize(3);
  std::vector<std::string> names;
  for (auto& entry : close) names.push_back(std::move(entry.second));
  return names;
}

std::string unknown_name(std::string_view kind, std::string_view wanted,
                         std::span<const std::string> candidates, std::string_view remedy) {
  const auto names = nearest(wanted, candidates);
  if (names.empty()) return fmt::format("unknown {} '{}'; {}", kind, wanted, remedy);
  std::string list;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (i > 0) list += i + 1 == names.size() ? " or " : ", ";
    list += fmt::format("'{}'", names[i]);
  }
  return fmt::format("unknown {} '{}'; did you mean {}?", kind, wanted, list);
}

}  // namespace remeasure::bench::cli
