// SPDX-License-Identifier: Apache-2.0
#include "kernels/sequences/constrint.h"

#include <testing/catch.h>

#include <algorithm>
#include <random>

#include "kernels/sequences/rnn_tiling.h"

using namespace remeasure::kernels;
using namespace remeasure::kernels::constrint;

namespace {

/// All assignments up to `largest`, by trying.
std::vector<Assignment> brute_force(const Problem& problem, std::int64_t largest) {
  std::vector<Assignment> found;
  Assignment values(problem.names.size(), 1);
  while (true) {
    if (holds(problem, values)) found.push_back(values);
    std::size_t i = 0;
    while (i < values.size() && ++values[i] > largest) values[i++] = 1;
    if (i == values.size()) break;
  }
  std::sort(found.begin(), found.end());
  return found;
}

std::vector<Assignment> solved(const Problem& problem) {
  Solutions solutions = solve(problem);
  REQUIRE(solutions.complete);
  std::sort(solutions.found.begin(), solutions.found.end());
  return solutions.found;
}

std::vector<std::int64_t> values_of(const Problem& problem, const std::string& name) {
  std::vector<std::int64_t> values;
  for (const Assignment& each : solved(problem))
    values.push_back(each[static_cast<std::size_t>(problem.find(name))]);
  std::sort(values.begin(), values.end());
  return values;
}

/// A few constraints over A, B, C (, D) up to 12.
std::string random_problem(std::mt19937& random) {
  const auto upto = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
  const int variables = 2 + upto(3);
  const auto name = [&] { return std::string(1, static_cast<char>('A' + upto(variables))); };
  const auto term = [&] {
    std::string text = upto(3) == 0 ? std::to_string(1 + upto(9)) : name();
    if (upto(3) == 0) text += " * " + name();
    if (upto(6) == 0) text += " ^ 2";
    return text;
  };
  const auto sum = [&] { return upto(3) == 0 ? term() + " + " + term() : term(); };
  const auto constraint = [&] {
    switch (upto(3)) {
      case 0:
        return sum() + " == " + sum();
      case 1:
        return sum() + " <= " + sum();
      default:
        return sum() + " % (" + term() + ") == 0";
    }
  };
  std::string text;
  for (int i = 0; i < variables; ++i) text += std::string(1, static_cast<char>('A' + i)) + " <= 12;\n";
  for (int i = 1 + upto(3); i > 0; --i)
    text += constraint() + (upto(5) == 0 ? " | " + constraint() : "") + ";\n";
  if (upto(4) == 0) text += name() + " == [1, 2, 4, 9];";
  return text;
}

}  // namespace

TEST_CASE("200 random problems have the solutions that trying all values finds, and propagation loses none",
          "[cpu]") {
  std::mt19937 random(11);
  int with_solutions = 0;
  for (int i = 0; i < 200; ++i) {
    const std::string text = random_problem(random);
    INFO(text);
    const Problem problem = Problem::parse(text);
    const auto expected = brute_force(problem, 12);
    with_solutions += expected.empty() ? 0 : 1;
    REQUIRE(solved(problem) == expected);
    std::vector<Domain> domains(problem.names.size());
    const bool open = propagate(problem, domains);
    REQUIRE((open || expected.empty()));
    for (const Assignment& each : expected) {
      for (std::size_t v = 0; v < each.size(); ++v) {
        REQUIRE(each[v] >= domains[v].lower);
        REQUIRE(each[v] <= domains[v].upper);
        REQUIRE(each[v] % domains[v].factor == 0);
        if (domains[v].values)
          REQUIRE(std::binary_search(domains[v].values->begin(), domains[v].values->end(), each[v]));
      }
    }
  }
  CHECK(with_solutions > 100);
  CHECK(with_solutions < 200);
}

TEST_CASE("91 is 7 times 13", "[cpu]") {
  CHECK(prime_factors(91) == std::vector<std::int64_t>{7, 13});
  CHECK(prime_factors(97) == std::vector<std::int64_t>{97});
  CHECK(prime_factors(1).empty());
  CHECK(values_of(Problem::parse("91 % X == 0;"), "X") == std::vector<std::int64_t>{1, 7, 13, 91});
  CHECK(values_of(Problem::parse("X % 91 == 0; X <= 300;"), "X") == std::vector<std::int64_t>{91, 182, 273});
  CHECK(values_of(Problem::parse("X * 13 % 91 == 0; X <= 20;"), "X") == std::vector<std::int64_t>{7, 14});
  // Of a multiple of 91 that divides 1001 only 91 and 1001 are left, and both have the prime 7.
  CHECK(values_of(Problem::parse("1001 % X == 0; X % 91 == 0;"), "X") == std::vector<std::int64_t>{91, 1001});
}

TEST_CASE("nothing is a multiple of 0", "[cpu]") {
  CHECK(solved(Problem::parse("A == 4; A % 0 == 0;")).empty());
  CHECK(values_of(Problem::parse("A == 4; A % 0 == 0 | A <= 5;"), "A") == std::vector<std::int64_t>{4});
}

TEST_CASE("propagation alone fixes what follows from bounds, factors and divisors", "[cpu]") {
  const Problem problem =
      Problem::parse("A * B == 36; A % 9 == 0; B <= 3; C == A + 2 * B; D ^ 2 % 72 == 0; D <= 23;");
  std::vector<Domain> domains(problem.names.size());
  REQUIRE(propagate(problem, domains));
  CHECK(domains[static_cast<std::size_t>(problem.find("A"))].lower == 18);  // 36 has B = 1, 18 has 2
  CHECK(domains[static_cast<std::size_t>(problem.find("D"))].factor == 12);
  CHECK(domains[static_cast<std::size_t>(problem.find("D"))].fixed());
  CHECK(solved(problem).size() == 2);
}

TEST_CASE("what can't be read is quoted, what can't be bounded is named", "[cpu]") {
  CHECK_THROWS_WITH(Problem::parse("A <= 3; A ? 4;"), Catch::Matchers::ContainsSubstring("'A ? 4'"));
  CHECK_THROWS_WITH(Problem::parse("A % 4 == 1;"), Catch::Matchers::ContainsSubstring("% without == 0"));
  CHECK_THROWS_WITH(solve(Problem::parse("A <= B;")), Catch::Matchers::ContainsSubstring("may have"));
  CHECK(Problem::parse("# nothing\n").names.empty());
}

TEST_CASE("every tiling of a layer satisfies its constraints, evaluated by themselves", "[cpu]") {
  for (const int hidden : {64, 128, 768, 1024}) {
    const TilingModel model{
        .gates = 4, .batch = 16, .hidden = hidden, .multiprocessors = 132, .shared_bytes = 232448};
    const auto tilings = tilings_of(model);
    INFO(hidden);
    REQUIRE_FALSE(tilings.empty());
    for (const Tiling& t : tilings) {
      REQUIRE(hidden % t.hidden_tiles == 0);
      REQUIRE(4 * hidden % (t.gate_tiles * 32) == 0);
      REQUIRE(4 * hidden * t.warps_hidden <= 1024 * t.gate_tiles);
      REQUIRE(t.warps_batch * 8 * t.batch_tiles == 16);
      REQUIRE(t.blocks == t.gate_tiles * t.hidden_tiles * t.batch_tiles);
      REQUIRE(t.blocks <= 132);
      const std::int64_t used = 8 * t.batch_tiles * hidden * hidden + 64 * hidden * t.batch_tiles +
                                16 * t.hidden_tiles * t.batch_tiles * hidden +
                                128 * t.hidden_tiles * t.batch_tiles;
      REQUIRE(used <= 232448 * t.blocks);
    }
  }
}

TEST_CASE(
    "the repository's own test, 2976 units on an A100, has no tiling: no number of blocks both divides and "
    "holds them",
    "[cpu]") {
  const TilingModel model{
      .gates = 1, .batch = 8, .hidden = 2976, .multiprocessors = 108, .shared_bytes = 165000};
  CHECK(tilings_of(model).empty());
  // By hand: 2 * 2976^2 bytes need 108 blocks; 93 gate tiles of 32 and 2976 hidden tiles don't multiply to
  // 108.
  int possible = 0;
  for (int gate_tiles = 1; gate_tiles <= 108; ++gate_tiles) {
    for (int hidden_tiles = 1; gate_tiles * hidden_tiles <= 108; ++hidden_tiles) {
      if (2976 % (32 * gate_tiles) != 0 || 2976 % hidden_tiles != 0) continue;
      if (2976 > 1024 * gate_tiles) continue;
      const double used = 2.0 * 2976 * 2976 + 16.0 * 2976 + 4.0 * hidden_tiles * (2976 + 8);
      possible += used <= 165000.0 * gate_tiles * hidden_tiles ? 1 : 0;
    }
  }
  CHECK(possible == 0);
  const TilingModel one_more{
      .gates = 1, .batch = 8, .hidden = 2976, .multiprocessors = 132, .shared_bytes = 165000};
  CHECK_FALSE(tilings_of(one_more).empty());  // 124 = 31 * 4 blocks hold it
}

TEST_CASE("the largest layer in one block and in many, by the model", "[cpu]") {
  const TilingModel a100{.gates = 4, .batch = 8, .hidden = 0, .multiprocessors = 108, .shared_bytes = 165000};
  CHECK(largest_hidden(a100, true) == 128);
  const int many = largest_hidden(a100, false);
  CHECK(many > 1000);
  TilingModel at = a100, above = a100;
  at.hidden = many;
  CHECK_FALSE(tilings_of(at).empty());
  for (int hidden = many + 16; hidden < many + 200; hidden += 16) {
    above.hidden = hidden;
    REQUIRE(tilings_of(above).empty());
  }
}
