// SPDX-License-Identifier: Apache-2.0
#include "datasets/graphs/product_pair.h"

#include <testing/catch.h>
#include <algorithm>
#include <numeric>

#include "datasets/test_support.h"

using namespace remeasure::datasets;
using remeasure::datasets::testing::message_of;
using remeasure::datasets::testing::put_bytes;
using remeasure::datasets::testing::TemporaryFolder;

namespace {

ProductPair pair_of(const std::string& kind, std::int64_t n, std::int64_t draws, std::uint64_t seed = 1) {
  const TemporaryFolder folder;
  Store store(folder.path());
  const Opened opened = store.open(product_pair_definition, product_pair(kind, n, draws, seed));
  return read_product_pair(*opened.reader);
}

}  // namespace

TEST_CASE("pairs have the statistics of their kind", "[cpu]") {
  constexpr std::int64_t n = 4096, draws = 65'536;
  const ProductPair uniform = pair_of("uniform", n, draws), mild = pair_of("rmat40", n, draws),
                    skewed = pair_of("rmat45", n, draws), blocks = pair_of("blocks", n, draws);
  // n (draws / n)^2 products, where degrees don't depend on one another.
  CHECK(uniform.products > 0.97 * 16 * 16 * n);
  CHECK(uniform.products < 1.03 * 16 * 16 * n);
  CHECK(uniform.products / uniform.entries < 1.05);
  // More so the more the halves differ: (1 + skew of rows times skew of columns)^12 for what drawing twice
  // leaves.
  CHECK(mild.products > 1.5 * uniform.products);
  CHECK(skewed.products > 1.5 * mild.products);
  CHECK(skewed.products / skewed.entries > mild.products / mild.entries + 0.1);
  CHECK(blocks.products / blocks.entries > 1.15);
  std::int64_t inside = 0;
  for (std::int64_t row = 0; row < n; ++row) {
    for (const std::int32_t column : blocks.a.row(row)) inside += column / 32 == row / 32 ? 1 : 0;
  }
  CHECK(static_cast<double>(inside) > 0.55 * static_cast<double>(blocks.a.edges()));
  CHECK(static_cast<double>(inside) < 0.61 * static_cast<double>(blocks.a.edges()));
  for (const float value : skewed.b.values) REQUIRE((value > 0 && value < 1));
  const double mean = std::accumulate(skewed.b.values.begin(), skewed.b.values.end(), 0.0) /
                      static_cast<double>(skewed.b.edges());
  CHECK(std::abs(mean - 0.5) < 0.01);
  CHECK(skewed.a.column_indices != skewed.b.column_indices);
}

TEST_CASE("ragged pairs have empty rows and a dense one", "[cpu]") {
  const ProductPair pair = pair_of("ragged", 300, 1500);
  for (const Csr* matrix : {&pair.a, &pair.b}) {
    for (std::int64_t row = 0; row < 300; row += 3) {
      if (row != 150) CHECK(matrix->row(row).empty());
    }
    CHECK(matrix->row(150).size() == 300);
  }
}

TEST_CASE("products and entries of a pair are counted", "[cpu]") {
  ProductPair pair{.a = csr_of_edges(2, 3, std::vector<Edge>{{0, 0}, {0, 2}, {1, 1}}),
                   .b = csr_of_edges(3, 3, std::vector<Edge>{{0, 0}, {0, 1}, {2, 1}, {2, 2}})};
  count_product(pair);
  CHECK(pair.products == 4);  // row 1 of B is empty
  CHECK(pair.entries == 3);
}

TEST_CASE("a pair is imported from one MatrixMarket file or two, and from no other size", "[cpu]") {
  const TemporaryFolder folder;
  Store store(folder.path() / "store");
  const auto one = folder.path() / "one.mtx";
  put_bytes(one, "%%MatrixMarket matrix coordinate real general\n3 3 3\n1 2 0.5\n2 3 2\n3 3 -1\n");
  const Parameters parameters = product_pair("rmat40", 3, 3, 1);
  store.import(product_pair_definition, one, parameters);
  {
    const Opened opened = store.open(product_pair_definition, parameters);
    const ProductPair pair = read_product_pair(*opened.reader);
    CHECK_FALSE(opened.provenance.synthetic);
    CHECK(pair.a.values == std::vector<float>{0.5f, 2, -1});
    CHECK(pair.a.column_indices == pair.b.column_indices);
    CHECK(pair.products == 3);
  }
  const auto two = folder.path() / "two";
  std::filesystem::create_directory(two);
  std::filesystem::copy_file(one, two / "a.mtx");
  put_bytes(two / "b.mtx", "%%MatrixMarket matrix coordinate pattern general\n3 3 1\n2 1\n");
  store.import(product_pair_definition, two, parameters);
  const Opened opened = store.open(product_pair_definition, parameters);
  const ProductPair pair = read_product_pair(*opened.reader);
  CHECK(pair.b.values == std::vector<float>{1});
  CHECK(pair.products == 1);
  CHECK(message_of([&] {
          store.import(product_pair_definition, one, product_pair("rmat40", 4, 3, 1));
        }).find("the parameter says 4 x 4") != std::string::npos);
  CHECK(message_of([&] {
          store.make(product_pair_definition, product_pair("noise", 4, 3, 1));
        }).find("there are rmat40") != std::string::npos);
}
