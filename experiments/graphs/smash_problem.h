// SPDX-License-Identifier: Apache-2.0
//
// A product of smash: its matrices, windows and oracle, and what its variants are compared by.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <string>
#include <vector>

#include "datasets/graphs/product_pair.h"
#include "experiments/vocabulary.h"
#include "kernels/graphs/hash_spgemm.h"
#include "kernels/graphs/hash_spgemm_reference.h"

namespace remeasure::experiments::smash_problem {

using kernels::HostCsr;
using kernels::TablePlan;
using kernels::WindowPlan;

/// Which pair, and the tables it is multiplied with.
struct PairChoice {
  std::string kind;
  std::int64_t n = 0, draws = 0;
  TablePlan table = {};
};

inline HostCsr view_of(const datasets::Csr& m) {
  return {m.rows, m.columns, m.row_pointers, m.column_indices, m.values};
}

struct Problem {
  datasets::ProductPair pair;
  WindowPlan plan;
  std::vector<std::int64_t> products_of_row;

  HostCsr a() const { return view_of(pair.a); }
  HostCsr b() const { return view_of(pair.b); }
  std::size_t products() const { return static_cast<std::size_t>(pair.products); }
  std::size_t entries() const { return static_cast<std::size_t>(pair.entries); }
  std::size_t rows() const { return static_cast<std::size_t>(pair.a.rows); }
};

inline Problem load(Trial& t, const PairChoice& choice, std::uint64_t seed) {
  const datasets::Opened opened = t.open(datasets::product_pair_definition,
                                         datasets::product_pair(choice.kind, choice.n, choice.draws, seed));
  Problem p{.pair = read_product_pair(*opened.reader), .plan = {}, .products_of_row = {}};
  p.products_of_row = products_of_rows(p.a(), p.b());
  p.plan = plan_windows(p.products_of_row, p.b().columns, choice.table);
  return p;
}

/// C in double by dense rows. Of large products every `stride`-th row, with the first and the last; then the
/// oracle samples.
struct Exact {
  kernels::SparseProduct<double> c;  ///< of the sampled rows
  std::vector<std::size_t> place;    ///< of each of its entries in C; empty if all rows are there
  std::vector<double> row_pointers;  ///< of all rows
};

/// The rows [first, last) of A, as a matrix.
inline kernels::SparseProduct<double> exact_rows(const Problem& p, int first, int last) {
  const HostCsr a = p.a();
  const auto begin = a.row_pointers[static_cast<std::size_t>(first)],
             end = a.row_pointers[static_cast<std::size_t>(last)];
  std::vector<std::int32_t> pointers;
  for (int row = first; row <= last; ++row)
    pointers.push_back(a.row_pointers[static_cast<std::size_t>(row)] - begin);
  const auto of = [&](auto span) {
    return span.subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin));
  };
  return kernels::spgemm_reference<double>(
      {last - first, a.columns, pointers, of(a.column_indices), of(a.values)}, p.b());
}

inline Exact exact_of(const Problem& p, int stride) {
  const auto rows = static_cast<int>(p.rows());
  Exact exact;
  if (stride == 1) {
    exact.c = exact_rows(p, 0, rows);
    exact.row_pointers.assign(exact.c.row_pointers.begin(), exact.c.row_pointers.end());
    return exact;
  }
  // Sizes of all rows by marking, then values of the sampled ones.
  std::vector<int> last(static_cast<std::size_t>(p.b().columns), -1);
  exact.row_pointers = {0};
  for (int row = 0; row < rows; ++row) {
    double entries = 0;
    for (const std::int32_t k : p.pair.a.row(row)) {
      for (const std::int32_t column : p.pair.b.row(k)) {
        if (std::exchange(last[static_cast<std::size_t>(column)], row) != row) ++entries;
      }
    }
    exact.row_pointers.push_back(exact.row_pointers.back() + entries);
  }
  const auto append = [](auto& to, const auto& from) { to.insert(to.end(), from.begin(), from.end()); };
  for (int row = 0; row < rows; row = row == rows - 1 ? rows : std::min(row + stride, rows - 1)) {
    const kernels::SparseProduct<double> one = exact_rows(p, row, row + 1);
    for (std::size_t e = 0; e < one.column.size(); ++e) {
      exact.place.push_back(static_cast<std::size_t>(exact.row_pointers[static_cast<std::size_t>(row)]) + e);
    }
    append(exact.c.column, one.column);
    append(exact.c.value, one.value);
    append(exact.c.magnitude, one.magnitude);
    append(exact.c.terms, one.terms);
  }
  return exact;
}

/// Scale of an entry: |A||B| times the number of roundings, two for each product.
inline std::vector<double> rounding_scale(const kernels::SparseProduct<double>& c) {
  std::vector<double> scale(c.value.size());
  for (std::size_t e = 0; e < scale.size(); ++e) scale[e] = 2 * c.terms[e] * c.magnitude[e];
  return scale;
}

inline void declare_oracles(Trial& t, const Exact& exact) {
  t.oracle("row pointers", 1, [&] { return OracleOutput{.values = exact.row_pointers}; });
  t.oracle("columns", 1, [&] {
    return OracleOutput{.values = {exact.c.column.begin(), exact.c.column.end()}, .indices = exact.place};
  });
  t.oracle("values", 1, [&] {
    return OracleOutput{.values = exact.c.value, .scale = rounding_scale(exact.c), .indices = exact.place};
  });
}

inline std::vector<Accept> accept_product() {
  return {{.output = "row pointers",
           .metric = ErrorMetric::mismatches,
           .limit = 0,
           .reason = "structure is exact"},
          {.output = "columns",
           .metric = ErrorMetric::mismatches,
           .limit = 0,
           .reason = "structure is exact, columns of a row ascend"},
          {.output = "values",
           .metric = ErrorMetric::max_scaled,
           .limit = std::ldexp(1.0, -24),
           .at_least = 1e-9,
           .reason = "f32: a rounding for each product and each addition, relative to (|A||B|)_ij"}};
}

}  // namespace remeasure::experiments::smash_problem
