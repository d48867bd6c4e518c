// SPDX-License-Identifier: Apache-2.0
#include <testing/catch.h>
#include <cmath>
#include <limits>
#include <set>
#include <string>
#include <vector>

#include "kernels/graphs/hash_spgemm_reference.h"
#include "kernels/graphs/testing/spgemm_problem.h"
#include "kernels/simt/engine.h"

using namespace remeasure;
using namespace remeasure::kernels;
using namespace remeasure::kernels::testing;

namespace {

constexpr SmashVersion kVersions[] = {kSmashV1, kSmashV2, kSmashV3, kSmashMixed};
constexpr TablePlan kSmallTable{.slots = 256, .load = 0.5, .most_rows = 64};

/// Structure exactly, values within terms rounded sums in f32 of the terms' magnitudes.
std::string difference(const DeviceProduct& c, const SparseProduct<double>& exact) {
  if (c.row_pointers != exact.row_pointers) return "row pointers";
  if (c.column != exact.column) return "columns";
  for (std::size_t e = 0; e < exact.value.size(); ++e) {
    const double bound = std::ldexp(2.0 * exact.terms[e], -24) * exact.magnitude[e];
    if (!(std::abs(static_cast<double>(c.value[e]) - exact.value[e]) <= bound))
      return "value of entry " + std::to_string(e);
  }
  return {};
}

template <class Target>
std::string wrong(Device<Target>& device, const SmashVersion& version, const OwnedCsr& a, const OwnedCsr& b,
                  const TablePlan& table) {
  const SparseProduct<double> exact = spgemm_reference<double>(a.view(), b.view());
  return difference(multiply(device, version, a, b, table, exact.column.size()), exact);
}

}  // namespace

TEST_CASE("hash_spgemm is the product, at odd sizes", "[simt]") {
  Device<Simt> device;
  for (const SmashVersion& version : kVersions) {
    INFO(version.name);
    REQUIRE(wrong(device, version, random_csr(1, 1, 1, 1), random_csr(1, 1, 1, 2), kSmallTable) == "");
    REQUIRE(wrong(device, version, random_csr(33, 65, 3, 3), random_csr(65, 31, 4, 4), kSmallTable) == "");
    REQUIRE(wrong(device, version, random_csr(130, 77, 7, 5), random_csr(77, 1000, 5, 6), kSmallTable) == "");
    REQUIRE(wrong(device, version, random_csr(200, 50, 2, 7), random_csr(50, 129, 2, 8),
                  {.slots = 512, .load = 0.25, .most_rows = 7}) == "");
  }
}

TEST_CASE("hash_spgemm leaves out empty rows, of A and of B, and takes dense ones", "[simt]") {
  Device<Simt> device;
  const OwnedCsr a = ragged_csr(100, 90, 50, 11), b = ragged_csr(90, 300, 40, 12);
  OwnedCsr nothing{.rows = 90, .columns = 300};
  nothing.row_pointers.assign(91, 0);
  OwnedCsr none{.rows = 0, .columns = 90};
  for (const SmashVersion& version : kVersions) {
    INFO(version.name);
    REQUIRE(wrong(device, version, a, b, kSmallTable) == "");
    REQUIRE(wrong(device, version, a, nothing, kSmallTable) == "");
    REQUIRE(wrong(device, version, none, b, kSmallTable) == "");
  }
}

TEST_CASE("A row with more products than a table is planned for takes several fillings by columns",
          "[simt]") {
  // Row 50 of A has every row of B, 1000 products and more for 128 planned.
  Device<Simt> device;
  const OwnedCsr a = ragged_csr(100, 90, 50, 11), b = random_csr(90, 777, 12, 13);
  for (const SmashVersion& version : kVersions) {
    INFO(version.name);
    REQUIRE(wrong(device, version, a, b, kSmallTable) == "");
  }
}

TEST_CASE("A window takes more entries of A than a block has threads", "[simt]") {
  Device<Simt> device;
  // Most rows of B are empty: 64 rows of A with 20 entries each fit one table.
  const OwnedCsr a = random_csr(70, 600, 20, 14);
  const OwnedCsr b = csr_of(
      600, 90, 15, [](int i) { return i % 16 == 0 ? 3 : 0; }, [](int i, int n) { return (i + 7 * n) % 90; });
  const TablePlan table{.slots = 1024, .load = 0.5, .most_rows = 64};
  REQUIRE(plan_windows(a.view(), b.view(), table).windows() == 2);
  for (const SmashVersion& version : kVersions) {
    INFO(version.name);
    REQUIRE(wrong(device, version, a, b, table) == "");
  }
}

TEST_CASE("More windows than threads have their offsets summed", "[simt]") {
  Device<Simt> device;
  const OwnedCsr a = random_csr(1100, 20, 2, 16), b = random_csr(20, 40, 1, 17);
  const TablePlan table{.slots = 256, .load = 0.5, .most_rows = 1};
  REQUIRE(plan_windows(a.view(), b.view(), table).windows() == 1100);
  REQUIRE(wrong(device, kSmashMixed, a, b, table) == "");
}

TEST_CASE("A table that overflows is found and its rows are run again with less", "[simt]") {
  Device<Simt> device;
  // Planned at load 4 with hardly any product shared: windows of several rows overflow, and rows do.
  const OwnedCsr a = random_csr(12, 64, 5, 21), b = random_csr(64, 5000, 24, 22);
  const OwnedCsr wide = csr_of(
      2, 64, 23, [](int i) { return 20 * i; }, [](int, int n) { return 3 * n; });
  const TablePlan crowded{.slots = 256, .load = 4, .most_rows = 64};
  for (const SmashVersion& version : kVersions) {
    INFO(version.name);
    for (const OwnedCsr& left : {a, wide}) {
      const SparseProduct<double> exact = spgemm_reference<double>(left.view(), b.view());
      const DeviceProduct c = multiply(device, version, left, b, crowded, exact.column.size());
      CHECK(c.overflows > 0);
      CHECK(difference(c, exact) == "");
      CHECK(multiply(device, version, left, b, kSmallTable, exact.column.size()).overflows == 0);
    }
  }
}

TEST_CASE("A row whose columns crowd together overflows its fillings by columns, and holds in the end",
          "[simt]") {
  Device<Simt> device;
  // 800 products of one row on 600 columns of 20000 among the first 600: of 4 planned fillings the first has
  // all.
  const OwnedCsr a = csr_of(
      3, 40, 31, [](int) { return 40; }, [](int, int n) { return n; });
  const OwnedCsr b = csr_of(
      40, 20'000, 32, [](int) { return 20; },
      [](int i, int n) {
        return static_cast<std::int32_t>(philox(33, static_cast<std::uint64_t>(i * 20 + n)).word[0] % 600u);
      });
  const SparseProduct<double> exact = spgemm_reference<double>(a.view(), b.view());
  for (const SmashVersion& version : kVersions) {
    INFO(version.name);
    const DeviceProduct c = multiply(device, version, a, b, kSmallTable, exact.column.size());
    CHECK(c.overflows > 0);
    CHECK(difference(c, exact) == "");
  }
}

TEST_CASE("hash_spgemm writes no more of C than there is room for, and says how much it would take",
          "[simt]") {
  Device<Simt> device;
  const OwnedCsr a = random_csr(33, 65, 3, 3), b = random_csr(65, 31, 4, 4);
  const SparseProduct<double> exact = spgemm_reference<double>(a.view(), b.view());
  const DeviceProduct c = multiply(device, kSmashMixed, a, b, kSmallTable, exact.column.size() / 2);
  CHECK(c.row_pointers == exact.row_pointers);
  CHECK(std::equal(c.column.begin(), c.column.end(), exact.column.begin()));
}

TEST_CASE("hash_spgemm is right under other schedules, and declares itself order dependent", "[simt]") {
  Device<Simt> device;
  // 12 columns: every entry sums dozens of products, whose order shows in the last bits.
  const OwnedCsr a = random_csr(40, 64, 30, 41), b = random_csr(64, 12, 8, 42);
  const SparseProduct<double> exact = spgemm_reference<double>(a.view(), b.view());
  for (const SmashVersion& version : kVersions) {
    INFO(version.name);
    std::set<std::vector<float>> results;
    const auto declared = device.engine().order_dependent_launches();
    for (const std::uint64_t seed : {0u, 1u, 2u, 3u}) {
      device.engine().set_schedule(seed);
      const DeviceProduct c = multiply(device, version, a, b, kSmallTable, exact.column.size());
      REQUIRE(difference(c, exact) == "");
      results.insert(c.value);
    }
    CHECK(device.engine().order_dependent_launches() == declared + 4);
    CHECK(results.size() > 1);  // else it could be declared bitwise
  }
}

TEST_CASE("hash_spgemm refuses what doesn't fit", "[simt]") {
  using Catch::Matchers::ContainsSubstring;
  Device<Simt> device;
  const OwnedCsr a = random_csr(10, 20, 2, 1), b = random_csr(20, 30, 2, 2);
  CHECK_THROWS_WITH(plan_windows(b.view(), b.view(), kSmallTable),
                    ContainsSubstring("A has 30 columns, B 20 rows"));
  CHECK_THROWS_WITH(plan_windows(a.view(), b.view(), {.slots = 300}),
                    ContainsSubstring("a power of two from 256"));
  CHECK_THROWS_WITH(plan_windows(a.view(), b.view(), {.load = 0}), ContainsSubstring("the load is positive"));
  const std::vector<std::int64_t> one{1};
  CHECK_THROWS_WITH(plan_windows(one, 1 << 28, kSmallTable), ContainsSubstring("at most 31 bits"));
  const SmashVersion unknown{"smash_v4", SlotHash::high, WorkShare::tokens, SumPlace::fragments};
  CHECK_THROWS_WITH(multiply(device, unknown, a, b, kSmallTable, 100),
                    ContainsSubstring("no kernel is compiled"));
}

TEST_CASE("On a GPU hash_spgemm is the product", "[gpu]") {
  if (Device<Cuda>::count() == 0) SKIP_TEST(Device<Cuda>::why_not());
  if constexpr (kBuiltWithCuda) {
    Device<Cuda> device;
    for (const SmashVersion& version : kVersions) {
      INFO(version.name);
      CHECK(wrong(device, version, random_csr(3000, 3000, 15, 61), random_csr(3000, 3000, 15, 62), {}) == "");
      CHECK(wrong(device, version, ragged_csr(1000, 900, 500, 63), random_csr(900, 20'000, 30, 64), {}) ==
            "");
      CHECK(wrong(device, version, random_csr(60, 64, 5, 21), random_csr(64, 5000, 40, 22),
                  {.slots = 256, .load = 4, .most_rows = 64}) == "");
      CHECK(wrong(device, version, random_csr(2000, 2000, 40, 65), random_csr(2000, 2000, 40, 66),
                  {.slots = 16'384, .load = 0.5, .most_rows = 64}) == "");
    }
  }
}
