// SPDX-License-Identifier: Apache-2.0
#include <testing/catch.h>
#include <cmath>
#include <numeric>
#include <set>

#include "datasets/sequences/recurrent_input.h"
#include "datasets/sequences/recurrent_weights.h"
#include "datasets/sequences/state_tracking.h"
#include "datasets/test_support.h"

using namespace remeasure::datasets;
using namespace remeasure::datasets::testing;
using Catch::Matchers::ContainsSubstring;

TEST_CASE("recurrent inputs are N(0, 1), and a gate's are shifted inside their head", "[cpu]") {
  const TemporaryFolder folder;
  Store store(folder.path());
  const auto x =
      read_recurrent_input(*store.open(recurrent_input_definition, recurrent_input(4, 50, 64, 3)).reader);
  REQUIRE(x.size() == 4 * 50 * 64);
  const double square =
      std::inner_product(x.begin(), x.end(), x.begin(), 0.0) / static_cast<double>(x.size());
  CHECK(std::abs(square - 1) < 0.05);
  const auto wx = gate_inputs(x, 4, 2, 32);
  REQUIRE(wx.size() == 4 * x.size());
  for (const std::size_t row : {0u, 199u}) {
    for (std::size_t gate = 0; gate < 4; ++gate) {
      for (std::size_t unit = 0; unit < 32; ++unit) {
        REQUIRE(wx[(row * 4 + gate) * 64 + 32 + unit] == x[row * 64 + 32 + (unit + 5 * gate) % 32]);
      }
    }
  }
  CHECK(x !=
        read_recurrent_input(*store.open(recurrent_input_definition, recurrent_input(4, 50, 64, 4)).reader));
}

TEST_CASE("recurrent inputs are imported from a .npy of their shape, others are refused", "[cpu]") {
  const TemporaryFolder folder;
  Store store(folder.path() / "data");
  const std::vector<float> values{1, 2, 3, 4, 5, 6};
  write_npy(folder.path() / "x.npy", {1, 3, 2}, values);
  store.import(recurrent_input_definition, folder.path() / "x.npy", recurrent_input(1, 3, 2, 1));
  const Opened opened = store.open(recurrent_input_definition, recurrent_input(1, 3, 2, 1));
  CHECK_FALSE(opened.provenance.synthetic);
  CHECK(read_recurrent_input(*opened.reader) == values);
  CHECK_THROWS_WITH(
      store.import(recurrent_input_definition, folder.path() / "x.npy", recurrent_input(1, 2, 3, 1)),
      ContainsSubstring("expected [1, 2, 3]"));
}

TEST_CASE("recurrent weights keep the variance of h, first states are zero or in the middle", "[cpu]") {
  const TemporaryFolder folder;
  Store store(folder.path());
  const auto data = read_recurrent_weights(
      *store.open(recurrent_weights_definition, recurrent_weights({4, 4, 4, 3, 2, 48}, 1)).reader);
  REQUIRE(data.weights.size() == 4 * 2 * 48 * 48);
  REQUIRE(data.bias.size() == 4 * 2 * 48);
  const double square =
      std::inner_product(data.weights.begin(), data.weights.end(), data.weights.begin(), 0.0) / (4 * 2 * 48);
  CHECK(std::abs(square - 1) < 0.1);  // of a row
  const std::size_t slot = 3 * 96;
  for (std::size_t i = 0; i < data.first.size(); ++i) {
    const bool odd = i / 96 % 3 == 1;
    if (!odd) REQUIRE(data.first[i] == 0);
    if (odd && i / slot == 2) REQUIRE(data.first[i] >= 1);
  }
  CHECK_THROWS_WITH(store.open(recurrent_weights_definition, recurrent_weights({9, 4, 2, 1, 1, 16}, 1)),
                    ContainsSubstring("gates, biases <= 8"));
}

TEST_CASE("states are the products of their tokens; groups are groups", "[cpu]") {
  const TemporaryFolder folder;
  Store store(folder.path());
  for (const auto& [group, states] :
       {std::pair<std::string, std::size_t>{"parity", 2}, {"s3", 6}, {"s5", 120}}) {
    INFO(group);
    const auto data =
        read_state_tracking(*store.open(state_tracking_definition, state_tracking(group, 3, 2000, 1)).reader);
    REQUIRE(data.states == states);
    for (std::size_t token = 0; token < data.alphabet; ++token) {  // a permutation of the elements
      std::set<int> reached;
      for (std::size_t s = 0; s < states; ++s) reached.insert(data.transition[s * data.alphabet + token]);
      CHECK(reached.size() == states);
    }
    std::set<int> visited;
    for (std::size_t i = 0; i < data.state.size(); ++i) {
      const std::size_t before = i % 2000 == 0 ? 0 : data.state[i - 1];
      REQUIRE(data.state[i] == data.transition[before * data.alphabet + data.tokens[i]]);
      visited.insert(data.state[i]);
    }
    CHECK(visited.size() == states);
  }
  const auto s3 =
      read_state_tracking(*store.open(state_tracking_definition, state_tracking("s3", 1, 4, 1)).reader);
  const auto after = [&](std::initializer_list<int> word) {
    std::size_t state = 0;
    for (const int token : word) state = s3.transition[state * 2 + static_cast<std::size_t>(token)];
    return state;
  };
  CHECK(after({0, 0}) == 0);
  CHECK(after({1, 1, 1}) == 0);
  CHECK(after({0, 1}) != after({1, 0}));
  CHECK(after({0, 1, 0, 1}) == 0);  // s r s = r^-1
  CHECK_THROWS_WITH(store.open(state_tracking_definition, state_tracking("a4", 1, 4, 1)),
                    ContainsSubstring("parity, s3 or s5"));
}
