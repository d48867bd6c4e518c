// SPDX-License-Identifier: Apache-2.0
#include "kernels/attention/neighborhood_reference.h"

#include <testing/catch.h>
#include <set>

#include "kernels/attention/testing/neighborhood_problem.h"

using namespace remeasure;
using namespace remeasure::kernels;
using namespace remeasure::kernels::testing;

namespace {

std::vector<double> rows_in_double(const NeighborhoodInputs& in, bool clipped = false) {
  return neighborhood_rows(in.shape, static_cast<double>(in.scale), in.query, in.key, in.value,
                           all_rows(in.shape), clipped)
      .output;
}

/// Softmax attention over all keys j with visible(i, j), plainly.
template <class Visible>
std::vector<double> dense(const NeighborhoodInputs& in, Visible visible) {
  const auto& s = in.shape;
  const auto n = s.tokens(), heads = static_cast<std::size_t>(s.heads), dim = static_cast<std::size_t>(s.dim);
  std::vector<double> out(s.elements(), 0.0);
  for (std::size_t h = 0; h < heads; ++h) {
    for (std::size_t i = 0; i < n; ++i) {
      std::vector<double> weight(n, 0.0);
      double total = 0;
      for (std::size_t j = 0; j < n; ++j) {
        if (!visible(i, j)) continue;
        double sum = 0;
        for (std::size_t c = 0; c < dim; ++c) {
          sum += static_cast<double>(in.query[(i * heads + h) * dim + c]) *
                 static_cast<double>(in.key[(j * heads + h) * dim + c]);
        }
        total += weight[j] = std::exp(sum * static_cast<double>(in.scale));
      }
      for (std::size_t j = 0; j < n; ++j) {
        for (std::size_t c = 0; c < dim; ++c)
          out[(i * heads + h) * dim + c] +=
              weight[j] / total * static_cast<double>(in.value[(j * heads + h) * dim + c]);
      }
    }
  }
  return out;
}

}  // namespace

TEST_CASE("every window that isn't causal has exactly its volume, shifted at the borders", "[cpu]") {
  for (const NeighborhoodShape& shape :
       {along(1, 1, 1, axis(8, 3)), along(1, 1, 1, axis(9, 4)), along(1, 1, 1, axis(11, 3, 2)),
        along(1, 1, 1, axis(12, 5), axis(10, 3, 3)), along(1, 1, 1, axis(4, 3), axis(5, 3), axis(6, 2, 2))}) {
    std::size_t sum = 0;
    for (std::int64_t token = 0; token < static_cast<std::int64_t>(shape.tokens()); ++token) {
      const std::vector<std::int64_t> keys = neighbours(shape, token);
      const std::set<std::int64_t> distinct(keys.begin(), keys.end());
      REQUIRE(distinct.size() == shape.window());
      REQUIRE(distinct.contains(token));
      sum += keys.size();
    }
    CHECK(sum == shape.tokens() * shape.window());
    CHECK(static_cast<double>(sum) == useful_pairs(shape));
  }
  const NeighborhoodShape eight = along(1, 1, 1, axis(8, 3));
  CHECK(neighbours(eight, 0) == std::vector<std::int64_t>{0, 1, 2});
  CHECK(neighbours(eight, 4) == std::vector<std::int64_t>{3, 4, 5});
  CHECK(neighbours(eight, 7) == std::vector<std::int64_t>{5, 6, 7});
  CHECK(neighbours(along(1, 1, 1, axis(8, 4)), 4) ==
        std::vector<std::int64_t>{2, 3, 4, 5});  // even: one more on the left
  CHECK(neighbours(along(1, 1, 1, axis(8, 3, 2)), 4) == std::vector<std::int64_t>{2, 4, 6});
  CHECK(neighbours(along(1, 1, 1, axis(8, 3, 1, true)), 1) ==
        std::vector<std::int64_t>{0, 1});  // causal: cut
}

TEST_CASE("a window over everything is dense attention, a window of one is the values, causal is causal",
          "[cpu]") {
  const auto everything = [](std::size_t, std::size_t) { return true; };
  for (const NeighborhoodShape& shape :
       {along(1, 2, 8, axis(15, 15)), along(1, 1, 8, axis(5, 5), axis(3, 3))}) {
    const NeighborhoodInputs in = inputs_of<float>(shape);
    CHECK(largest_difference(rows_in_double(in), dense(in, everything)) < 1e-6);
  }
  const NeighborhoodInputs one = inputs_of<float>(along(2, 2, 8, axis(7, 1), axis(3, 1)));
  CHECK(largest_difference(rows_in_double(one), one.value) < 1e-6);
  const NeighborhoodInputs causal = inputs_of<float>(along(1, 2, 8, axis(15, 15, 1, true)));
  CHECK(largest_difference(rows_in_double(causal),
                           dense(causal, [](std::size_t i, std::size_t j) { return j <= i; })) < 1e-6);
}

TEST_CASE(
    "dilation is that many independent problems on strided tokens, also where it doesn't divide the length",
    "[cpu]") {
  for (const int length : {24, 25, 26}) {
    const NeighborhoodInputs in = inputs_of<float>(along(1, 1, 8, axis(length, 5, 3)));
    const std::vector<double> dilated = rows_in_double(in);
    for (int group = 0; group < 3; ++group) {
      const int part = in.shape.axes[0].group_length(group);
      NeighborhoodInputs strided{along(1, 1, 8, axis(part, 5)), in.scale, {}, {}, {}};
      for (int p = 0; p < part; ++p) {
        for (int c = 0; c < 8; ++c) {
          const auto at = static_cast<std::size_t>((p * 3 + group) * 8 + c);
          strided.query.push_back(in.query[at]);
          strided.key.push_back(in.key[at]);
          strided.value.push_back(in.value[at]);
        }
      }
      const std::vector<double> alone = rows_in_double(strided);
      for (std::size_t i = 0; i < alone.size(); ++i) {
        REQUIRE(alone[i] == dilated[(i / 8 * 3 + static_cast<std::size_t>(group)) * 8 + i % 8]);
      }
    }
  }
}

TEST_CASE("control: a window that is cut instead of shifted differs at the border, and only there", "[cpu]") {
  const NeighborhoodInputs in = inputs_of<float>(along(1, 1, 8, axis(20, 5)));
  const std::vector<double> shifted = rows_in_double(in), clipped = rows_in_double(in, true);
  for (std::size_t token = 0; token < 20; ++token) {
    double difference = 0;
    for (std::size_t c = 0; c < 8; ++c)
      difference = std::max(difference, std::abs(shifted[token * 8 + c] - clipped[token * 8 + c]));
    INFO("token " << token);
    if (token < 2 || token >= 18)
      CHECK(difference > 1e-3);
    else
      CHECK(difference == 0);
  }
}

TEST_CASE("the tiled method is the oracle, with tiles that don't divide the axes", "[cpu]") {
  for (const NeighborhoodShape& shape :
       {along(2, 2, 16, axis(150, 13)), along(1, 2, 16, axis(97, 13, 3)),
        along(1, 1, 16, axis(19, 5, 2), axis(10, 3)), along(1, 1, 16, axis(4, 3), axis(5, 3), axis(6, 3)),
        along(1, 1, 16, axis(90, 20, 1, true))}) {
    const NeighborhoodInputs in = inputs_of<float>(shape);
    std::vector<float> out(shape.elements());
    neighborhood_attention_tiled(shape, in.scale, in.query, in.key, in.value, out);
    CHECK(largest_difference(out, rows_in_double(in)) < 1e-5);
  }
}

TEST_CASE("the pairs that the tiles multiply are those of a walk over tiles and boxes", "[cpu]") {
  // By hand: 100 tokens, window 9: tiles of 64. First tile sees keys 0..67 (2 tiles), the second 60..99 (40
  // keys: 1 tile).
  CHECK(executed_pairs(along(1, 1, 16, axis(100, 9))) == 64 * 128 + 64 * 64);
  CHECK(useful_pairs(along(1, 1, 16, axis(100, 9))) == 900);
  // 8 x 8 tiles on 12 x 10 with windows 5 x 3: rows 0-7 see 0..9 (16), rows 8-11 see 6..11 (8); columns 0-7
  // see 0..8 (16), 8-9 see 7..9 (8).
  CHECK(executed_pairs(along(2, 3, 16, axis(12, 5), axis(10, 3))) ==
        6.0 * (8 * 16 + 8 * 8) * (8 * 16 + 8 * 8));
  CHECK(useful_pairs(along(1, 1, 16, axis(5, 3, 1, true))) == 1 + 2 + 3 + 3 + 3);
  // Far from borders and with long windows the useful share is window / (tile + window - 1), as the paper has
  // it.
  const NeighborhoodShape large = along(1, 1, 16, axis(65'536, 2047));
  CHECK(std::abs(useful_pairs(large) / executed_pairs(large) - 2047.0 / (64 + 2046)) < 0.02);
}

TEST_CASE("neighborhoods that can't be are refused", "[cpu]") {
  CHECK_THROWS_WITH(check_neighborhood("attention", along(1, 1, 16, axis(8, 3, 3))),
                    Catch::Matchers::ContainsSubstring("axis 0 of length 8 has window 3 and dilation 3"));
  CHECK_THROWS_AS(check_neighborhood("attention", along(300, 300, 16, axis(8, 3))), std::invalid_argument);
  std::vector<float> few(3);
  CHECK_THROWS_WITH(neighborhood_rows(along(1, 1, 2, axis(2, 1)), 1, few, few, few, {}),
                    Catch::Matchers::ContainsSubstring("an array of 3 elements; the shape has 4"));
}
