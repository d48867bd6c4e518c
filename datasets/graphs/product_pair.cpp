// SPDX-License-Identifier: Apache-2.0
#include "datasets/graphs/product_pair.h"

#include <fmt/format.h>

#include <vector>

#include "datasets/graphs/generators.h"
#include "datasets/graphs/graph_files.h"
#include "datasets/random.h"

namespace remeasure::datasets {
namespace {

enum Stream : std::uint64_t { value_stream = 0x76616c };

std::size_t at(std::int64_t i) {
  return static_cast<std::size_t>(i);
}

DrawEdge law_of(const std::string& kind, std::int64_t n, std::uint64_t seed) {
  if (kind == "rmat40") return rmat_edges(n, {.a = 0.40, .b = 0.20, .c = 0.20}, seed);
  if (kind == "rmat45") return rmat_edges(n, {.a = 0.45, .b = 0.22, .c = 0.22}, seed);
  if (kind == "blocks") {
    return community_edges(n, {.community = 32, .inside = 0.6, .exponent = 0, .consecutive = true}, seed);
  }
  if (kind == "uniform" || kind == "ragged") return uniform_edges(n, n, seed);
  throw DatasetError(
      fmt::format("product_pair: kind \"{}\"; there are rmat40, rmat45, uniform, blocks and ragged", kind));
}

Csr matrix(const std::string& kind, std::int64_t n, std::int64_t draws, std::uint64_t seed) {
  Csr csr;
  if (kind == "ragged") {
    const DrawEdge draw = law_of(kind, n, seed);
    std::vector<Edge> edges;
    for (std::uint64_t i = 0; i < static_cast<std::uint64_t>(draws); ++i) {
      const Edge edge = draw(i);
      if (edge.row % 3 != 0) edges.push_back(edge);
    }
    for (std::int64_t column = 0; column < n; ++column) {
      edges.push_back({static_cast<std::int32_t>(n / 2), static_cast<std::int32_t>(column)});
    }
    csr = csr_of_edges(n, n, edges);
  } else {
    csr = graph_of_draws(n, n, law_of(kind, n, seed), static_cast<std::uint64_t>(draws));
  }
  const Philox random(seed, value_stream);
  csr.values.resize(csr.column_indices.size());
  for (std::size_t e = 0; e < csr.values.size(); ++e) csr.values[e] = static_cast<float>(random.uniform(e));
  return csr;
}

/// Seeds of A and B.
std::uint64_t seed_of(std::uint64_t seed, int which) {
  return 2 * seed + static_cast<std::uint64_t>(which);
}

void write(const Csr& csr, const std::string& group, Writer& out) {
  const auto rows = static_cast<std::uint64_t>(csr.rows), entries = static_cast<std::uint64_t>(csr.edges());
  out.array(group + "/row_pointers", std::span<const std::int32_t>(csr.row_pointers), {rows + 1});
  out.array(group + "/column_indices", std::span<const std::int32_t>(csr.column_indices), {entries});
  out.array(group + "/values", std::span<const float>(csr.values), {entries});
}

void write(ProductPair pair, Writer& out) {
  count_product(pair);
  write(pair.a, "/a", out);
  write(pair.b, "/b", out);
  out.attribute("fma", pair.products);
  out.attribute("nnz_c", pair.entries);
}

void generate(const Parameters& p, Writer& out) {
  const std::string& kind = p.text("kind");
  const std::int64_t n = p.integer("n"), draws = p.integer("draws");
  write({.a = matrix(kind, n, draws, seed_of(p.seed, 0)), .b = matrix(kind, n, draws, seed_of(p.seed, 1))},
        out);
}

Csr import_matrix(const std::filesystem::path& file, std::int64_t n) {
  Csr csr = read_matrix_market(file);
  if (csr.rows != n || csr.columns != n) {
    throw DatasetError(
        fmt::format("{}: {} x {}; the parameter says {} x {}", file.string(), csr.rows, csr.columns, n, n));
  }
  if (csr.values.empty()) csr.values.assign(csr.column_indices.size(), 1.0f);
  return csr;
}

void import_pair(const std::filesystem::path& source, const Parameters& p, Writer& out) {
  const std::int64_t n = p.integer("n");
  const bool two = std::filesystem::is_directory(source);
  ProductPair pair{.a = import_matrix(two ? source / "a.mtx" : source, n)};
  pair.b = two ? import_matrix(source / "b.mtx", n) : pair.a;
  write(std::move(pair), out);
}

std::vector<ArraySchema> schema() {
  std::vector<ArraySchema> arrays;
  for (const std::string& group : {std::string("a"), std::string("b")}) {
    arrays.push_back({.path = "/" + group + "/row_pointers",
                      .type = ElementType::i32,
                      .axes = {"boundary"},
                      .description = "first entry of each row, and the end",
                      .minimum = 0});
    arrays.push_back({.path = "/" + group + "/column_indices",
                      .type = ElementType::i32,
                      .axes = {"entry_of_" + group},
                      .description = "ascending in a row",
                      .minimum = 0});
    arrays.push_back(
        {.path = "/" + group + "/values", .axes = {"entry_of_" + group}, .description = "uniform on (0, 1)"});
  }
  return arrays;
}

}  // namespace

const Definition product_pair_definition = {
    .name = "product_pair",
    .title = "Pairs of sparse matrices to be multiplied",
    .theme = "graphs",
    .stands_for =
        "the R-MAT pair of SMASH: 16384 x 16384, 254211 entries each, 5174841 entries in the product, 1.23 "
        "products an entry. Its parameters aren't known; (.40, .20, .20, .20) and (.45, .22, .22, .11) lie "
        "on both sides of it",
    .source = "arXiv 2105.14156",
    .arrays = schema(),
    .extents =
        [](const Parameters& p) {
          return Extents{{"boundary", p.extent("n") + 1}};
        },
    .generate = generate,
    .import = import_pair,
    .import_help =
        "a MatrixMarket file of an n x n matrix, which is multiplied with itself, or a folder with a.mtx and "
        "b.mtx; the parameters name the generated pair that it replaces",
    .examples = {product_pair("rmat40", 2048, 16'384, 1), product_pair("rmat45", 2048, 16'384, 1),
                 product_pair("uniform", 2048, 16'384, 1), product_pair("blocks", 2048, 16'384, 1),
                 product_pair("ragged", 512, 2048, 1)},
};

Parameters product_pair(const std::string& kind, std::int64_t n, std::int64_t draws, std::uint64_t seed) {
  return {.values = {{"kind", kind}, {"n", std::to_string(n)}, {"draws", std::to_string(draws)}},
          .seed = seed};
}

void count_product(ProductPair& pair) {
  pair.products = pair.entries = 0;
  std::vector<std::int64_t> last(at(pair.b.columns), -1);  // the row that a column was seen in
  for (std::int64_t row = 0; row < pair.a.rows; ++row) {
    for (const std::int32_t k : pair.a.row(row)) {
      const auto columns = pair.b.row(k);
      pair.products += static_cast<double>(columns.size());
      for (const std::int32_t column : columns) {
        if (last[at(column)] != row) ++pair.entries;
        last[at(column)] = row;
      }
    }
  }
}

ProductPair read_product_pair(Reader& reader) {
  const auto read = [&](const std::string& group) {
    Csr csr{.row_pointers = reader.i32(group + "/row_pointers"),
            .column_indices = reader.i32(group + "/column_indices"),
            .values = reader.f32(group + "/values")};
    csr.rows = csr.columns = static_cast<std::int64_t>(csr.row_pointers.size()) - 1;
    check_csr(csr, "product_pair" + group);
    return csr;
  };
  ProductPair pair{
      .a = read("/a"), .b = read("/b"), .products = reader.number("fma"), .entries = reader.number("nnz_c")};
  double products = 0;
  for (const std::int32_t k : pair.a.column_indices) products += static_cast<double>(pair.b.row(k).size());
  if (products != pair.products) {
    throw DatasetError(
        fmt::format("product_pair: {} products, the file says {}; make it again", products, pair.products));
  }
  return pair;
}

}  // namespace remeasure::datasets
