// SPDX-License-Identifier: Apache-2.0
//
// Which rows of neighborhood-attention are compared, and where they lie in either layout.
#include <testing/catch.h>

#include "experiments/attention/neighborhood_problem.h"

using namespace remeasure;
using namespace remeasure::experiments::neighborhood;

TEST_CASE("small problems are compared whole, large ones at borders and between", "[cpu]") {
  const NeighborhoodShape small{1, 2, 16, {NeighborhoodAxis{96, 13}}};
  CHECK(checked_rows(small).size() == small.rows());
  CHECK(oracle_of(small, checked_rows(small), {}, false).indices.empty());
  const NeighborhoodShape large{2, 3, 32, {NeighborhoodAxis{56, 7}, NeighborhoodAxis{56, 7}}};
  const std::vector<std::size_t> rows = checked_rows(large);
  CHECK(rows.size() > 100);
  CHECK(std::adjacent_find(rows.begin(), rows.end(), std::greater_equal<>()) == rows.end());
  CHECK(rows.back() < large.rows());
  CHECK(rows.front() / 3 == 0);  // token 0, the corner
}

TEST_CASE("heads first is a permutation, and the oracle's places follow the values", "[cpu]") {
  const NeighborhoodShape shape{2, 3, 2, {NeighborhoodAxis{4, 3}, NeighborhoodAxis{5, 3}}};
  std::vector<float> values(shape.elements());
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i);
  const std::vector<float> moved = permuted<float>(shape, values);
  const std::vector<std::size_t> rows = {0, 7, 59, 119};
  const bench::OracleOutput oracle = oracle_of(shape, rows, {}, true);
  REQUIRE(oracle.indices.size() == 8);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    for (std::size_t c = 0; c < 2; ++c) CHECK(moved[oracle.indices[2 * i + c]] == values[2 * rows[i] + c]);
  }
  std::vector<float> sorted = moved;
  std::sort(sorted.begin(), sorted.end());
  CHECK(sorted == values);
  CHECK(moved != values);
}
