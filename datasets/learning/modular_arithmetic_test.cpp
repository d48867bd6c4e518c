// SPDX-License-Identifier: Apache-2.0
#include "datasets/learning/modular_arithmetic.h"

#include <testing/catch.h>
#include <cmath>
#include <set>

#include "datasets/test_support.h"

using namespace remeasure::datasets;
using namespace remeasure::datasets::testing;
using Catch::Matchers::ContainsSubstring;

namespace {

GrokkingTask modular(int modulus, int hidden, const std::string& operation, std::uint64_t seed) {
  const TemporaryFolder folder;
  return read_modular_arithmetic(
      *Store(folder.path())
           .open(modular_arithmetic_definition, modular_arithmetic(modulus, hidden, operation, seed))
           .reader);
}

}  // namespace

TEST_CASE("every pair occurs once, in an order of the seed, with its sum or product", "[cpu]") {
  for (const std::string operation : {"add", "multiply"}) {
    const GrokkingTask task = modular(7, 5, operation, 3);
    REQUIRE(task.rows() == 49);
    CHECK(task.inputs == 14);
    CHECK(task.classes == 7);
    std::set<std::pair<int, int>> seen;
    for (std::size_t i = 0; i < 49; ++i) {
      const int x = task.pairs[2 * i], y = task.pairs[2 * i + 1];
      seen.insert({x, y});
      CHECK(task.labels[i] == (operation == "add" ? x + y : x * y) % 7);
    }
    CHECK(seen.size() == 49);
  }
  CHECK(modular(7, 5, "add", 3).pairs != modular(7, 5, "add", 4).pairs);
  CHECK(modular(7, 5, "add", 3).pairs == modular(7, 9, "multiply", 3).pairs);
}

TEST_CASE("initial weights are uniform within 1 / sqrt(inputs)", "[cpu]") {
  const GrokkingTask task = modular(31, 64, "add", 1);
  const auto check = [](const std::vector<float>& weights, double inputs) {
    const double bound = 1 / std::sqrt(inputs);
    double square = 0, largest = 0;
    for (const float w : weights) {
      square += static_cast<double>(w) * static_cast<double>(w);
      largest = std::max(largest, std::abs(static_cast<double>(w)));
    }
    const auto count = static_cast<double>(weights.size());
    CHECK(largest <= bound * (1 + 1e-7));
    CHECK(largest > 0.98 * bound);
    // u^2 of u uniform in (-b, b): mean b^2 / 3, variance 4 b^4 / 45.
    CHECK(std::abs(square / count * 3 / (bound * bound) - 1) < 5 * std::sqrt(0.8 / count));
  };
  CHECK(task.first.size() == 62 * 64);
  check(task.first, 62);
  check(task.second, 64);
  CHECK(task.third.size() == 31 * 64);
  check(task.third, 64);
}

TEST_CASE("a modulus that isn't a prime below 128 and an unknown operation are refused", "[cpu]") {
  CHECK_THROWS_WITH(modular(33, 4, "add", 1), ContainsSubstring("modulus 33"));
  CHECK_THROWS_WITH(modular(131, 4, "add", 1), ContainsSubstring("at most 128"));
  CHECK_THROWS_WITH(modular(7, 4, "divide", 1), ContainsSubstring("operation \"divide\""));
}

TEST_CASE("sparse parity: balanced labels that are the parity of three bits, and of no other", "[cpu]") {
  const TemporaryFolder folder;
  const GrokkingTask task = read_sparse_parity(
      *Store(folder.path()).open(sparse_parity_definition, sparse_parity(2000, 43, 8, 2)).reader);
  REQUIRE(task.rows() == 2000);
  CHECK(task.inputs == 43);
  CHECK(task.classes == 2);
  std::size_t ones = 0, wrong = 0;
  std::vector<std::size_t> agree(43, 0);
  for (std::size_t row = 0; row < 2000; ++row) {
    const std::uint8_t* const bits = task.bits.data() + row * 43;
    wrong += (bits[0] ^ bits[1] ^ bits[2]) != task.labels[row] ? 1 : 0;
    ones += task.labels[row];
    for (std::size_t bit = 0; bit < 43; ++bit) agree[bit] += bits[bit] == task.labels[row] ? 1 : 0;
  }
  CHECK(wrong == 0);
  CHECK(std::abs(static_cast<double>(ones) - 1000) < 5 * std::sqrt(500.0));
  for (const std::size_t count : agree)  // no single bit tells the label
    CHECK(std::abs(static_cast<double>(count) - 1000) < 5 * std::sqrt(500.0));
}
