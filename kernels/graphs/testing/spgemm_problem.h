// SPDX-License-Identifier: Apache-2.0
//
// Small sparse matrices for tests, and a product on a device with all its scratch.
#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <span>
#include <vector>

#include "kernels/device/device.h"
#include "kernels/device/philox.h"
#include "kernels/graphs/hash_spgemm.h"
#include "kernels/graphs/product_windows.h"

namespace remeasure::kernels::testing {

struct OwnedCsr {
  int rows = 0, columns = 0;
  std::vector<std::int32_t> row_pointers = {0}, column_indices = {};
  std::vector<float> values = {};

  HostCsr view() const { return {rows, columns, row_pointers, column_indices, values}; }
};

/// `per_row(i)` entries in row i at different places, chosen by place(i, n-th draw): values in (-1, 1).
template <class PerRow, class Place>
OwnedCsr csr_of(int rows, int columns, std::uint64_t seed, PerRow per_row, Place place) {
  OwnedCsr m{.rows = rows, .columns = columns};
  for (int i = 0; i < rows; ++i) {
    std::vector<std::int32_t> row;
    for (int n = 0; n < per_row(i); ++n) row.push_back(place(i, n));
    std::sort(row.begin(), row.end());
    row.erase(std::unique(row.begin(), row.end()), row.end());
    m.column_indices.insert(m.column_indices.end(), row.begin(), row.end());
    m.row_pointers.push_back(static_cast<std::int32_t>(m.column_indices.size()));
  }
  for (std::size_t e = 0; e < m.column_indices.size(); ++e)
    m.values.push_back(2 * uniform_float(philox(seed, e).word[3]) - 1);
  return m;
}

/// About `per_row` entries a row, anywhere.
inline OwnedCsr random_csr(int rows, int columns, int per_row, std::uint64_t seed) {
  return csr_of(
      rows, columns, seed, [&](int) { return per_row; },
      [&](int i, int n) {
        const Philox4 random =
            philox(seed + 100, static_cast<std::uint64_t>(i) * 4096 + static_cast<std::uint64_t>(n));
        return static_cast<std::int32_t>(random.word[0] % static_cast<std::uint32_t>(columns));
      });
}

/// Every third row empty, the others few; row `dense` has every column.
inline OwnedCsr ragged_csr(int rows, int columns, int dense, std::uint64_t seed) {
  return csr_of(
      rows, columns, seed, [&](int i) { return i == dense   ? columns
                                               : i % 3 == 0 ? 0
                                                            : 1 + i % 5; },
      [&](int i, int n) {
        if (i == dense) return static_cast<std::int32_t>(n);
        const Philox4 random =
            philox(seed + 100, static_cast<std::uint64_t>(i) * 4096 + static_cast<std::uint64_t>(n));
        return static_cast<std::int32_t>(random.word[1] % static_cast<std::uint32_t>(columns));
      });
}

struct DeviceProduct {
  std::vector<std::int32_t> row_pointers, column;
  std::vector<float> value;
  int overflows = 0;
};

/// The product by one version; `room` entries of C.
template <class Target>
DeviceProduct multiply(Device<Target>& device, const SmashVersion& version, const OwnedCsr& a,
                       const OwnedCsr& b, const TablePlan& table, std::size_t room) {
  Stream<Target> stream(device);
  const auto upload = [&](const auto& values) {
    using Value = typename std::decay_t<decltype(values)>::value_type;
    DeviceBuffer<Target, Value> buffer(device, values.size());
    stream.upload(std::span<const Value>(values), buffer.span());
    return buffer;
  };
  const WindowPlan plan = plan_windows(a.view(), b.view(), table);
  const auto windows = static_cast<std::size_t>(plan.windows()),
             products = static_cast<std::size_t>(plan.products());
  const auto rows = static_cast<std::size_t>(a.rows);
  auto a_rows = upload(a.row_pointers), a_column = upload(a.column_indices), b_rows = upload(b.row_pointers),
       b_column = upload(b.column_indices);
  auto a_value = upload(a.values), b_value = upload(b.values);
  auto count = upload(std::vector<std::int32_t>{plan.windows()});
  auto first_row = upload(plan.first_row);
  auto first_product = upload(plan.first_product);
  DeviceBuffer<Target, std::int32_t> counters(device, 2, MemoryUse::workspace, "counters"),
      entries(device, windows, MemoryUse::workspace, "window entries"),
      offset(device, windows + 1, MemoryUse::workspace, "window offset"),
      start(device, rows, MemoryUse::workspace, "row start"),
      fragment_column(device, products, MemoryUse::workspace, "fragment column"),
      row_pointers(device, rows + 1), column(device, room);
  DeviceBuffer<Target, float> fragment_value(device, products, MemoryUse::workspace, "fragment value"),
      unsorted(device, version.sums == SumPlace::fragments ? products : 0, MemoryUse::workspace, "unsorted"),
      value(device, room);
  hash_spgemm<Target>(stream, version, {a.rows, a.columns, a_rows, a_column, a_value},
                      {b.rows, b.columns, b_rows, b_column, b_value},
                      {table, count, first_row, first_product, plan.products()},
                      {counters, entries, offset, start, fragment_column, fragment_value, unsorted},
                      {row_pointers, column, value});
  DeviceProduct c{std::vector<std::int32_t>(rows + 1), std::vector<std::int32_t>(room),
                  std::vector<float>(room), 0};
  std::vector<std::int32_t> counted(2);
  stream.download(std::as_const(row_pointers).span(), std::span<std::int32_t>(c.row_pointers));
  const std::size_t written = std::min(room, static_cast<std::size_t>(c.row_pointers.back()));
  if (written > 0) {  // what lies behind isn't written
    stream.download(std::as_const(column).span().subspan(0, written),
                    std::span<std::int32_t>(c.column).first(written));
    stream.download(std::as_const(value).span().subspan(0, written),
                    std::span<float>(c.value).first(written));
  }
  stream.download(std::as_const(counters).span(), std::span<std::int32_t>(counted));
  c.overflows = counted[1];
  return c;
}

/// The windows as the device plans them.
template <class Target>
WindowPlan device_plan(Device<Target>& device, const OwnedCsr& a, const OwnedCsr& b, const TablePlan& table) {
  Stream<Target> stream(device);
  const auto upload = [&](const std::vector<std::int32_t>& values) {
    DeviceBuffer<Target, std::int32_t> buffer(device, values.size());
    stream.upload(std::span<const std::int32_t>(values), buffer.span());
    return buffer;
  };
  const auto rows = static_cast<std::size_t>(a.rows), parts = plan_parts(a.rows);
  auto a_rows = upload(a.row_pointers), a_column = upload(a.column_indices), b_rows = upload(b.row_pointers);
  DeviceBuffer<Target, std::int32_t> count(device, 1), first_row(device, rows + 1), start(device, rows),
      part_windows(device, 2 * parts);
  DeviceBuffer<Target, std::int64_t> first_product(device, rows + 1), products(device, rows),
      start_product(device, rows), part_products(device, 2 * parts);
  plan_windows<Target>(
      stream, {a.rows, a.columns, a_rows, a_column, {}}, {b.rows, b.columns, b_rows, {}, {}}, table, 0,
      {count, first_row, first_product, products, start, start_product, part_windows, part_products});
  std::vector<std::int32_t> windows(1);
  stream.download(std::as_const(count).span(), std::span<std::int32_t>(windows));
  const auto used = static_cast<std::size_t>(windows[0]) + 1;
  WindowPlan plan{.table = table,
                  .first_row = std::vector<std::int32_t>(used),
                  .first_product = std::vector<std::int64_t>(used)};
  stream.download(std::as_const(first_row).span().subspan(0, used), std::span<std::int32_t>(plan.first_row));
  stream.download(std::as_const(first_product).span().subspan(0, used),
                  std::span<std::int64_t>(plan.first_product));
  return plan;
}

}  // namespace remeasure::kernels::testing
