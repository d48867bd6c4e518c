// SPDX-License-Identifier: Apache-2.0
#include "bench/runner/shard.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <stdexcept>
#include <string_view>

namespace remeasure::bench::runner {

Shard parse_shard(const std::string& text) {
  const auto number = [&](std::string_view part) {
    int value = 0;
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), value);
    if (error != std::errc{} || end != part.data() + part.size()) value = 0;
    return value;
  };
  const auto slash = text.find('/');
  Shard shard;
  if (slash != std::string::npos) {
    shard.index = number(std::string_view(text).substr(0, slash));
    shard.count = number(std::string_view(text).substr(slash + 1));
  }
  if (slash == std::string::npos || shard.index < 1 || shard.count < 1 || shard.index > shard.count) {
    throw std::invalid_argument(
        fmt::format("--shard {}: expected i/n with 1 <= i <= n, for example --shard 2/4", text));
  }
  return shard;
}

std::vector<std::string> take_shard(std::vector<std::string> names, Shard shard) {
  std::sort(names.begin(), names.end());
  std::vector<std::string> part;
  for (std::size_t i = static_cast<std::size_t>(shard.index - 1); i < names.size();
       i += static_cast<std::size_t>(shard.count)) {
    part.push_back(names[i]);
  }
  return part;
}

}  // namespace remeasure::bench::runner
