// SPDX-License-Identifier: Apache-2.0
//
// What must hold of tc-gnn without a GPU, and that each of it can fail.
#include <testing/catch.h>

#include <bit>
#include <set>

#include "bench/test_case.h"
#include "experiments/graphs/tc_gnn_variants.h"
#include "kernels/graphs/testing/graph_problem.h"

using namespace remeasure;
using namespace remeasure::experiments::tc_gnn_graphs;
using kernels::testing::TestBench;

namespace {

Csr make(const GraphChoice& choice, std::uint64_t seed = 1) {
  static const bench::testing::TemporaryFolder folder;
  datasets::Store store(folder.path());
  return read_graph(*store.open(datasets::graph_definition, datasets::graph(choice, seed)).reader);
}

struct Named {
  Type type;
  const char* name;
  GraphChoice choice;
};

/// The smoke graphs and others of their laws.
std::vector<Named> graphs() {
  std::vector<Named> list;
  for (const Graph& graph : smoke_graphs()) list.push_back({graph.type, graph.name.c_str(), graph.choice});
  list[0].name = "I";
  list[1].name = "II";
  list[2].name = "III";
  list.push_back({Type::one, "I, 6000", datasets::citation_graph(6000, 24'000)});
  list.push_back({Type::two, "II, larger", datasets::batched_graph(8000, 40'000, 200, 360)});
  list.push_back({Type::three, "III, dense", datasets::social_graph(4096, 65'536)});
  list.push_back({Type::three, "III, co-purchase", datasets::copurchase_graph(4096, 49'152)});
  return list;
}

/// Tensor cores' product on the SIMT engine.
std::vector<float> product(const Csr& csr, const RowWindows& windows, int dim, const std::vector<float>& x) {
  TestBench<Simt> bench;
  kernels::testing::OnDevice<Simt> device(bench, host(csr), windows);
  auto in = bench.upload(x);
  auto y = bench.output<float>(static_cast<std::size_t>(csr.rows) * static_cast<std::size_t>(dim));
  kernels::tc_spmm<Simt>(bench.stream(), device.windows(), device.parts(bench, dim), dim, {}, in, y);
  return bench.download(y);
}

/// Elements with |err| above `relative` * sum |a||x| + 1e-6.
std::size_t beyond(const Csr& csr, int dim, const std::vector<float>& x, const std::vector<float>& y,
                   double relative) {
  std::vector<double> exact(y.size()), scale(y.size());
  kernels::spmm_reference<double>(host(csr), dim, x, exact);
  kernels::spmm_scale(host(csr), dim, x, scale);
  std::size_t count = 0;
  for (std::size_t i = 0; i < y.size(); ++i)
    count += std::abs(static_cast<double>(y[i]) - exact[i]) <= relative * scale[i] + 1e-6 ? 0 : 1;
  return count;
}

/// |y - exact|_2 / |exact|_2
double distance(const Csr& csr, int dim, const std::vector<float>& x, const std::vector<float>& y) {
  std::vector<double> exact(y.size());
  kernels::spmm_reference<double>(host(csr), dim, x, exact);
  double difference = 0, norm = 0;
  for (std::size_t i = 0; i < y.size(); ++i) {
    difference += std::pow(static_cast<double>(y[i]) - exact[i], 2);
    norm += exact[i] * exact[i];
  }
  return std::sqrt(difference / norm);
}

/// Distinct (row, condensed column) positions of all windows.
std::size_t distinct_positions(const RowWindows& windows) {
  std::size_t count = 0;
  for (std::size_t tile = 0; tile + 1 < windows.edge_pointers.size(); ++tile) {
    const auto first = windows.places.begin() + windows.edge_pointers[tile],
               last = windows.places.begin() + windows.edge_pointers[tile + 1];
    count += std::set<std::uint8_t>(first, last).size();
  }
  return count;
}

/// The translation with columns ranked in each row, not in the window: what is left when the shared U is
/// skipped.
RowWindows ranked_per_row(const Csr& csr) {
  RowWindows wrong = kernels::translate_rows(host(csr));
  for (std::size_t row = 0; row < static_cast<std::size_t>(csr.rows); ++row) {
    for (std::int32_t e = csr.row_pointers[row]; e < csr.row_pointers[row + 1]; ++e)
      wrong.condensed[static_cast<std::size_t>(e)] = e - csr.row_pointers[row];
  }
  return kernels::arrange_edges(host(csr), std::move(wrong));
}

}  // namespace

TEST_CASE("tc-gnn: translation removes 87.5 % of the tiles at most, of every graph", "[cpu]") {
  for (const Named& each : graphs()) {
    INFO(each.name);
    const TileCounts counts = count_tiles(host(make(each.choice)));
    CHECK(bounds_hold(counts));
    CHECK(counts.reduction() <= 0.875);
  }
  // A count by tiles of 16 columns, and one that lost a tile, are outside the bounds.
  const Csr sparse = make(datasets::citation_graph(2708, 2708));
  CHECK_FALSE(bounds_hold(count_tiles(host(sparse), 16)));
  TileCounts wrong = count_tiles(host(sparse));
  wrong.translated = wrong.shared / 8 - 1;
  CHECK_FALSE(bounds_hold(wrong));
}

TEST_CASE("tc-gnn: generated graphs lose the share of their type", "[cpu]") {
  for (const Named& each : graphs()) {
    for (const std::uint64_t seed : {1, 2}) {
      const double removed = 100 * count_tiles(host(make(each.choice, seed))).reduction();
      const Interval range = expected_reduction(each.type);
      INFO(each.name << ": " << removed << " %");
      CHECK(removed >= range.low);
      CHECK(removed <= range.high);
    }
  }
}

TEST_CASE("tc-gnn: shuffling a batch of small graphs raises the share that goes and what is left", "[cpu]") {
  const Csr csr = make(smoke_graphs()[1].choice);
  const Csr shuffled = partly_shuffled(csr, 1, 1);
  const TileCounts before = count_tiles(host(csr)), after = count_tiles(host(shuffled));
  CHECK(after.reduction() > 0.8);
  CHECK(after.translated > before.translated);
  CHECK(100 * after.reduction() > expected_reduction(Type::two).high);  // no longer one of its type
  CHECK(degree_statistics(shuffled).deviation == degree_statistics(csr).deviation);
  CHECK(partly_shuffled(csr, 0, 1).column_indices == csr.column_indices);
  const TileCounts half = count_tiles(host(partly_shuffled(csr, 0.5, 1)));
  CHECK(half.translated > before.translated);
  CHECK(half.translated < after.translated);
}

TEST_CASE("tc-gnn: each edge has one place of its own, and the way back is the graph", "[cpu]") {
  for (const Named& each : graphs()) {
    INFO(each.name);
    const Csr csr = make(each.choice);
    const RowWindows windows = kernels::translate_rows(host(csr));
    CHECK(distinct_positions(windows) == csr.column_indices.size());
    CHECK(round_trip(csr, windows));
    RowWindows damaged = windows;
    damaged.places[5] ^= 8;  // another row
    CHECK_FALSE(round_trip(csr, damaged));
  }
  // Edges that occur twice are merged before; unmerged, two would have one place.
  const std::vector<datasets::Edge> twice = {{0, 3}, {0, 3}, {1, 3}};
  CHECK(distinct_positions(kernels::translate_rows(host(datasets::csr_of_edges(2, 4, twice)))) == 2);
  const std::vector<std::int32_t> pointers = {0, 2, 3}, columns = {3, 3, 3};
  const RowWindows unmerged = kernels::translate_rows({2, 4, pointers, columns, {}});
  CHECK(distinct_positions(unmerged) == 2);
  CHECK(unmerged.edges() == 3);
}

TEST_CASE("tc-gnn: TF32 errs by one rounding of X, f32 by far less", "[simt]") {
  constexpr double kOneRounding = 0x1p-11 * 1.01;
  for (const Graph& graph : smoke_graphs()) {
    INFO(graph.name);
    const Csr csr = make(graph.choice);
    const RowWindows windows = kernels::translate_rows(host(csr));
    const int dim = 16;
    const std::vector<float> x = datasets::node_features(csr.rows, dim, 1);
    const std::vector<float> y = product(csr, windows, dim, x);
    CHECK(beyond(csr, dim, x, y, kOneRounding) == 0);
    CHECK(beyond(csr, dim, x, y, 1e-5) > 1000);  // it isn't f32
    std::vector<float> single(y.size());
    kernels::translated_spmm<float>(windows, dim, {}, x, single);
    CHECK(beyond(csr, dim, x, single, 1e-5) == 0);
    // X cut off instead of rounded (what a wmma without cvt.rna does) errs twice as much.
    std::vector<float> cut = x;
    for (float& value : cut) value = std::bit_cast<float>(std::bit_cast<std::uint32_t>(value) & 0xffffe000u);
    CHECK(beyond(csr, dim, x, product(csr, windows, dim, cut), kOneRounding) > 1000);
  }
}

TEST_CASE("tc-gnn: columns ranked per row instead of per window give another product", "[simt]") {
  for (const GraphChoice& choice :
       {datasets::social_graph(4096, 32'768), datasets::copurchase_graph(4096, 49'152)}) {
    const Csr csr = make(choice);
    const std::vector<float> x = datasets::node_features(csr.rows, 16, 1);
    CHECK(distance(csr, 16, x, product(csr, kernels::translate_rows(host(csr)), 16, x)) < 1e-3);
    CHECK(distance(csr, 16, x, product(csr, ranked_per_row(csr), 16, x)) > 1e-2);
  }
}

TEST_CASE("tc-gnn: scores of rows with themselves are symmetric on a symmetric graph", "[simt]") {
  const Csr csr = make(smoke_graphs()[2].choice);
  const int dim = 32;
  const auto scores = [&](const std::vector<float>& a, const std::vector<float>& b) {
    TestBench<Simt> bench;
    kernels::testing::OnDevice<Simt> device(bench, host(csr));
    auto of_a = bench.upload(a), of_b = bench.upload(b);
    auto out = bench.output<float>(csr.column_indices.size());
    kernels::tc_sddmm<Simt>(bench.stream(), device.windows(), device.parts(bench, dim), dim, of_a, of_b, out);
    return bench.download(out);
  };
  // Of the edge i <- j and the edge j <- i, relative to |x_i| |x_j|.
  const auto asymmetry = [&](const std::vector<float>& of, const std::vector<float>& x) {
    Csr valued = csr;
    valued.values = of;
    const Csr turned = transposed(valued);
    std::vector<double> scale(of.size());
    kernels::sddmm_scale(host(csr), dim, x, x, scale);
    double worst = 0;
    for (std::size_t e = 0; e < of.size(); ++e)
      worst = std::max(
          worst, std::abs(static_cast<double>(of[e]) - static_cast<double>(turned.values[e])) / scale[e]);
    return worst;
  };
  const std::vector<float> x = datasets::node_features(csr.rows, dim, 1),
                           other = datasets::node_features(csr.rows, dim, 2);
  CHECK(asymmetry(scores(x, x), x) <= 1e-3);
  CHECK(asymmetry(scores(x, other), x) > 1e-1);
}

TEST_CASE("tc-gnn: rows that are compared cover the windows' edges and all rows of windows", "[cpu]") {
  const Csr small = make(smoke_graphs()[0].choice);
  CHECK(checked_rows(small, 16).size() == 2708);
  Csr large{.rows = 300'001, .columns = 10, .row_pointers = std::vector<std::int32_t>(300'002)};
  const std::vector<std::int64_t> rows = checked_rows(large, 128);
  CHECK(rows.size() < 6000);
  CHECK(rows.size() > 1000);
  CHECK(rows.front() == 0);
  CHECK(rows.back() == 300'000);
  std::set<std::int64_t> places;
  for (const std::int64_t row : rows) places.insert(row % 16);
  CHECK(places.size() == 16);
  const std::vector<float> x = datasets::node_features(2708, 4, 1);
  const bench::OracleOutput all = spmm_oracle(small, 4, x);
  CHECK(all.indices.empty());
  CHECK(std::all_of(all.scale.begin(), all.scale.end(), [](double scale) { return scale > 0; }));
}

TEST_CASE("tc-gnn: Blocked-ELL is left out where its blocks outgrow any product on CSR, with the sizes",
          "[cpu]") {
  const Csr small = make(smoke_graphs()[0].choice);
  CHECK(ell_left_out(host(small), 16).empty());
  // One full row among 60,000, and the diagonal: each row of blocks is as wide as the fullest.
  constexpr std::int32_t kNodes = 60'000;
  Csr wide{.rows = kNodes, .columns = kNodes, .row_pointers = {0}};
  for (std::int32_t row = 0; row < kNodes; ++row) {
    for (std::int32_t column = row == 0 ? 0 : row; column < (row == 0 ? kNodes : row + 1); ++column)
      wide.column_indices.push_back(column);
    wide.row_pointers.push_back(static_cast<std::int32_t>(wide.column_indices.size()));
  }
  const std::string why = ell_left_out(host(wide), 16);
  INFO(why);
  CHECK(why.starts_with("14.5 GB of blocks, 7.2 in bf16 and 0.0 without padding"));
  CHECK(why.find("moves 0.01 at most") != std::string::npos);
}
