// SPDX-License-Identifier: Apache-2.0
#include "kernels/graphs/row_windows.h"

#include <testing/catch.h>

#include "kernels/graphs/sgt_translate.h"
#include "kernels/graphs/testing/graph_problem.h"
#include "kernels/simt/schedules.h"

using namespace remeasure;
using namespace remeasure::kernels;
using namespace remeasure::kernels::testing;

namespace {

/// Shapes around the window's 16 rows, with empty rows and windows, hubs, and fewer columns than a tile.
std::vector<SparseProblem> shapes() {
  std::vector<SparseProblem> list = {random_sparse(1, 5, 2, 1),        random_sparse(15, 40, 3, 2),
                                     random_sparse(16, 16, 8, 3),      random_sparse(17, 90, 4, 4),
                                     random_sparse(50, 300, 6, 5, 20), random_sparse(40, 4, 2, 6)};
  SparseProblem hollow = random_sparse(64, 64, 5, 7);  // its second window is empty
  const std::int32_t first = hollow.row_pointers[16], last = hollow.row_pointers[32];
  hollow.column_indices.erase(hollow.column_indices.begin() + first, hollow.column_indices.begin() + last);
  for (std::size_t row = 17; row < hollow.row_pointers.size(); ++row) {
    hollow.row_pointers[row] = row <= 32 ? first : hollow.row_pointers[row] - (last - first);
  }
  list.push_back(hollow);
  return list;
}

template <class Target>
RowWindows translate_on(TestBench<Target>& bench, const HostCsr& csr, std::int64_t tiles) {
  OnDevice<Target> device(bench, csr);
  const auto edges = static_cast<std::size_t>(csr.edges());
  const auto t = static_cast<std::size_t>(tiles);
  auto sorted = bench.template output<std::uint64_t>(edges, "sorted");
  auto tile_pointers =
      bench.template output<std::int32_t>(static_cast<std::size_t>(window_count(csr.rows)) + 1);
  auto column_map = bench.template output<std::int32_t>(8 * t),
       edge_pointers = bench.template output<std::int32_t>(t + 1);
  auto edge_order = bench.template output<std::int32_t>(edges),
       condensed = bench.template output<std::int32_t>(edges);
  auto places = bench.template output<std::uint8_t>(edges);
  sgt_translate<Target>(bench.stream(), device.csr(), sorted,
                        {tile_pointers, column_map, edge_pointers, places, edge_order, condensed});
  return {csr.rows,
          csr.columns,
          bench.download(tile_pointers),
          bench.download(column_map),
          bench.download(edge_pointers),
          bench.download(places),
          bench.download(edge_order),
          bench.download(condensed)};
}

void check_equal(const RowWindows& made, const RowWindows& expected) {
  CHECK(made.tile_pointers == expected.tile_pointers);
  CHECK(made.column_map == expected.column_map);
  CHECK(made.edge_pointers == expected.edge_pointers);
  CHECK(made.places == expected.places);
  CHECK(made.edge_order == expected.edge_order);
  CHECK(made.condensed == expected.condensed);
}

}  // namespace

TEST_CASE("translating back gives the matrix: no edge is lost or doubled", "[cpu]") {
  for (const SparseProblem& problem : shapes()) {
    INFO(problem.rows << " x " << problem.columns);
    const HostCsr csr = problem.csr();
    const RowWindows windows = translate_rows(csr);
    CHECK(windows.edges() == csr.edges());
    CHECK(windows.edge_pointers.back() == csr.edges());
    const Untranslated back = untranslate(windows);
    CHECK(back.row_pointers == problem.row_pointers);
    CHECK(back.column_indices == problem.column_indices);
  }
}

TEST_CASE("a doubled, lost or misplaced edge of a translation is found", "[cpu]") {
  const SparseProblem problem = random_sparse(40, 60, 5, 8);
  const RowWindows good = translate_rows(problem.csr());
  RowWindows doubled = good;
  doubled.places[1] = doubled.places[0];
  doubled.edge_pointers[1] = std::max(doubled.edge_pointers[1], 2);
  CHECK_THROWS_WITH(untranslate(doubled), Catch::Matchers::ContainsSubstring("two edges at one place"));
  RowWindows lost = good;
  --lost.edge_pointers.back();
  CHECK(untranslate(lost).column_indices.size() + 1 == problem.column_indices.size());
  RowWindows padded = good;
  padded.column_map[0] = -1;
  CHECK_THROWS_WITH(untranslate(padded), Catch::Matchers::ContainsSubstring("lies on padding"));
}

TEST_CASE("tiles are counted as the authors' script does, by hand and in general", "[cpu]") {
  // One window; columns 0 3 7 8 9 30 31 47: naive [0, 8) [8, 16) [30, 38) [47, 55), translated one tile.
  const SparseProblem problem{.rows = 2,
                              .columns = 50,
                              .row_pointers = {0, 5, 10},
                              .column_indices = {0, 7, 8, 30, 47, 3, 8, 9, 31, 47}};
  const TileCounts counts = count_tiles(problem.csr());
  CHECK(counts.naive == 4);
  CHECK(counts.translated == 1);
  CHECK(counts.shared == 8);
  CHECK(counts.distinct == 8);
  CHECK(counts.reduction() == 0.75);
  CHECK(count_tiles(problem.csr(), 16).naive == 3);  // [0, 16) [30, 46) [47, 63)
  for (const SparseProblem& each : shapes()) {
    const TileCounts of = count_tiles(each.csr());
    CHECK(of.translated == translate_rows(each.csr()).tiles());
    CHECK(of.translated <= most_tiles(each.rows, each.csr().edges()));
    CHECK(of.translated <= of.naive);
    CHECK(8 * of.translated >= of.shared);
    CHECK(of.naive <= of.shared);
  }
}

TEST_CASE("sgt_translate is the translation in plain loops, bit for bit", "[simt]") {
  TestBench<Simt> bench;
  for (const SparseProblem& problem : shapes()) {
    INFO(problem.rows << " x " << problem.columns);
    const RowWindows expected = translate_rows(problem.csr());
    check_equal(translate_on(bench, problem.csr(), expected.tiles()), expected);
  }
}

TEST_CASE("sgt_translate sorts windows in device memory where shared memory is too small", "[simt]") {
  TestBench<Simt> bench;
  const SparseProblem problem = random_sparse(33, 700, 400, 9, 3);
  REQUIRE(problem.row_pointers[16] > kSortedInShared);
  const RowWindows expected = translate_rows(problem.csr());
  check_equal(translate_on(bench, problem.csr(), expected.tiles()), expected);
}

TEST_CASE("sgt_translate sums tiles over more windows than a block has threads", "[simt]") {
  TestBench<Simt> bench;
  const SparseProblem problem = random_sparse(16 * 1030, 40, 0.3, 10);
  const RowWindows expected = translate_rows(problem.csr());
  check_equal(translate_on(bench, problem.csr(), expected.tiles()), expected);
}

TEST_CASE("sgt_translate gives the same bits under every schedule", "[simt]") {
  TestBench<Simt> bench;
  const SparseProblem problem = random_sparse(40, 90, 9, 11);
  const std::vector<std::uint64_t> seeds = {1, 2, 3};
  const std::int64_t tiles = translate_rows(problem.csr()).tiles();
  CHECK_NOTHROW(simt::expect_schedule_independent(bench.device().engine(), seeds, [&] {
    const RowWindows made = translate_on(bench, problem.csr(), tiles);
    std::vector<std::byte> bytes(made.places.size());
    std::transform(made.places.begin(), made.places.end(), bytes.begin(),
                   [](std::uint8_t p) { return static_cast<std::byte>(p); });
    const auto of_map = std::as_bytes(std::span(made.column_map));
    bytes.insert(bytes.end(), of_map.begin(), of_map.end());
    return bytes;
  }));
}

TEST_CASE("sgt_translate refuses arrays that don't fit", "[simt]") {
  TestBench<Simt> bench;
  const SparseProblem problem = random_sparse(20, 30, 4, 12);
  OnDevice<Simt> device(bench, problem.csr());
  const std::size_t edges = problem.column_indices.size();
  auto sorted = bench.output<std::uint64_t>(edges - 1);
  auto pointers = bench.output<std::int32_t>(3), order = bench.output<std::int32_t>(edges),
       map = bench.output<std::int32_t>(800), of_tiles = bench.output<std::int32_t>(101),
       condensed = bench.output<std::int32_t>(edges);
  auto places = bench.output<std::uint8_t>(edges);
  CHECK_THROWS_WITH(sgt_translate<Simt>(bench.stream(), device.csr(), sorted,
                                        {pointers, map, of_tiles, places, order, condensed}),
                    Catch::Matchers::ContainsSubstring("arrays that don't fit"));
}

TEST_CASE("On a GPU sgt_translate gives the same translation", "[gpu]") {
  if (Device<Cuda>::count() == 0) SKIP_TEST(Device<Cuda>::why_not());
  remeasure::testing::on_gpu([](auto& bench) {
    std::vector<SparseProblem> list = shapes();
    list.push_back(random_sparse(33, 700, 400, 9, 3));
    list.push_back(random_sparse(16 * 1030, 40, 0.3, 10));
    for (const SparseProblem& problem : list) {
      const RowWindows expected = translate_rows(problem.csr());
      check_equal(translate_on(bench, problem.csr(), expected.tiles()), expected);
    }
  });
}
