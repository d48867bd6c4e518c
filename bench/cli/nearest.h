// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace remeasure::bench::cli {

/// Insertions, deletions, substitutions and swaps of neighbours that make one of the other; case is ignored.
std::size_t edit_distance(std::string_view a, std::string_view b);

/// At most three candidates that a user may have meant, best first: few edits, or one contains the other.
std::vector<std::string> nearest(std::string_view wanted, std::span<const std::string> candidates);

/// "unknown experiment 'dfs'; did you mean 'dfss'?", else the remedy: "`remeasure list` shows all 3".
std::string unknown_name(std::string_view kind, std::string_view wanted,
                         std::span<const std::string> candidates, std::string_view remedy);

}  // namespace remeasure::bench::cli
