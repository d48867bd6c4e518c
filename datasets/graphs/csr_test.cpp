// SPDX-License-Identifier: Apache-2.0
#include "datasets/graphs/csr.h"

#include <testing/catch.h>

#include "datasets/test_support.h"

using namespace remeasure::datasets;
using Catch::Matchers::ContainsSubstring;

namespace {

Csr sample() {  // [. 2 . 5] [. . . .] [1 . 3 .]
  const std::vector<Edge> edges = {{2, 2}, {0, 3}, {0, 1}, {2, 0}};
  return csr_of_edges(3, 4, edges, std::vector<float>{3, 5, 2, 1});
}

}  // namespace

TEST_CASE("a sparse matrix is built from nonzeros in any order", "[cpu]") {
  const Csr csr = sample();
  CHECK(csr.row_pointers == std::vector<std::int32_t>{0, 2, 2, 4});
  CHECK(csr.column_indices == std::vector<std::int32_t>{1, 3, 0, 2});
  CHECK(csr.values == std::vector<float>{2, 5, 1, 3});
  check_csr(csr, "sample");
  const Csr empty = csr_of_edges(2, 0, {});
  CHECK(empty.row_pointers == std::vector<std::int32_t>{0, 0, 0});
  check_csr(empty, "empty");
}

TEST_CASE("equal nonzeros are merged: values add up, edges stay one", "[cpu]") {
  const std::vector<Edge> edges = {{0, 2}, {1, 1}, {0, 2}, {0, 0}, {0, 2}};
  const Csr pattern = csr_of_edges(2, 3, edges);
  CHECK(pattern.row_pointers == std::vector<std::int32_t>{0, 2, 3});
  CHECK(pattern.column_indices == std::vector<std::int32_t>{0, 2, 1});
  CHECK(pattern.values.empty());
  const Csr weighted = csr_of_edges(2, 3, edges, std::vector<float>{1, 2, 4, 8, 16});
  CHECK(weighted.column_indices == pattern.column_indices);
  CHECK(weighted.values == std::vector<float>{8, 21, 2});
}

TEST_CASE("transposing twice is the identity, and renaming moves rows and columns alike", "[cpu]") {
  const Csr csr = sample(), turned = transposed(csr);
  CHECK(turned.rows == 4);
  CHECK(turned.row_pointers == std::vector<std::int32_t>{0, 1, 2, 3, 4});
  CHECK(turned.column_indices == std::vector<std::int32_t>{2, 0, 2, 0});
  CHECK(turned.values == std::vector<float>{1, 2, 3, 5});
  CHECK(transposed(turned).values == csr.values);
  CHECK(transposed(turned).column_indices == csr.column_indices);

  const std::vector<Edge> edges = {{0, 1}, {1, 2}};
  const Csr square = csr_of_edges(3, 3, edges);
  const Csr named = renamed(square, std::vector<std::int32_t>{2, 0, 1});
  CHECK(named.row_pointers == std::vector<std::int32_t>{0, 1, 1, 2});
  CHECK(named.column_indices == std::vector<std::int32_t>{1, 0});
  CHECK_THROWS_WITH(
      renamed(csr_of_edges(3, 3, std::vector<Edge>{{0, 1}, {1, 1}}), std::vector<std::int32_t>{0, 0, 0}),
      ContainsSubstring("no permutation"));
  CHECK_THROWS_WITH(renamed(csr, std::vector<std::int32_t>{0, 1, 2}), ContainsSubstring("3 x 4"));
}

TEST_CASE("a wrong sparse matrix is refused, with the reason", "[cpu]") {
  CHECK_THROWS_WITH(csr_of_edges(2, 2, std::vector<Edge>{{0, 2}}),
                    ContainsSubstring("2 x 2: a nonzero at (0, 2)"));
  CHECK_THROWS_WITH(csr_of_edges(2, 2, std::vector<Edge>{{-1, 0}}), ContainsSubstring("(-1, 0)"));
  CHECK_THROWS_WITH(csr_of_edges(2, 2, std::vector<Edge>{{0, 0}}, std::vector<float>{1, 2}),
                    ContainsSubstring("2 values for 1"));
  CHECK_THROWS_WITH(csr_of_edges(std::int64_t{1} << 31, 2, {}), ContainsSubstring("32-bit"));
  const auto damaged = [](auto damage) {
    Csr csr = sample();
    damage(csr);
    return remeasure::datasets::testing::message_of([&] { check_csr(csr, "file"); });
  };
  CHECK_THAT(damaged([](Csr& c) { c.row_pointers.pop_back(); }),
             ContainsSubstring("file: 3 row pointers for 3 rows"));
  CHECK_THAT(damaged([](Csr& c) { c.row_pointers[0] = 1; }),
             ContainsSubstring("from 1 to 4; expected 0 to 4"));
  CHECK_THAT(damaged([](Csr& c) { c.row_pointers[1] = 5; }), ContainsSubstring("descend"));
  CHECK_THAT(damaged([](Csr& c) { c.column_indices[1] = 1; }), ContainsSubstring("row 0: column 1 after 1"));
  CHECK_THAT(damaged([](Csr& c) { c.column_indices[3] = 4; }), ContainsSubstring("row 2: column 4"));
  CHECK_THAT(damaged([](Csr& c) { c.column_indices[0] = -1; }), ContainsSubstring("column -1"));
  CHECK_THAT(damaged([](Csr& c) { c.values.pop_back(); }), ContainsSubstring("3 values for 4"));
}

TEST_CASE("degrees are counted", "[cpu]") {
  const DegreeStatistics degrees = degree_statistics(sample());
  CHECK(degrees.smallest == 0);
  CHECK(degrees.largest == 2);
  CHECK(degrees.empty == 1);
  CHECK(degrees.mean == Approx(4.0 / 3));
  CHECK(degrees.deviation == Approx(std::sqrt(8.0 / 9)));
}
