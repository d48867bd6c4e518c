// SPDX-License-Identifier: Apache-2.0
//
// Random graphs. A law is a function from the number of a draw to an edge (counter-based: no state, any
// order); what is made of the draws is a second, separate choice: `graph_of_draws` keeps as many as differ
// among a number of draws, `undirected_graph` draws until it has a number of edges. Two million edges take
// about a second.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "datasets/graphs/csr.h"

namespace remeasure::datasets {

using DrawEdge = std::function<Edge(std::uint64_t draw)>;

/// Each cell of a rows x columns matrix equally likely.
DrawEdge uniform_edges(std::int64_t rows, std::int64_t columns, std::uint64_t seed);

/// R-MAT (Chakrabarti, Zhan, Faloutsos, SDM 2004): the matrix is halved both ways until one cell is left; a,
/// b, c and 1 - a - b - c are the probabilities of its quadrants (upper left, upper right, lower left, lower
/// right), to 2^-32. `nodes` need not be a power of two: cells beyond are drawn again.
struct RmatLaw {
  double a = 0.57, b = 0.19, c = 0.19;
};
DrawEdge rmat_edges(std::int64_t nodes, const RmatLaw& law, std::uint64_t seed);

/// Degree-corrected stochastic block model (Karrer, Newman, Phys. Rev. E 83, 2011): an edge's first end is
/// node i with probability ~ weight_i; its other end is drawn likewise, with probability `inside` from i's
/// community, else from all. Weights are the quantiles of a power law in random order: P(weight > w) =
/// w^-(exponent - 1), w >= 1. Mean degree and `exponent` so determine the degrees. exponent = 0: equal
/// weights.
struct CommunityLaw {
  std::int64_t community = 64;  ///< nodes of one community; the last one may be smaller
  double inside = 0.8;
  double exponent = 2.9;
  bool consecutive = false;  ///< a community has consecutive ids (crawled or sorted by subject), or any
};
DrawEdge community_edges(std::int64_t nodes, const CommunityLaw& law, std::uint64_t seed);

/// The distinct edges among draws 0 .. draws - 1, as they are.
Csr graph_of_draws(std::int64_t rows, std::int64_t columns, const DrawEdge& draw, std::uint64_t draws);

/// A symmetric graph without loops that has exactly `edges` nonzeros (an even number; an odd one is rounded
/// down): `base` and the first drawn pairs that are new. Throws DatasetError where the law doesn't give that
/// many.
Csr undirected_graph(std::int64_t nodes, const DrawEdge& draw, std::int64_t edges,
                     std::span<const Edge> base = {});

/// Disjoint union of random connected graphs, as batches of molecules or proteins are: sizes uniform from
/// `least` to `most` (what is left over goes to the last ones), consecutive ids in each; node i of a
/// component hangs on a uniform earlier one, the other edges are uniform pairs within components. `edges` as
/// in undirected_graph.
struct ComponentLaw {
  std::int64_t least = 15, most = 60;
};
Csr component_graph(std::int64_t nodes, std::int64_t edges, const ComponentLaw& law, std::uint64_t seed);

/// A uniform permutation of 0 .. n - 1 (Fisher-Yates).
std::vector<std::int32_t> random_permutation(std::int64_t n, std::uint64_t seed, std::uint64_t stream);

}  // namespace remeasure::datasets
