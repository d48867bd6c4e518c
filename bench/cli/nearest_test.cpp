// SPDX-License-Identifier: Apache-2.0
#include "bench/cli/nearest.h"

#include <testing/catch.h>

using namespace remeasure::bench::cli;

TEST_CASE("edit distance counts insertions, deletions, substitutions and swaps", "[cpu]") {
  CHECK(edit_distance("", "") == 0);
  CHECK(edit_distance("", "abc") == 3);
  CHECK(edit_distance("dfss", "dfss") == 0);
  CHECK(edit_distance("dfs", "dfss") == 1);
  CHECK(edit_distance("dfsss", "dfss") == 1);
  CHECK(edit_distance("dfzs", "dfss") == 1);
  CHECK(edit_distance("dsfs", "dfss") == 1);
  CHECK(edit_distance("kitten", "sitting") == 3);
  CHECK(edit_distance("DFSS", "dfss") == 0);
  CHECK(edit_distance("abc", "xyz") == 3);
  CHECK(edit_distance("ca", "abc") == 3);  // optimal string alignment: no edit between swapped letters
}

TEST_CASE("nearest names come best first and at most three", "[cpu]") {
  const std::vector<std::string> names = {"dfss",    "log-bessel", "topml",  "flash-a",
                                          "flash-b", "flash-c",    "flash-d"};
  CHECK(nearest("dfs", names) == std::vector<std::string>{"dfss"});
  CHECK(nearest("bessel", names) == std::vector<std::string>{"log-bessel"});
  CHECK(nearest("logbesel", names) == std::vector<std::string>{"log-bessel"});
  CHECK(nearest("flash", names).size() == 3);
  CHECK(nearest("flash", names).front() == "flash-a");
  CHECK(nearest("quantum", names).empty());
  CHECK(nearest("", names).empty());
  CHECK(nearest("x", {}).empty());
}

TEST_CASE("an unknown name is answered with the nearest or with the remedy", "[cpu]") {
  const std::vector<std::string> names = {"dfss", "topml"};
  CHECK(unknown_name("experiment", "dfs", names, "see the list") ==
        "unknown experiment 'dfs'; did you mean 'dfss'?");
  CHECK(unknown_name("experiment", "quantum", names, "see the list") ==
        "unknown experiment 'quantum'; see the list");
  const std::vector<std::string> twins = {"conv-a", "conv-b"};
  CHECK(unknown_name("experiment", "conv", twins, "") ==
        "unknown experiment 'conv'; did you mean 'conv-a' or 'conv-b'?");
}
