// SPDX-License-Identifier: Apache-2.0
#include "datasets/graphs/graph.h"

#include <fmt/format.h>

#include "datasets/graphs/generators.h"
#include "datasets/graphs/graph_files.h"
#include "datasets/random.h"

namespace remeasure::datasets {
namespace {

enum Stream : std::uint64_t { name_stream = 0x6e616d65, feature_stream };

GraphChoice choice_of(const Parameters& p) {
  GraphChoice choice{.kind = p.text("kind"),
                     .nodes = p.integer("nodes"),
                     .edges = p.integer("edges"),
                     .ids = p.text("ids"),
                     .community = p.integer("community"),
                     .least = p.integer("least"),
                     .most = p.integer("most"),
                     .inside = p.real("inside"),
                     .exponent = p.real("exponent")};
  if (choice.ids != "natural" && choice.ids != "shuffled") {
    throw DatasetError(fmt::format("graph: ids \"{}\"; expected natural or shuffled", choice.ids));
  }
  return choice;
}

Csr generated(const GraphChoice& choice, std::uint64_t seed) {
  if (choice.kind == "community") {
    const CommunityLaw law{.community = choice.community,
                           .inside = choice.inside,
                           .exponent = choice.exponent,
                           .consecutive = true};
    return undirected_graph(choice.nodes, community_edges(choice.nodes, law, seed), choice.edges);
  }
  if (choice.kind == "components")
    return component_graph(choice.nodes, choice.edges, {choice.least, choice.most}, seed);
  if (choice.kind == "rmat")
    return undirected_graph(choice.nodes, rmat_edges(choice.nodes, {}, seed), choice.edges);
  if (choice.kind == "uniform")
    return undirected_graph(choice.nodes, uniform_edges(choice.nodes, choice.nodes, seed), choice.edges);
  throw DatasetError(
      fmt::format("graph: kind \"{}\"; expected community, components, rmat or uniform", choice.kind));
}

void write(const Csr& csr, Writer& out) {
  const auto nodes = static_cast<std::uint64_t>(csr.rows), edges = static_cast<std::uint64_t>(csr.edges());
  out.array("/row_pointers", std::span<const std::int32_t>(csr.row_pointers), {nodes + 1});
  out.array("/column_indices", std::span<const std::int32_t>(csr.column_indices), {edges});
  const DegreeStatistics degrees = degree_statistics(csr);
  out.attribute("edges", static_cast<double>(edges));
  out.attribute("mean_degree", degrees.mean);
  out.attribute("largest_degree", static_cast<double>(degrees.largest));
  out.attribute("nodes_without_edge", static_cast<double>(degrees.empty));
}

void generate(const Parameters& parameters, Writer& out) {
  const GraphChoice choice = choice_of(parameters);
  Csr csr = generated(choice, parameters.seed);
  if (choice.ids == "shuffled")
    csr = renamed(csr, random_permutation(csr.rows, parameters.seed, name_stream));
  write(csr, out);
}

void import_graph(const std::filesystem::path& source, const Parameters& parameters, Writer& out) {
  const GraphChoice choice = choice_of(parameters);
  Csr csr = read_graph_file(source, choice.nodes);
  if (csr.rows != choice.nodes || csr.columns != choice.nodes) {
    throw DatasetError(fmt::format("{}: {} x {} nodes; the parameter says {}", source.string(), csr.rows,
                                   csr.columns, choice.nodes));
  }
  write(csr, out);
}

}  // namespace

const Definition graph_definition = {
    .name = "graph",
    .title = "Graphs as sparse adjacency",
    .theme = "graphs",
    .stands_for =
        "graphs of TC-GNN's benchmark: citation networks (Cora: 2,708 nodes, 10,858 edges, degrees with a "
        "power law), batches of small graphs (PROTEINS_full, DD), social and co-purchase networks (artist, "
        "soc-BlogCatalog, amazon0505), by nodes, edges, law of the degrees, and whether ids follow the "
        "communities",
    .source = "https://github.com/YukeWang96/TC-GNN_ATC23",
    .arrays = {{.path = "/row_pointers",
                .type = ElementType::i32,
                .axes = {"boundary"},
                .description = "first edge of each row, and the end",
                .minimum = 0},
               {.path = "/column_indices",
                .type = ElementType::i32,
                .axes = {"edge"},
                .description = "source of the edge, ascending in a row",
                .minimum = 0}},
    .extents =
        [](const Parameters& p) {
          return Extents{{"boundary", p.extent("nodes") + 1}};
        },
    .generate = generate,
    .import = import_graph,
    .import_help =
        "a .npz of TC-GNN's artifact (src_li, dst_li, num_nodes), a MatrixMarket .mtx, or a text file of "
        "edges \"source destination\"; rows are destinations; multiple edges are merged; the parameters name "
        "the generated graph that it replaces",
    .examples = {graph(citation_graph(2708, 10'858), 1), graph(batched_graph(4000, 14'800, 15, 60), 1),
                 graph(social_graph(4096, 65'536), 1), graph(copurchase_graph(4096, 49'152), 1)},
};

Parameters graph(const GraphChoice& choice, std::uint64_t seed) {
  return {.values = {{"kind", choice.kind},
                     {"nodes", fmt::format("{}", choice.nodes)},
                     {"edges", fmt::format("{}", choice.edges)},
                     {"ids", choice.ids},
                     {"community", fmt::format("{}", choice.community)},
                     {"least", fmt::format("{}", choice.least)},
                     {"most", fmt::format("{}", choice.most)},
                     {"inside", fmt::format("{}", choice.inside)},
                     {"exponent", fmt::format("{}", choice.exponent)}},
          .seed = seed};
}

GraphChoice citation_graph(std::int64_t nodes, std::int64_t edges) {
  return {.kind = "community",
          .nodes = nodes,
          .edges = edges,
          .ids = "shuffled",
          .community = 64,
          .inside = 0.8,
          .exponent = 2.9};
}

GraphChoice batched_graph(std::int64_t nodes, std::int64_t edges, std::int64_t least, std::int64_t most) {
  return {.kind = "components", .nodes = nodes, .edges = edges, .least = least, .most = most};
}

GraphChoice social_graph(std::int64_t nodes, std::int64_t edges) {
  return {.kind = "rmat", .nodes = nodes, .edges = edges};
}

GraphChoice copurchase_graph(std::int64_t nodes, std::int64_t edges) {
  return {
      .kind = "community", .nodes = nodes, .edges = edges, .community = 64, .inside = 0.5, .exponent = 2.9};
}

Csr read_graph(Reader& reader) {
  Csr csr{.row_pointers = reader.i32("/row_pointers"), .column_indices = reader.i32("/column_indices")};
  csr.rows = csr.columns = static_cast<std::int64_t>(csr.row_pointers.size()) - 1;
  check_csr(csr, "graph");
  return csr;
}

std::vector<float> node_features(std::int64_t nodes, std::int64_t dim, std::uint64_t seed) {
  std::vector<float> features(static_cast<std::size_t>(nodes * dim));
  const Philox random(seed, feature_stream);
  for (std::size_t i = 0; i < features.size(); ++i) features[i] = static_cast<float>(random.normal(i));
  return features;
}

}  // namespace remeasure::datasets
