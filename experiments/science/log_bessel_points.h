// SPDX-License-Identifier: Apache-2.0
//
// What the cases of log-bessel share: reference values, errors by branch, how a library does on a region,
// sub-boxes.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "baselines/science/bessel.h"
#include "bench/statistics.h"
#include "bench/trial.h"
#include "datasets/science/bessel_grid.h"
#include "kernels/science/log_bessel.h"
#include "kernels/science/log_bessel_oracle.h"
#include "kernels/science/log_bessel_reference.h"

namespace remeasure::experiments::log_bessel_points {

using datasets::BesselPoints;
using kernels::BesselBranch;
using kernels::LogBesselTable;

enum class Function { i, k };

inline void evaluate(Function function, std::span<const double> v, std::span<const double> x,
                     std::span<double> out, LogBesselTable table = {}, int threads = 1) {
  if (function == Function::i)
    kernels::log_iv_reference<double>(v, x, out, table, threads);
  else
    kernels::log_kv_reference<double>(v, x, out, table, threads);
}

inline baselines::BesselFunction function_of(const baselines::BesselLibrary& library, Function function) {
  return function == Function::i ? library.log_iv : library.log_kv;
}

/// Reference values in 113-bit arithmetic at up to `most` points, spread over the set, first and last among
/// them.
struct Reference {
  std::vector<std::size_t> indices;
  std::vector<double> values;
};

inline Reference reference_at(Function function, const BesselPoints& points, std::size_t most) {
  Reference result;
  const std::size_t n = points.v.size(), count = std::min(n, most);
  for (std::size_t i = 0; i < count; ++i)
    result.indices.push_back(count == 1 ? 0 : i * (n - 1) / (count - 1));
  result.values.resize(count);
  const auto part = [&](std::size_t first) {  // interleaved: the cost grows with x
    for (std::size_t i = first; i < count; i += 2) {
      const double v = points.v[result.indices[i]], x = points.x[result.indices[i]];
      result.values[i] =
          function == Function::i ? kernels::log_iv_oracle(v, x) : kernels::log_kv_oracle(v, x);
    }
  };
  const std::jthread other(part, 1);
  part(0);
  return result;
}

/// |error| / max(1, |reference|): relative, but where the logarithm crosses zero.
inline double scaled_error(double value, double reference) {
  return std::abs(value - reference) / std::max(1.0, std::abs(reference));
}

/// Errors of `out` at the reference points, by branch of the full table; "all" besides.
inline std::map<std::string, std::vector<double>> errors_by_branch(const BesselPoints& points,
                                                                   const Reference& reference,
                                                                   std::span<const double> out,
                                                                   LogBesselTable table) {
  std::map<std::string, std::vector<double>> errors;
  for (std::size_t i = 0; i < reference.indices.size(); ++i) {
    const std::size_t at = reference.indices[i];
    const BesselBranch branch = kernels::bessel_branch(table.table, table.guard, points.v[at], points.x[at]);
    const double error = scaled_error(out[at], reference.values[i]);
    errors["all"].push_back(error);
    errors[std::string(to_string(branch))].push_back(error);
  }
  return errors;
}

inline double largest(const std::vector<double>& values) {
  return *std::max_element(values.begin(), values.end());
}

inline void add_error_rows(reports::Table& table, const std::string& what,
                           const std::map<std::string, std::vector<double>>& errors) {
  for (const auto& [branch, values] : errors) {
    table.rows.push_back(
        {what, branch, fmt::format("{}", values.size()), fmt::format("{:.1e}", bench::median(values)),
         fmt::format("{:.1e}", bench::quantile(values, 0.99)), fmt::format("{:.1e}", largest(values))});
  }
}

/// What a library answers on all points, beforehand and untimed.
struct Answers {
  const baselines::BesselLibrary* library = nullptr;
  std::vector<char> right;  ///< finite, and within kLibraryError of the method
  double failing = 0;       ///< fraction: inf, 0 or nan
  double wrong = 0;         ///< fraction: finite, but not right
};

/// Loose: whether the library computes this function, not how well, is the question. (GSL's ln K is off by up
/// to 8e-9.)
inline constexpr double kLibraryError = 1e-6;
/// A library that fails on more than this share of a region has no time there.
inline constexpr double kMostFailing = 0.5;

inline Answers answers_of(const baselines::BesselLibrary& library, Function function,
                          const BesselPoints& points, std::span<const double> expected) {
  Answers answers{.library = &library, .right = std::vector<char>(points.v.size(), 0)};
  std::vector<double> out(points.v.size());
  function_of(library, function)(points.v, points.x, out);
  std::size_t failing = 0, wrong = 0;
  for (std::size_t i = 0; i < out.size(); ++i) {
    answers.right[i] = std::isfinite(out[i]) && scaled_error(out[i], expected[i]) <= kLibraryError;
    if (!std::isfinite(out[i]))
      ++failing;
    else if (answers.right[i] == 0)
      ++wrong;
  }
  answers.failing = static_cast<double>(failing) / static_cast<double>(out.size());
  answers.wrong = static_cast<double>(wrong) / static_cast<double>(out.size());
  return answers;
}

/// 10 x 5 sub-boxes of a region, equal in the region's own scale; each holds the indices of up to `most` of
/// its points.
inline std::vector<std::vector<std::size_t>> sub_boxes(const datasets::BesselRegion& region,
                                                       const BesselPoints& points, std::size_t most) {
  constexpr std::size_t kOrders = 10, kArguments = 5;
  std::vector<std::vector<std::size_t>> boxes(kOrders * kArguments);
  const auto place = [&](double value) {
    if (!region.logarithmic) return (value - region.low) / (region.high - region.low);
    return std::log(value / region.low) / std::log(region.high / region.low);
  };
  const auto cell = [](double at, std::size_t cells) {
    return std::min(cells - 1, static_cast<std::size_t>(std::max(0.0, at) * static_cast<double>(cells)));
  };
  for (std::size_t i = 0; i < points.v.size(); ++i) {
    auto& box = boxes[cell(place(points.v[i]), kOrders) * kArguments + cell(place(points.x[i]), kArguments)];
    if (box.size() < most) box.push_back(i);
  }
  std::erase_if(boxes, [](const auto& box) { return box.empty(); });
  return boxes;
}

inline BesselPoints points_of(const BesselPoints& points, const std::vector<std::size_t>& box) {
  BesselPoints result;
  for (const std::size_t i : box) {
    result.v.push_back(points.v[i]);
    result.x.push_back(points.x[i]);
  }
  return result;
}

}  // namespace remeasure::experiments::log_bessel_points
