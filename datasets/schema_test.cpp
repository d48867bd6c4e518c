// SPDX-License-Identifier: Apache-2.0
#include "datasets/schema.h"

#include <testing/catch.h>

#include <array>

using namespace remeasure::datasets;

TEST_CASE("parameters hold numbers as they are written and words as they are") {
  const Parameters p = parameters(
      {{"n", std::size_t{512}}, {"noise", 0.1}, {"order", "random"}, {"word", std::string("x")}}, 7);
  CHECK(p.seed == 7);
  CHECK(p.text("n") == "512");
  CHECK(p.text("noise") == "0.1");
  CHECK(p.real("noise") == 0.1);
  CHECK(p.text("order") == "random");
  CHECK(p.text("word") == "x");
  CHECK_THROWS_AS(parameters({{"n", 1}, {"n", 2}}, 1), std::invalid_argument);
}

TEST_CASE("axes that are called as their parameters have these lengths") {
  static constexpr std::array<const char*, 2> kAxes = {"tokens", "batch"};
  const Parameters p = parameters({{"batch", 2}, {"tokens", 5}, {"dim", 3}}, 1);
  CHECK(shape_of(p, kAxes) == Shape{5, 2});
  CHECK(extents_of(p, kAxes) == Extents{{"batch", 2}, {"tokens", 5}});
  CHECK_THROWS_AS(shape_of(parameters({{"batch", 0}, {"tokens", 5}}, 1), kAxes), DatasetError);
  CHECK_THROWS_AS(extents_of(parameters({{"batch", 1}}, 1), kAxes), DatasetError);
}
