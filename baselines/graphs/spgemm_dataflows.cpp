// SPDX-License-Identifier: Apache-2.0
#include "baselines/graphs/spgemm_dataflows.h"

#include <algorithm>
#include <utility>

namespace remeasure::baselines {
namespace {

using kernels::HostCsr;
using kernels::SparseProduct;

std::size_t at(std::int64_t i) {
  return static_cast<std::size_t>(i);
}

/// A matrix by columns.
struct Columns {
  std::vector<std::int32_t> pointers, row;
  std::vector<double> value;
};

Columns columns_of(const HostCsr& m) {
  Columns result{std::vector<std::int32_t>(at(m.columns) + 1, 0),
                 std::vector<std::int32_t>(m.column_indices.size()),
                 std::vector<double>(m.column_indices.size())};
  for (const std::int32_t column : m.column_indices) ++result.pointers[at(column) + 1];
  for (std::size_t j = 0; j < at(m.columns); ++j) result.pointers[j + 1] += result.pointers[j];
  std::vector<std::int32_t> next(result.pointers.begin(), result.pointers.end() - 1);
  for (int i = 0; i < m.rows; ++i) {
    for (auto e = m.row_pointers[at(i)]; e < m.row_pointers[at(i) + 1]; ++e) {
      const auto place = at(next[at(m.column_indices[at(e)])]++);
      result.row[place] = i;
      result.value[place] = static_cast<double>(m.values[at(e)]);
    }
  }
  return result;
}

/// Sums a row of C and appends it.
class RowSums {
 public:
  explicit RowSums(std::int64_t columns) : sum_(at(columns), 0.0), seen_(at(columns), false) {}
  void add(std::int32_t column, double product) {
    if (!seen_[at(column)]) touched_.push_back(column);
    seen_[at(column)] = true;
    sum_[at(column)] += product;
  }
  void finish(SparseProduct<double>& c) {
    std::sort(touched_.begin(), touched_.end());
    for (const std::int32_t column : touched_) {
      c.column.push_back(column);
      c.value.push_back(std::exchange(sum_[at(column)], 0.0));
      seen_[at(column)] = false;
    }
    touched_.clear();
    c.row_pointers.push_back(static_cast<std::int32_t>(c.column.size()));
  }

 private:
  std::vector<double> sum_;
  std::vector<bool> seen_;
  std::vector<std::int32_t> touched_;
};

}  // namespace

SparseProduct<double> inner_product(const HostCsr& a, const HostCsr& b, int stride,
                                    DataflowTraffic& traffic) {
  const Columns of_b = columns_of(b);
  SparseProduct<double> c{.row_pointers = {0}};
  for (int i = 0; i < a.rows; ++i) {
    const auto begin = a.row_pointers[at(i)], end = a.row_pointers[at(i) + 1];
    for (int j = 0; j < b.columns && i % stride == stride / 2 && begin < end; ++j) {
      auto p = begin, q = of_b.pointers[at(j)];
      const auto last = of_b.pointers[at(j) + 1];
      if (q == last) continue;
      ++traffic.pairs;
      traffic.index_reads += 2;
      double sum = 0;
      bool any = false;
      while (p < end && q < last) {
        const auto k = a.column_indices[at(p)], l = of_b.row[at(q)];
        if (k == l) {
          sum += static_cast<double>(a.values[at(p)]) * of_b.value[at(q)];
          any = true;
          ++traffic.b_reads;
        }
        const int steps = (k <= l ? 1 : 0) + (l <= k ? 1 : 0);
        if (k <= l) ++p;
        if (l <= k) ++q;
        if (p < end && q < last) traffic.index_reads += steps;
      }
      if (!any) continue;
      c.column.push_back(j);
      c.value.push_back(sum);
    }
    c.row_pointers.push_back(static_cast<std::int32_t>(c.column.size()));
  }
  return c;
}

SparseProduct<double> outer_product(const HostCsr& a, const HostCsr& b, DataflowTraffic& traffic) {
  struct Partial {
    std::int32_t column;
    double value;
  };
  const Columns of_a = columns_of(a);
  std::vector<std::vector<Partial>> partials(at(a.rows));  // of each row, in the order of k
  for (int k = 0; k < b.rows; ++k) {
    const auto begin = b.row_pointers[at(k)], end = b.row_pointers[at(k) + 1];
    const auto first = of_a.pointers[at(k)], last = of_a.pointers[at(k) + 1];
    if (begin == end || first == last) continue;
    traffic.index_reads += last - first;
    for (auto p = first; p < last; ++p) {
      for (auto q = begin; q < end; ++q) {
        partials[at(of_a.row[at(p)])].push_back(
            {b.column_indices[at(q)], of_a.value[at(p)] * static_cast<double>(b.values[at(q)])});
        ++traffic.partial_writes;
        ++traffic.b_reads;
        ++traffic.index_reads;
      }
    }
  }
  SparseProduct<double> c{.row_pointers = {0}};
  RowSums sums(b.columns);
  for (const std::vector<Partial>& row : partials) {
    for (const Partial& partial : row) {
      sums.add(partial.column, partial.value);
      ++traffic.partial_reads;
    }
    sums.finish(c);
  }
  return c;
}

SparseProduct<double> row_wise_product(const HostCsr& a, const HostCsr& b, DataflowTraffic& traffic) {
  SparseProduct<double> c{.row_pointers = {0}};
  RowSums sums(b.columns);
  for (int i = 0; i < a.rows; ++i) {
    for (auto p = a.row_pointers[at(i)]; p < a.row_pointers[at(i) + 1]; ++p) {
      const auto k = at(a.column_indices[at(p)]);
      ++traffic.index_reads;
      for (auto q = b.row_pointers[k]; q < b.row_pointers[k + 1]; ++q) {
        sums.add(b.column_indices[at(q)],
                 static_cast<double>(a.values[at(p)]) * static_cast<double>(b.values[at(q)]));
        ++traffic.b_reads;
        ++traffic.index_reads;
      }
    }
    sums.finish(c);
  }
  return c;
}

}  // namespace remeasure::baselines
