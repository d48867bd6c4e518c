// SPDX-License-Identifier: Apache-2.0
#include "bench/runner/shard.h"

#include <testing/catch.h>

#include <set>
#include <stdexcept>

using namespace remeasure::bench::runner;

TEST_CASE("a shard is i/n with 1 <= i <= n", "[cpu]") {
  CHECK(parse_shard("2/4").index == 2);
  CHECK(parse_shard("2/4").count == 4);
  CHECK(parse_shard("1/1").count == 1);
  for (const char* wrong : {"", "2", "0/4", "5/4", "-1/4", "1/0", "a/b", "1/2/3", "1 /2", "1/", "/2",
                            "99999999999/99999999999"}) {
    INFO(wrong);
    CHECK_THROWS_AS(parse_shard(wrong), std::invalid_argument);
  }
}

TEST_CASE("the parts hold every experiment once, and don't depend on the order given", "[cpu]") {
  const std::vector<std::string> names = {"d", "a", "c", "b", "e", "g", "f"};
  for (int count = 1; count <= 9; ++count) {
    std::multiset<std::string> all;
    std::size_t smallest = names.size(), largest = 0;
    for (int index = 1; index <= count; ++index) {
      const auto part = take_shard(names, {index, count});
      all.insert(part.begin(), part.end());
      smallest = std::min(smallest, part.size());
      largest = std::max(largest, part.size());
      CHECK(part == take_shard({"a", "b", "c", "d", "e", "f", "g"}, {index, count}));
    }
    CHECK(all == std::multiset<std::string>(names.begin(), names.end()));
    CHECK(largest - smallest <= 1);
  }
  CHECK(take_shard(names, {2, 3}) == std::vector<std::string>{"b", "e"});
}
