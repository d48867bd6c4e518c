// SPDX-License-Identifier: Apache-2.0
#include "kernels/graphs/hash_spgemm_reference.h"

#include <testing/catch.h>
#include <Eigen/SparseCore>
#include <cmath>
#include <numeric>

#include "kernels/graphs/testing/spgemm_problem.h"

using namespace remeasure::kernels;
using namespace remeasure::kernels::testing;

namespace {

using EigenCsr = Eigen::SparseMatrix<double, Eigen::RowMajor, int>;

EigenCsr eigen_of(const OwnedCsr& m) {
  std::vector<double> values(m.values.begin(), m.values.end());
  return Eigen::Map<const EigenCsr>(m.rows, m.columns, static_cast<Eigen::Index>(m.column_indices.size()),
                                    m.row_pointers.data(), m.column_indices.data(), values.data());
}

template <class Scalar>
SparseProduct<Scalar> by_hash(const OwnedCsr& a, const OwnedCsr& b, const TablePlan& table, SlotHash hash,
                              int threads) {
  const WindowPlan plan = plan_windows(a.view(), b.view(), table);
  const auto products = static_cast<std::size_t>(plan.products());
  std::vector<std::int32_t> fragment_column(products), entries(static_cast<std::size_t>(plan.windows()));
  std::vector<Scalar> fragment_value(products);
  SparseProduct<Scalar> c{.row_pointers = std::vector<std::int32_t>(static_cast<std::size_t>(a.rows) + 1),
                          .column = std::vector<std::int32_t>(products),
                          .value = std::vector<Scalar>(products)};
  hash_spgemm_reference<Scalar>(a.view(), b.view(), plan, hash, {fragment_column, fragment_value, entries},
                                {c.row_pointers, c.column, c.value}, threads);
  c.column.resize(static_cast<std::size_t>(c.row_pointers.back()));
  c.value.resize(c.column.size());
  return c;
}

}  // namespace

TEST_CASE("the oracle has Eigen's structure and values", "[cpu]") {
  const OwnedCsr pairs[][2] = {{random_csr(60, 80, 6, 1), random_csr(80, 70, 5, 2)},
                               {ragged_csr(100, 90, 50, 11), ragged_csr(90, 300, 40, 12)}};
  for (const auto& [a, b] : pairs) {
    EigenCsr product = eigen_of(a) * eigen_of(b);
    const SparseProduct<double> c = spgemm_reference<double>(a.view(), b.view());
    REQUIRE(static_cast<std::size_t>(product.nonZeros()) == c.column.size());
    REQUIRE(std::equal(c.row_pointers.begin(), c.row_pointers.end(), product.outerIndexPtr()));
    REQUIRE(std::equal(c.column.begin(), c.column.end(), product.innerIndexPtr()));
    std::int64_t terms = 0;
    for (std::size_t e = 0; e < c.value.size(); ++e) {
      REQUIRE(std::abs(c.value[e] - product.valuePtr()[e]) <= 1e-14 * c.magnitude[e]);
      terms += c.terms[e];
    }
    const std::vector<std::int64_t> products = products_of_rows(a.view(), b.view());
    CHECK(terms == std::accumulate(products.begin(), products.end(), std::int64_t{0}));
  }
}

TEST_CASE("products by tables are the oracle's, for every hash, number of threads, and tables too small",
          "[cpu]") {
  const OwnedCsr a = ragged_csr(100, 90, 50, 11), b = random_csr(90, 777, 12, 13);
  const SparseProduct<double> exact = spgemm_reference<double>(a.view(), b.view());
  for (const SlotHash hash : {SlotHash::high, SlotHash::low, SlotHash::mixed}) {
    for (const TablePlan& table : {TablePlan{.slots = 256, .load = 0.5, .most_rows = 64},
                                   TablePlan{.slots = 256, .load = 8, .most_rows = 256}}) {
      const SparseProduct<double> c = by_hash<double>(a, b, table, hash, 1);
      REQUIRE(c.row_pointers == exact.row_pointers);
      REQUIRE(c.column == exact.column);
      for (std::size_t e = 0; e < c.value.size(); ++e)
        REQUIRE(std::abs(c.value[e] - exact.value[e]) <= 1e-14 * exact.magnitude[e]);
      CHECK(by_hash<double>(a, b, table, hash, 2).value == c.value);
      const SparseProduct<float> rounded = by_hash<float>(a, b, table, hash, 0);
      for (std::size_t e = 0; e < c.value.size(); ++e) {
        const double bound = std::ldexp(2.0 * exact.terms[e], -24) * exact.magnitude[e];
        REQUIRE(std::abs(static_cast<double>(rounded.value[e]) - exact.value[e]) <= bound);
      }
    }
  }
}

TEST_CASE("windows are whole rows in order, packed up to the plan", "[cpu]") {
  const OwnedCsr a = ragged_csr(1300, 90, 50, 11), b = random_csr(90, 777, 12, 13);
  const TablePlan table{.slots = 256, .load = 0.5, .most_rows = 20};
  const std::vector<std::int64_t> products = products_of_rows(a.view(), b.view());
  const WindowPlan plan = plan_windows(a.view(), b.view(), table);
  REQUIRE(plan.first_row.front() == 0);
  REQUIRE(plan.first_row.back() == 1300);
  CHECK(plan.products() == std::accumulate(products.begin(), products.end(), std::int64_t{0}));
  for (int w = 0; w < plan.windows(); ++w) {
    const auto i = static_cast<std::size_t>(w);
    const int rows = plan.first_row[i + 1] - plan.first_row[i];
    const std::int64_t sum = plan.first_product[i + 1] - plan.first_product[i];
    REQUIRE(sum == std::accumulate(products.begin() + plan.first_row[i],
                                   products.begin() + plan.first_row[i + 1], std::int64_t{0}));
    REQUIRE((rows == 1 || (rows <= 20 && sum <= table.products())));
    // Greedy: the next row wouldn't have fitted.
    REQUIRE(plan.first_row[i] / kPlanRows == (plan.first_row[i + 1] - 1) / kPlanRows);
    if (plan.first_row[i + 1] % kPlanRows != 0 && w + 1 < plan.windows()) {
      REQUIRE(
          (rows == 20 || sum + products[static_cast<std::size_t>(plan.first_row[i + 1])] > table.products()));
    }
  }
}

TEST_CASE("pieces cover a window once, whatever overflows and whatever fits", "[cpu]") {
  // A window of 37 rows and 1000 columns under changing luck; cells are counted.
  for (const int period : {2, 3, 5}) {
    std::vector<int> covered(37 * 1000, 0);
    Piece piece = first_piece(0, 37, 1000, 5000, 100);
    int step = 0;
    while (piece.row < 37) {
      REQUIRE(piece.rows >= 1);
      REQUIRE(piece.width >= 1);
      REQUIRE(piece.column + piece.width <= 1000);
      REQUIRE(piece.row + piece.rows <= 37);
      REQUIRE((piece.rows == 1 || piece.width == 1000));
      if (++step % period != 0 && piece.rows * piece.width > 40) {
        piece = narrowed(piece);
        continue;
      }
      for (int row = 0; row < piece.rows; ++row) {
        for (int column = 0; column < piece.width; ++column)
          ++covered[static_cast<std::size_t>((piece.row + row) * 1000 + piece.column + column)];
      }
      piece = following(piece, 37, 1000, step % 2 == 0 ? 0 : 90, 100);
    }
    CHECK(std::count(covered.begin(), covered.end(), 1) == 37 * 1000);
  }
  const Piece split = first_piece(4, 1, 1000, 350, 100);
  CHECK(split.width == 250);
  CHECK(first_piece(4, 1, 60, 350, 100).width == 60);  // it has no more entries than columns
}

TEST_CASE("slots of the high hash ascend with the tag, those of the low hash are its low bits", "[cpu]") {
  std::uint32_t before = 0;
  for (std::uint32_t row = 0; row < 3; ++row) {
    for (std::uint32_t key = 0; key < 1000; ++key) {
      const std::uint32_t tag = row << 10 | key, slot = home_slot<SlotHash::high>(tag, 8, 3, 10);
      REQUIRE(slot >= before);
      REQUIRE(slot == tag * 256u / (3u * 1024u));
      before = slot;
      REQUIRE(home_slot<SlotHash::low>(tag, 8, 3, 10) == (tag & 255u));
      REQUIRE(home_slot<SlotHash::mixed>(tag, 8, 3, 10) < 256u);
    }
  }
  CHECK(before == 255 - 256 * 24 / 3072);  // keys end at 1000 of 1024
}

TEST_CASE("statistics count every probe, every filling and every overflow", "[cpu]") {
  // One row of A with two entries on rows of B that share one column of three: 4 products, 3 entries.
  const OwnedCsr a = csr_of(
      1, 2, 1, [](int) { return 2; }, [](int, int n) { return n; });
  const OwnedCsr b = csr_of(
      2, 512, 2, [](int) { return 2; }, [](int i, int n) { return i == 0 ? n : 1 + 256 * n; });
  const WindowPlan plan = plan_windows(a.view(), b.view(), {.slots = 256, .load = 0.5, .most_rows = 64});
  const HashStatistics low = hash_statistics(a.view(), b.view(), plan, SlotHash::low);
  CHECK(low.products == 4);
  CHECK(low.entries == 3);
  CHECK(low.probes == 5);  // 257 has the low bits of 1, and finds 2 free
  CHECK(low.longest == 2);
  CHECK(low.fillings == 1);
  CHECK(low.overflows == 0);
  // 40 rows of B with 20 columns each: 600 different and more in one row of C, planned for one filling.
  const OwnedCsr wide = csr_of(
      1, 40, 1, [](int) { return 40; }, [](int, int n) { return n; });
  const OwnedCsr many = random_csr(40, 5000, 20, 5);
  const WindowPlan crowded =
      plan_windows(wide.view(), many.view(), {.slots = 256, .load = 4, .most_rows = 64});
  const HashStatistics again = hash_statistics(wide.view(), many.view(), crowded, SlotHash::mixed);
  CHECK(again.overflows > 0);
  CHECK(again.fillings > 2);
  CHECK(again.products == crowded.products());
  CHECK(again.entries ==
        static_cast<std::int64_t>(spgemm_reference<double>(wide.view(), many.view()).column.size()));
}

TEST_CASE("imbalance is the largest share over the mean", "[cpu]") {
  const std::vector<std::int64_t> products{10, 1, 1, 1, 10, 1, 1, 1};
  CHECK(row_imbalance(products, 4) == 20.0 * 4 / 26);
  // 6 entries of A that refer to rows of B with 3, 1, 1, 1, 1, 1 entries: two threads, a token an entry.
  const OwnedCsr a = csr_of(
      1, 6, 1, [](int) { return 6; }, [](int, int n) { return n; });
  const OwnedCsr b = csr_of(
      6, 10, 2, [](int i) { return i == 0 ? 3 : 1; }, [](int, int n) { return n; });
  CHECK(token_imbalance(a.view(), b.view(), 1, 2) == 1.0);   // 3 + 1 and 1 + 1 + 1 + 1
  CHECK(token_imbalance(a.view(), b.view(), 3, 2) == 1.25);  // 5 and 3
}
