// SPDX-License-Identifier: Apache-2.0
//
// One graph per file, as CSR: the adjacency that graph networks aggregate over. For TC-GNN's three types of
// graph and others.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "datasets/dataset.h"
#include "datasets/graphs/csr.h"

namespace remeasure::datasets {

/// "graph": parameters kind, nodes, edges (nonzeros of the symmetric matrix; an odd number is rounded down),
/// ids, and those of the kind's law (generators.h), which are 0 where the kind has no use for them:
///   community   degree-corrected block model: `community` nodes each, `inside` of the edges, degrees with
///   `exponent`; `ids`
///               natural = communities have consecutive ids
///   components  disjoint random connected graphs of `least` to `most` nodes, consecutive ids in each
///   rmat        R-MAT (.57, .19, .19, .05)
///   uniform     every pair equally likely
/// ids: natural, or shuffled (names the nodes by a random permutation).
extern const Definition graph_definition;

struct GraphChoice {
  std::string kind = "community";
  std::int64_t nodes = 1000, edges = 4000;
  std::string ids = "natural";
  std::int64_t community = 0, least = 0, most = 0;
  double inside = 0, exponent = 0;
};
Parameters graph(const GraphChoice& choice, std::uint64_t seed);

/// A citation network: communities of 64 nodes with 80 % of the edges, degrees with exponent 2.9, ids that
/// say nothing.
GraphChoice citation_graph(std::int64_t nodes, std::int64_t edges);
/// A batch of small graphs, least to most nodes each, one after another.
GraphChoice batched_graph(std::int64_t nodes, std::int64_t edges, std::int64_t least, std::int64_t most);
/// A social network: R-MAT.
GraphChoice social_graph(std::int64_t nodes, std::int64_t edges);
/// Products bought together: as citations, but half of the edges inside, and ids that follow the communities
/// (a crawl's order).
GraphChoice copurchase_graph(std::int64_t nodes, std::int64_t edges);

/// Checked.
Csr read_graph(Reader& reader);

/// Node features, independent N(0, 1), [nodes, dim] row-major: any of them from its index and the seed alone,
/// so no file holds them.
std::vector<float> node_features(std::int64_t nodes, std::int64_t dim, std::uint64_t seed);

}  // namespace remeasure::datasets
