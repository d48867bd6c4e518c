// SPDX-License-Identifier: Apache-2.0
#include "kernels/graphs/product_windows.h"

#include <algorithm>
#include <bit>
#include <stdexcept>
#include <string>

namespace remeasure::kernels {
namespace {

constexpr int kFewestSlots = 256, kMostSlots = 16'384;

[[noreturn]] void refuse(const std::string& what) {
  throw std::invalid_argument("plan_windows: " + what);
}

void check(const HostCsr& matrix, const char* name) {
  check_csr_sizes(name, matrix.rows, matrix.columns, matrix.row_pointers.size(), matrix.column_indices.size(),
                  matrix.values.size());
  if (matrix.row_pointers.front() != 0 || matrix.row_pointers.back() != matrix.edges()) {
    refuse(std::string(name) + "'s row pointers go from " + std::to_string(matrix.row_pointers.front()) +
           " to " + std::to_string(matrix.row_pointers.back()) + ", not from 0 to " +
           std::to_string(matrix.edges()));
  }
}

}  // namespace

int TablePlan::slots_log2() const {
  return static_cast<int>(std::bit_width(static_cast<unsigned>(slots))) - 1;
}
int TablePlan::products() const {
  return std::max(1, static_cast<int>(load * slots));
}

std::vector<std::int64_t> products_of_rows(const HostCsr& a, const HostCsr& b) {
  check(a, "A");
  check(b, "B");
  if (a.columns != b.rows) {
    refuse("A has " + std::to_string(a.columns) + " columns, B " + std::to_string(b.rows) +
           " rows; they must be equal");
  }
  std::vector<std::int64_t> products(static_cast<std::size_t>(a.rows), 0);
  for (std::size_t i = 0; i < products.size(); ++i) {
    for (auto e = a.row_pointers[i]; e < a.row_pointers[i + 1]; ++e) {
      const auto k = static_cast<std::size_t>(a.column_indices[static_cast<std::size_t>(e)]);
      products[i] += b.row_pointers[k + 1] - b.row_pointers[k];
    }
  }
  return products;
}

void check_table(const TablePlan& table, std::int64_t columns) {
  const bool power = table.slots > 0 && std::has_single_bit(static_cast<unsigned>(table.slots));
  if (!power || table.slots < kFewestSlots || table.slots > kMostSlots || !(table.load > 0)) {
    refuse("a table of " + std::to_string(table.slots) + " slots at load " + std::to_string(table.load) +
           "; slots are a power of two from 256 to 16384, the load is positive");
  }
  if (table.most_rows < 1 || table.most_rows > kFewestSlots || columns > std::int64_t{1} << 30 ||
      bits_below(static_cast<int>(columns)) + bits_below(table.most_rows) > 31) {
    refuse(std::to_string(table.most_rows) + " rows a window and " + std::to_string(columns) +
           " columns; 1 to 256 rows, and a tag of row and column has at most 31 bits");
  }
}

WindowPlan plan_windows(std::span<const std::int64_t> products, std::int64_t columns,
                        const TablePlan& table) {
  check_table(table, columns);
  WindowPlan plan{.table = table, .first_row = {0}, .first_product = {0}};
  std::int64_t sum = 0;     // of the open window
  std::int64_t before = 0;  // of all rows before this one
  int rows = 0;
  for (std::size_t i = 0; i < products.size(); ++i) {
    if (rows > 0 && (sum + products[i] > table.products() || rows == table.most_rows || i % kPlanRows == 0)) {
      plan.first_row.push_back(static_cast<std::int32_t>(i));
      plan.first_product.push_back(before);
      sum = 0;
      rows = 0;
    }
    sum += products[i];
    before += products[i];
    ++rows;
  }
  if (rows > 0) {
    plan.first_row.push_back(static_cast<std::int32_t>(products.size()));
    plan.first_product.push_back(before);
  }
  return plan;
}

WindowPlan plan_windows(const HostCsr& a, const HostCsr& b, const TablePlan& table) {
  return plan_windows(products_of_rows(a, b), b.columns, table);
}

}  // namespace remeasure::kernels
