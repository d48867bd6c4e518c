// SPDX-License-Identifier: Apache-2.0
//
// What tc-gnn reports beside times: tiles before and after translation, what an order of the nodes does to
// them, bytes, and when the translation is paid.
#pragma once

#include <cmath>

#include "experiments/graphs/tc_gnn_graphs.h"
#include "experiments/vocabulary.h"

namespace remeasure::experiments::tc_gnn_graphs {

/// Products that pay a translation, and the ratio with and without it.
inline void report_translation(Trial& t) {
  struct Place {
    const char *name, *translate, *product, *base;
  };
  reports::Table table{.name = "translation",
                       .title = "What the translation costs, and after how many products it is paid",
                       .columns = {"on", "translation", "product", "without translation", "ratio",
                                   "ratio with a translation each", "ratio over 400", "paid after"},
                       .rows = {}};
  for (const Place& place :
       {Place{"GPU", "translate", "kernel", "vendor"}, Place{"CPU", "translate/host", "method", "eigen"}}) {
    const Measured translate = t.time(place.translate), product = t.time(place.product),
                   base = t.time(place.base);
    if (!translate.value || !product.value || !base.value) {
      table.rows.push_back({place.name, "not measured", "", "", "", "", "", ""});
      continue;
    }
    const double once = translate.value->median, each = product.value->median, other = base.value->median;
    const auto ratio = [&](double products) {
      return fmt::format("{:.2f}", products * other / (once + products * each));
    };
    table.rows.push_back(
        {place.name, fmt::format("{:.3f} ms", 1e3 * once), fmt::format("{:.3f} ms", 1e3 * each),
         fmt::format("{:.3f} ms", 1e3 * other), fmt::format("{:.2f}", other / each), ratio(1),
         ratio(400),  // 200 epochs of two layers
         other > each ? fmt::format("{:.0f} products", std::ceil(once / (other - each))) : "never"});
  }
  t.table(table);
}

inline void report_memory(Trial& t, const Translated& g) {
  const FormBytes bytes = form_bytes(g);
  t.table({.name = "bytes",
           .title = "Bytes of the adjacency",
           .columns = {"form", "bytes", "over CSR"},
           .rows = {{"CSR", fmt::format("{:.0f}", bytes.csr), "1.00"},
                    {"the authors' (beside the CSR)", fmt::format("{:.0f}", bytes.authors),
                     fmt::format("{:.2f}", bytes.authors / bytes.csr)},
                    {"sorted by tile", fmt::format("{:.0f}", bytes.plain),
                     fmt::format("{:.2f}", bytes.plain / bytes.csr)},
                    {"sorted by tile, with weights' places", fmt::format("{:.0f}", bytes.weighted),
                     fmt::format("{:.2f}", bytes.weighted / bytes.csr)}}});
}

/// Edges that the public kernel looks at: all of a window for each of its tiles.
inline double searched_edges(const Translated& g) {
  double reads = 0;
  for (std::size_t w = 0; w + 1 < g.windows.tile_pointers.size(); ++w) {
    const std::int32_t begin = g.windows.tile_pointers[w], end = g.windows.tile_pointers[w + 1];
    const auto edges = g.windows.edge_pointers[static_cast<std::size_t>(end)] -
                       g.windows.edge_pointers[static_cast<std::size_t>(begin)];
    reads += static_cast<double>(edges) * (end - begin);
  }
  return reads;
}

/// Tiles before and after, against what the authors counted.
inline void count_graph(Trial& t, const Graph& graph) {
  const auto g = load(t, graph);
  const double removed = 100 * g->counts.reduction();
  t.table({.name = "structure",
           .title = "Tiles of 16 x 8 before and after translation",
           .columns = structure_columns(),
           .rows = {structure_row(graph, g->csr, g->counts)}});
  report_memory(t, *g);
  const auto metric = [&](const char* name, double value, const char* unit) {
    t.metric({.name = name, .value = value, .unit = unit, .exact = true});
  };
  metric("tiles before", static_cast<double>(g->counts.naive), "tiles");
  metric("tiles after", static_cast<double>(g->counts.translated), "tiles");
  metric("removed", removed, "%");
  t.check("tiles lie within their bounds", bounds_hold(g->counts),
          fmt::format("{} gathered rows: {} tiles before, {} after; at most 87.5 % can go", g->counts.shared,
                      g->counts.naive, g->counts.translated));
  t.check("translated back it is the graph", round_trip(g->csr, g->windows),
          fmt::format("{} edges", g->csr.edges()));
  if (g->synthetic) {
    const Interval range = expected_reduction(graph.type);
    t.check("a generated graph of its type", removed >= range.low && removed <= range.high,
            fmt::format("{:.2f} % removed, expected {} to {} %", removed, range.low, range.high));
  }
  if (!graph.claim.empty()) t.claim(graph.claim, reports::Estimate{removed, removed, removed});
  if (graph.reported > 0) t.claim("tile-cut-mean", reports::Estimate{removed, removed, removed});
}

/// The same small graphs in a worse and worse order: translation removes a larger share of more and more
/// tiles.
inline void measure_order(Trial& t, const Graph& graph) {
  const datasets::Opened opened = t.open(datasets::graph_definition, datasets::graph(graph.choice, t.seed()));
  const Csr csr = read_graph(*opened.reader);
  reports::Table table{.name = "order",
                       .title = "Ids of a share of the nodes shuffled",
                       .columns = {"shuffled", "tiles before", "after", "removed", "fill", "reuse"},
                       .rows = {}};
  reports::Curve removed{.label = "removed, %"}, tiles{.label = "tiles after, % of the worst"};
  std::vector<TileCounts> counts;
  const std::vector<double> shares = {0, 0.1, 0.25, 0.5, 0.75, 1};
  for (const double share : shares) {
    const Csr shuffled = partly_shuffled(csr, share, t.seed());
    counts.push_back(count_tiles(host(shuffled)));
    const TileCounts& now = counts.back();
    const auto edges = static_cast<double>(csr.edges());
    table.rows.push_back(
        {fmt::format("{} %", 100 * share), fmt::format("{}", now.naive), fmt::format("{}", now.translated),
         fmt::format("{:.2f} %", 100 * now.reduction()),
         fmt::format("{:.1f} %", 100 * edges / (128.0 * static_cast<double>(now.translated))),
         fmt::format("{:.2f}", edges / static_cast<double>(now.shared))});
  }
  for (std::size_t i = 0; i < shares.size(); ++i) {
    removed.x.push_back(100 * shares[i]);
    tiles.x.push_back(100 * shares[i]);
    removed.y.push_back(100 * counts[i].reduction());
    tiles.y.push_back(100 * static_cast<double>(counts[i].translated) /
                      static_cast<double>(counts.back().translated));
  }
  t.table(table);
  t.plot({.name = "order",
          .title = "A high reduction can mean a bad order",
          .x_label = "shuffled ids, %",
          .y_label = "%",
          .curves = {removed, tiles}});
  t.check("a shuffled batch of small graphs loses more tiles, and keeps more",
          counts.back().reduction() > 0.8 && counts.back().translated > counts.front().translated,
          fmt::format("{:.1f} % of {} tiles, {} left; in order {:.1f} % of {}, {} left",
                      100 * counts.back().reduction(), counts.back().naive, counts.back().translated,
                      100 * counts.front().reduction(), counts.front().naive, counts.front().translated));
}

}  // namespace remeasure::experiments::tc_gnn_graphs
