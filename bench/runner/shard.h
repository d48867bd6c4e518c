// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace remeasure::bench::runner {

/// Part `index` (from 1) of `count` parts of the list of experiments.
struct Shard {
  int index = 1;
  int count = 1;
};

/// "2/4". Throws std::invalid_argument unless 1 <= i <= n.
Shard parse_shard(const std::string& text);

/// The experiments of one part: of the list in name order every count-th, from the index-th on. The same on
/// every machine, every experiment in exactly one part, and the sizes of the parts differ by at most one.
std::vector<std::string> take_shard(std::vector<std::string> names, Shard shard);

}  // namespace remeasure::bench::runner
