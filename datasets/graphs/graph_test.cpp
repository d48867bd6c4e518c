// SPDX-License-Identifier: Apache-2.0
#include "datasets/graphs/graph.h"

#include <testing/catch.h>
#include <algorithm>
#include <cmath>
#include <numeric>

#include "datasets/graphs/generators.h"
#include "datasets/test_support.h"

using namespace remeasure::datasets;
using namespace remeasure::datasets::testing;
using Catch::Matchers::ContainsSubstring;

namespace {

void check_undirected(const Csr& graph, std::int64_t edges) {
  check_csr(graph, "generated");
  CHECK(graph.edges() == edges / 2 * 2);
  const Csr turned = transposed(graph);
  CHECK(turned.row_pointers == graph.row_pointers);
  CHECK(turned.column_indices == graph.column_indices);
  std::int64_t loops = 0;
  for (std::int64_t row = 0; row < graph.rows; ++row)
    loops += std::ranges::count(graph.row(row), static_cast<std::int32_t>(row));
  CHECK(loops == 0);
}

/// The component of each node.
std::vector<std::int32_t> components(const Csr& graph) {
  std::vector<std::int32_t> of(static_cast<std::size_t>(graph.rows), -1), stack;
  std::int32_t next = 0;
  for (std::int32_t start = 0; start < graph.rows; ++start) {
    if (of[static_cast<std::size_t>(start)] >= 0) continue;
    stack = {start};
    of[static_cast<std::size_t>(start)] = next;
    while (!stack.empty()) {
      const std::int32_t node = stack.back();
      stack.pop_back();
      for (const std::int32_t other : graph.row(node)) {
        if (of[static_cast<std::size_t>(other)] >= 0) continue;
        of[static_cast<std::size_t>(other)] = next;
        stack.push_back(other);
      }
    }
    ++next;
  }
  return of;
}

/// Fraction of the edges within communities of consecutive ids.
double inside(const Csr& graph, std::int64_t community) {
  std::int64_t count = 0;
  for (std::int64_t row = 0; row < graph.rows; ++row) {
    for (const std::int32_t column : graph.row(row)) count += row / community == column / community;
  }
  return static_cast<double>(count) / static_cast<double>(graph.edges());
}

Csr open(Store& store, const GraphChoice& choice, std::uint64_t seed = 1) {
  return read_graph(*store.open(graph_definition, graph(choice, seed)).reader);
}

}  // namespace

TEST_CASE("graphs of each kind are symmetric, without loops, and have the edges that are asked for",
          "[cpu]") {
  const TemporaryFolder folder;
  Store store(folder.path());
  for (const GraphChoice& choice :
       {citation_graph(2708, 10'858), batched_graph(4000, 14'800, 15, 60), social_graph(3000, 30'001),
        copurchase_graph(4096, 49'152), GraphChoice{.kind = "uniform", .nodes = 500, .edges = 3000}}) {
    INFO(choice.kind);
    check_undirected(open(store, choice), choice.edges);
    CHECK(open(store, choice, 1).column_indices != open(store, choice, 2).column_indices);
  }
}

TEST_CASE("degrees of the block model follow their power law", "[cpu]") {
  const std::int64_t nodes = 20'000;
  const CommunityLaw law{.community = 64, .inside = 0.8, .exponent = 2.9};
  const Csr graph = undirected_graph(nodes, community_edges(nodes, law, 5), 4 * nodes);
  const DegreeStatistics degrees = degree_statistics(graph);
  CHECK(degrees.largest > 60);  // a Poisson graph of mean 4 reaches about 16
  CHECK(degrees.largest < 800);
  // Of weights with P(> w) = w^-1.9, those above ten times the least are 1.3 % of the nodes; the mean
  // is 1.9/0.9 of the least.
  std::int64_t above = 0;
  for (std::int64_t row = 0; row < nodes; ++row)
    above += static_cast<double>(graph.row(row).size()) > 4 * 10 * 0.9 / 1.9;
  CHECK(static_cast<double>(above) / static_cast<double>(nodes) == Approx(0.0126).margin(0.004));
  const Csr even = undirected_graph(
      nodes, community_edges(nodes, {.community = 64, .inside = 0.8, .exponent = 0}, 5), 4 * nodes);
  CHECK(degree_statistics(even).deviation == Approx(2).margin(0.1));
}

TEST_CASE("communities hold their share of the edges, and consecutive ids only where they are to", "[cpu]") {
  const auto of = [](bool consecutive) {
    const CommunityLaw law{.community = 50, .inside = 0.5, .exponent = 0, .consecutive = consecutive};
    return undirected_graph(5000, community_edges(5000, law, 3), 40'000);
  };
  CHECK(inside(of(true), 50) == Approx(0.5).margin(0.05));
  CHECK(inside(of(false), 50) < 0.03);
}

TEST_CASE("components are connected, of their sizes, with consecutive ids", "[cpu]") {
  const Csr graph = component_graph(4003, 14'800, {15, 60}, 2);
  check_undirected(graph, 14'800);
  const std::vector<std::int32_t> of = components(graph);
  CHECK(std::is_sorted(of.begin(), of.end()));
  std::vector<int> size(static_cast<std::size_t>(of.back()) + 1);
  for (const std::int32_t c : of) ++size[static_cast<std::size_t>(c)];
  CHECK(*std::min_element(size.begin(), size.end()) >= 15);
  CHECK(*std::max_element(size.begin(), size.end()) <= 60);
  CHECK_THROWS_WITH(component_graph(4000, 6000, {15, 60}, 2), ContainsSubstring("pairs are given"));
}

TEST_CASE("R-MAT's quadrants have their probabilities, on any number of nodes", "[cpu]") {
  const DrawEdge draw = rmat_edges(1024, {}, 4);
  std::array<int, 4> count{};
  for (std::uint64_t i = 0; i < 20'000; ++i) {
    const Edge edge = draw(i);
    ++count[static_cast<std::size_t>(2 * (edge.row >= 512) + (edge.column >= 512))];
  }
  CHECK(count[0] == Approx(0.57 * 20'000).epsilon(0.03));
  CHECK(count[1] == Approx(0.19 * 20'000).epsilon(0.06));
  CHECK(count[2] == Approx(0.19 * 20'000).epsilon(0.06));
  CHECK(count[3] == Approx(0.05 * 20'000).epsilon(0.12));
  const DrawEdge odd = rmat_edges(1000, {}, 4);
  std::int32_t largest = 0;
  for (std::uint64_t i = 0; i < 20'000; ++i) largest = std::max({largest, odd(i).row, odd(i).column});
  CHECK(largest >= 900);
  CHECK(largest < 1000);
  CHECK_THROWS_WITH(rmat_edges(1000, {.a = 0.05}, 1), ContainsSubstring("a >= 1/8"));
}

TEST_CASE("draws are kept as they are, merged where they are equal", "[cpu]") {
  const Csr graph = graph_of_draws(8, 5, uniform_edges(8, 5, 1), 60);
  check_csr(graph, "draws");
  CHECK(graph.rows == 8);
  CHECK(graph.columns == 5);
  CHECK(graph.edges() < 40);  // 60 draws of 40 cells leave 40 (1 - e^-1.5) = 31
  CHECK(graph.edges() > 22);
}

TEST_CASE("a law too narrow for so many edges ends with an error", "[cpu]") {
  const DrawEdge one = [](std::uint64_t) { return Edge{0, 1}; };
  CHECK_THROWS_WITH(undirected_graph(100, one, 10), ContainsSubstring("too narrow"));
  CHECK_THROWS_WITH(undirected_graph(3, one, 8), ContainsSubstring("8 edges between 3 nodes"));
  CHECK_THROWS_WITH(undirected_graph(1, one, 0), ContainsSubstring("1 nodes"));
}

TEST_CASE("permutations are permutations, and node features normal", "[cpu]") {
  std::vector<std::int32_t> order = random_permutation(1000, 1, 2);
  CHECK(order != random_permutation(1000, 2, 2));
  CHECK_FALSE(std::is_sorted(order.begin(), order.end()));
  std::sort(order.begin(), order.end());
  std::vector<std::int32_t> all(1000);
  std::iota(all.begin(), all.end(), 0);
  CHECK(order == all);
  const std::vector<float> x = node_features(200, 50, 1);
  CHECK(std::accumulate(x.begin(), x.end(), 0.0) / 1e4 == Approx(0).margin(0.05));
  CHECK(std::inner_product(x.begin(), x.end(), x.begin(), 0.0) / 1e4 == Approx(1).margin(0.05));
}

TEST_CASE("graphs: parameters that name no graph are refused", "[cpu]") {
  const TemporaryFolder folder;
  Store store(folder.path());
  CHECK_THROWS_WITH(open(store, {.kind = "ring"}), ContainsSubstring("kind \"ring\""));
  CHECK_THROWS_WITH(open(store, {.kind = "uniform", .ids = "sorted"}), ContainsSubstring("ids \"sorted\""));
  CHECK_THROWS_WITH(open(store, {.kind = "community", .community = 1}),
                    ContainsSubstring("communities of 1 nodes"));
}
