// SPDX-License-Identifier: Apache-2.0
//
// The graphs of tc-gnn and what translation does to them.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "datasets/graphs/generators.h"
#include "datasets/graphs/graph.h"
#include "experiments/vocabulary.h"
#include "kernels/graphs/graph_reference.h"
#include "kernels/graphs/tc_spmm.h"

namespace remeasure::experiments::tc_gnn_graphs {

using datasets::Csr;
using datasets::GraphChoice;
using kernels::HostCsr;
using kernels::RowWindows;
using kernels::TileCounts;

/// The paper's types: I citation-like, II batches of small graphs, III irregular ones.
enum class Type { one = 1, two, three };

struct Graph {
  std::string name;
  Type type = Type::one;
  GraphChoice choice = {};
  std::string claim = {};                  ///< tile-cut-*, if the card has one
  double reported = 0;                     ///< per cent of the tiles that translation removes
  std::int64_t naive = 0, translated = 0;  ///< in the authors' log
};

/// Sizes as recalled from the paper's table 4, tiles from logs/16x8_reduction.csv of the authors' repository.
inline std::vector<Graph> paper_graphs() {
  GraphChoice ppi = datasets::citation_graph(56'944, 818'716);  // 24 graphs one after another
  ppi.ids = "natural";
  ppi.community = 2373;
  ppi.inside = 1;
  return {
      {"cora", Type::one, datasets::citation_graph(2708, 10'858), "tile-cut-cora", 83.04, 7477, 1268},
      {"pubmed", Type::one, datasets::citation_graph(19'717, 88'676), "tile-cut-pubmed", 86.36, 84'094,
       11'474},
      {"ppi", Type::one, ppi, "tile-cut-ppi", 72.43, 293'819, 81'006},
      {"proteins", Type::two, datasets::batched_graph(43'471, 162'088, 15, 60), "tile-cut-proteins", 32.44,
       19'045, 12'867},
      {"dd", Type::two, datasets::batched_graph(334'925, 1'686'092, 200, 360), "tile-cut-dd", 63.16, 352'902,
       130'006},
      {"yeast", Type::two, datasets::batched_graph(1'714'644, 3'636'546, 15, 28), "tile-cut-yeast", 23.81,
       446'335, 340'051},
      {"artist", Type::three, datasets::social_graph(50'515, 1'638'396), "tile-cut-artist", 86.35, 1'476'687,
       201'600},
      {"blogcatalog", Type::three, datasets::social_graph(88'784, 2'093'195), "", 77.49, 904'955, 203'670},
      {"amazon0505", Type::three, datasets::copurchase_graph(410'236, 4'878'875), "tile-cut-amazon", 81.56,
       2'469'469, 455'410}};
}

inline std::vector<Graph> smoke_graphs() {
  return {{"I", Type::one, datasets::citation_graph(2708, 10'858)},
          {"II", Type::two, datasets::batched_graph(4000, 14'800, 15, 60)},
          {"III", Type::three, datasets::social_graph(4096, 32'768)}};
}

inline HostCsr host(const Csr& csr) {
  return {csr.rows, csr.columns, csr.row_pointers, csr.column_indices, csr.values};
}

/// Windows with fewer edges per tile go to CUDA cores in the ablation. A full tile has eight at least, one
/// per column.
inline constexpr float kLeastEdgesPerTile = 12;

/// A graph and its translation.
struct Translated {
  Csr csr;
  RowWindows windows;
  TileCounts counts;
  kernels::WindowParts parts, hybrid_parts;
  bool synthetic = true;

  HostCsr host_csr() const { return host(csr); }
};

inline std::shared_ptr<const Translated> load(Trial& t, const Graph& graph) {
  const datasets::Opened opened = t.open(datasets::graph_definition, datasets::graph(graph.choice, t.seed()));
  auto result = std::make_shared<Translated>();
  result->csr = read_graph(*opened.reader);
  result->windows = kernels::translate_rows(result->host_csr());
  result->parts = kernels::split_windows(result->windows);
  result->hybrid_parts = kernels::split_windows(result->windows, kernels::kPartTiles, kLeastEdgesPerTile);
  result->counts = kernels::count_tiles(result->host_csr());
  result->synthetic = opened.provenance.synthetic;
  return result;
}

/// The least and the most that translation removes from generated graphs of a type, in per cent: pilots, and
/// what is reported of the real ones. Nothing reaches 1 - 1/8.
inline Interval expected_reduction(Type type) {
  if (type == Type::one) return {75, 87.5};
  if (type == Type::two) return {15, 65};
  return {65, 87.5};
}

inline constexpr double kMostReduction = 1 - 1.0 / kernels::kTileColumns;

/// Naive tiles hold a column of U each at least, translated ones eight at most.
inline bool bounds_hold(const TileCounts& counts) {
  return counts.reduction() <= kMostReduction && counts.naive <= counts.shared &&
         counts.translated * kernels::kTileColumns >= counts.shared;
}

/// No edge is lost or doubled.
inline bool round_trip(const Csr& csr, const RowWindows& windows) {
  try {
    const kernels::Untranslated back = untranslate(windows);
    return back.row_pointers == csr.row_pointers && back.column_indices == csr.column_indices;
  } catch (const std::invalid_argument&) {
    return false;
  }
}

/// Bytes of adjacency: CSR; the authors' form beside it (two numbers per edge); ours (a byte per edge; with
/// weights its place too).
struct FormBytes {
  double csr, authors, plain, weighted;
};

inline FormBytes form_bytes(const Translated& g) {
  const auto n = static_cast<double>(g.csr.rows), e = static_cast<double>(g.csr.edges()),
             tiles = static_cast<double>(g.windows.tiles());
  const double plain = e + 36 * tiles + 16 * static_cast<double>(g.parts.count());
  return {4 * e + 4 * n, 8 * e + 32 * tiles + n / 4, plain, plain + 4 * e};
}

/// Ids of a share of the nodes change places among themselves.
inline Csr partly_shuffled(const Csr& csr, double share, std::uint64_t seed) {
  const auto all = static_cast<std::size_t>(csr.rows),
             some = static_cast<std::size_t>(share * static_cast<double>(csr.rows));
  const std::vector<std::int32_t> chosen = datasets::random_permutation(csr.rows, seed, 1),
                                  order = datasets::random_permutation(csr.rows, seed, 2);
  std::vector<std::int32_t> names(all);
  for (std::size_t i = 0; i < all; ++i) names[i] = static_cast<std::int32_t>(i);
  // The chosen ones, in another order, get one another's ids.
  std::vector<std::int32_t> to;
  for (const std::int32_t place : order) {
    if (static_cast<std::size_t>(place) < some) to.push_back(chosen[static_cast<std::size_t>(place)]);
  }
  for (std::size_t i = 0; i < some; ++i) names[static_cast<std::size_t>(chosen[i])] = to[i];
  return renamed(csr, names);
}

inline std::vector<std::string> structure_columns() {
  return {"graph",   "nodes",    "edges", "largest degree", "tiles before",  "after",
          "removed", "reported", "fill",  "reuse",          "gathered rows", "largest window"};
}

/// What the structure did: a row of the table.
inline std::vector<std::string> structure_row(const Graph& graph, const Csr& csr, const TileCounts& counts) {
  const auto edges = static_cast<double>(csr.edges());
  return {graph.name,
          fmt::format("{}", csr.rows),
          fmt::format("{}", csr.edges()),
          fmt::format("{}", degree_statistics(csr).largest),
          fmt::format("{}", counts.naive),
          fmt::format("{}", counts.translated),
          fmt::format("{:.2f} %", 100 * counts.reduction()),
          graph.naive > 0 ? fmt::format("{:.2f} % ({} -> {})", graph.reported, graph.naive, graph.translated)
                          : "",
          fmt::format("{:.1f} %", 100 * edges / (128.0 * static_cast<double>(counts.translated))),
          fmt::format("{:.2f}", edges / static_cast<double>(counts.shared)),
          fmt::format("{}", counts.shared),
          fmt::format("{} tiles", counts.largest)};
}

}  // namespace remeasure::experiments::tc_gnn_graphs
