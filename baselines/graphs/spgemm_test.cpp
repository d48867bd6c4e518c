// SPDX-License-Identifier: Apache-2.0
#include "baselines/graphs/spgemm.h"

#include <testing/catch.h>
#include <cmath>

#include "baselines/graphs/spgemm_dataflows.h"
#include "kernels/graphs/testing/spgemm_problem.h"

using namespace remeasure;
using namespace remeasure::baselines;
using namespace remeasure::kernels::testing;
using kernels::SparseProduct;
using kernels::spgemm_reference;

namespace {

/// Values within the rounding of as many sums in a type of 2^-bits.
template <class Scalar>
bool agrees(const SparseProduct<double>& exact, std::span<const Scalar> value, int bits) {
  if (value.size() != exact.value.size()) return false;
  for (std::size_t e = 0; e < value.size(); ++e) {
    const double bound = std::ldexp(2.0 * exact.terms[e], -bits) * exact.magnitude[e];
    if (!(std::abs(static_cast<double>(value[e]) - exact.value[e]) <= bound)) return false;
  }
  return true;
}

}  // namespace

TEST_CASE("Eigen's product by blocks of rows is the oracle's, with empty rows and dense ones", "[cpu]") {
  const OwnedCsr a = ragged_csr(1100, 90, 700, 11), b = ragged_csr(90, 300, 40, 12);
  const SparseProduct<double> exact = spgemm_reference<double>(a.view(), b.view());
  std::vector<std::int32_t> rows(1101), column(exact.column.size());
  std::vector<float> value(column.size());
  for (const int threads : {1, 0}) {
    spgemm_eigen(a.view(), b.view(), {rows, column, value}, threads);
    CHECK(rows == exact.row_pointers);
    CHECK(column == exact.column);
    CHECK(agrees<float>(exact, value, 24));
  }
  CHECK_THROWS_WITH(spgemm_eigen(a.view(), b.view(), {rows, std::span(column).first(10), value}),
                    Catch::Matchers::ContainsSubstring("room for 10"));
}

TEST_CASE("the three dataflows give one product, and count what they move", "[cpu]") {
  const OwnedCsr a = ragged_csr(100, 90, 50, 11), b = ragged_csr(90, 300, 40, 12);
  const SparseProduct<double> exact = spgemm_reference<double>(a.view(), b.view());
  const auto same = [&](const SparseProduct<double>& c) {
    return c.row_pointers == exact.row_pointers && c.column == exact.column &&
           agrees<double>(exact, c.value, 53);
  };
  const std::int64_t products = kernels::plan_windows(a.view(), b.view(), {}).products();
  DataflowTraffic inner, outer, rows;
  CHECK(same(inner_product(a.view(), b.view(), 1, inner)));
  CHECK(same(outer_product(a.view(), b.view(), outer)));
  CHECK(same(row_wise_product(a.view(), b.view(), rows)));
  for (const DataflowTraffic* traffic : {&inner, &outer, &rows}) CHECK(traffic->b_reads == products);
  CHECK(rows.index_reads == products + static_cast<std::int64_t>(a.column_indices.size()));
  CHECK(rows.partial_writes + rows.partial_reads == 0);
  CHECK(outer.partial_writes + outer.partial_reads == 2 * products);
  CHECK(inner.index_reads > 5 * rows.index_reads);
  DataflowTraffic some;
  const SparseProduct<double> part = inner_product(a.view(), b.view(), 7, some);
  CHECK(some.pairs < inner.pairs / 5);
  CHECK(part.row_pointers[4] == part.row_pointers[10]);  // rows between are left out
}

TEST_CASE("inner products count an index for each step of a merge", "[cpu]") {
  // Row {0, 2, 3} of A against columns {0: rows 1, 3} and {1: row 0} of B.
  const OwnedCsr a = csr_of(
      1, 4, 1, [](int) { return 3; }, [](int, int n) { return n == 0 ? 0 : n + 1; });
  const OwnedCsr b = csr_of(
      4, 3, 2, [](int i) { return i == 2 ? 0 : 1; }, [](int i, int) { return i == 0 ? 1 : 0; });
  DataflowTraffic traffic;
  const SparseProduct<double> c = inner_product(a.view(), b.view(), 1, traffic);
  CHECK(c.column == std::vector<std::int32_t>{0, 1});
  CHECK(traffic.pairs == 2);  // column 2 is empty
  CHECK(traffic.index_reads == 5 + 2);
  CHECK(traffic.b_reads == 2);
}

TEST_CASE("On a GPU cusparseSpGEMM gives sorted products, with estimation and without", "[gpu]") {
  if (Device<Cuda>::count() == 0) SKIP_TEST(Device<Cuda>::why_not());
  if constexpr (kBuiltWithCuda) {
    const OwnedCsr a = random_csr(2000, 1800, 12, 1), b = random_csr(1800, 2200, 9, 2);
    const SparseProduct<double> exact = spgemm_reference<double>(a.view(), b.view());
    Device<Cuda> device;
    Stream<Cuda> stream(device);
    const auto upload = [&](const auto& values) {
      using Value = typename std::decay_t<decltype(values)>::value_type;
      DeviceBuffer<Cuda, Value> buffer(device, values.size());
      stream.upload(std::span<const Value>(values), buffer.span());
      return buffer;
    };
    auto a_rows = upload(a.row_pointers), a_column = upload(a.column_indices),
         b_rows = upload(b.row_pointers), b_column = upload(b.column_indices);
    auto a_value = upload(a.values), b_value = upload(b.values);
    DeviceBuffer<Cuda, std::int32_t> rows(device, exact.row_pointers.size()),
        column(device, exact.column.size());
    DeviceBuffer<Cuda, float> value(device, exact.column.size());
    CusparseSpgemm product(stream, {a.rows, a.columns, a_rows, a_column, a_value},
                           {b.rows, b.columns, b_rows, b_column, b_value}, {rows, column, value});
    std::vector<std::int32_t> got_rows(rows.size()), got_column(column.size());
    std::vector<float> got(value.size());
    for (const bool estimated : {false, true, true}) {
      stream.fill_bytes(rows.span(), 0xcd);
      stream.fill_bytes(column.span(), 0xcd);
      stream.fill_bytes(value.span(), 0xcd);
      if (estimated)
        product.run_estimated();
      else
        product.run();
      stream.download(std::as_const(rows).span(), std::span<std::int32_t>(got_rows));
      stream.download(std::as_const(column).span(), std::span<std::int32_t>(got_column));
      stream.download(std::as_const(value).span(), std::span<float>(got));
      CHECK(got_rows == exact.row_pointers);
      CHECK(got_column == exact.column);
      CHECK(agrees<float>(exact, got, 24));
    }
    CHECK(product.setting().find("CUSPARSE_SPGEMM") == 0);
  }
}
