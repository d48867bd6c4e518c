// SPDX-License-Identifier: Apache-2.0
#include "bench/accuracy.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

namespace remeasure::bench {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

double largest_magnitude(std::span<const double> values) {
  double largest = 0;
  for (const double value : values) {
    if (std::isfinite(value)) largest = std::max(largest, std::abs(value));
  }
  return largest;
}

/// |out - ref|, where an infinite reference (log 0) demands the same infinity.
double distance(double out, double reference) {
  if (std::isfinite(out) && std::isfinite(reference)) return std::abs(out - reference);
  return out == reference ? 0 : kInfinity;
}

void check_arguments(std::span<const double> out, std::span<const double> reference,
                     std::span<const double> scale) {
  if (out.size() != reference.size()) {
    throw std::invalid_argument("error_of: " + std::to_string(out.size()) +
                                " values compared with a reference of " + std::to_string(reference.size()));
  }
  if (reference.empty()) throw std::invalid_argument("error_of: the reference is empty");
  for (std::size_t i = 0; i < reference.size(); ++i) {
    if (std::isnan(reference[i])) {
      throw std::invalid_argument("error_of: the reference is NaN at element " + std::to_string(i));
    }
  }
  if (scale.empty()) return;
  if (scale.size() != reference.size()) {
    throw std::invalid_argument("error_of: " + std::to_string(scale.size()) + " scales for a reference of " +
                                std::to_string(reference.size()));
  }
  for (std::size_t i = 0; i < scale.size(); ++i) {
    if (!(scale[i] > 0 && std::isfinite(scale[i]))) {
      throw std::invalid_argument("error_of: the scale of element " + std::to_string(i) +
                                  " isn't positive and finite");
    }
  }
}

/// sqrt(sum of squares) of values that are divided by `unit` first, so that 1e300 doesn't overflow.
template <class ValueAt>
double norm(std::size_t size, double unit, ValueAt value_at) {
  double sum = 0;
  for (std::size_t i = 0; i < size; ++i) {
    const double value = value_at(i) / unit;
    sum += value * value;
  }
  return std::sqrt(sum);
}

ErrorValue relative_l2(std::span<const double> out, std::span<const double> reference,
                       std::span<const double> scale, std::int64_t worst) {
  const double largest = largest_magnitude(reference);
  const double unit = largest > 0 ? largest : largest_magnitude(scale);
  const auto finite = [&](std::size_t i, double value) { return std::isfinite(reference[i]) ? value : 0; };
  const double below =
      largest > 0 ? norm(reference.size(), unit, [&](std::size_t i) { return finite(i, reference[i]); })
                  : norm(scale.size(), unit, [&](std::size_t i) { return scale[i]; });
  const double above = norm(out.size(), unit, [&](std::size_t i) { return distance(out[i], reference[i]); });
  return {std::isnan(above) ? kInfinity : above / below, worst};
}

}  // namespace

ErrorValue error_of(ErrorMetric metric, std::span<const double> out, std::span<const double> reference,
                    std::span<const double> scale) {
  check_arguments(out, reference, scale);
  if (metric == ErrorMetric::mismatches) {
    std::size_t different = 0;
    std::int64_t first = -1;
    for (std::size_t i = 0; i < out.size(); ++i) {
      if (out[i] == reference[i]) continue;  // NaN differs from everything
      if (different++ == 0) first = static_cast<std::int64_t>(i);
    }
    return {static_cast<double>(different) / static_cast<double>(out.size()), first};
  }

  const double common_scale = largest_magnitude(reference);
  if (scale.empty() && common_scale == 0) {
    throw std::invalid_argument(
        "error_of: the reference has no finite value but zero, so a relative error needs a scale");
  }
  std::vector<double> scaled(out.size());
  for (std::size_t i = 0; i < out.size(); ++i) {
    scaled[i] = distance(out[i], reference[i]) / (scale.empty() ? common_scale : scale[i]);
  }
  const auto worst = std::max_element(scaled.begin(), scaled.end());
  const std::int64_t worst_index = worst - scaled.begin();
  switch (metric) {
    case ErrorMetric::relative_l2:
      return relative_l2(out, reference, scale, worst_index);
    case ErrorMetric::max_scaled:
      return {*worst, worst_index};
    case ErrorMetric::median_scaled: {
      if (std::isinf(*worst)) return {kInfinity, worst_index};  // one NaN is a failure under every metric
      const auto middle = scaled.begin() + static_cast<std::ptrdiff_t>(scaled.size() / 2);
      std::nth_element(scaled.begin(), middle, scaled.end());
      const double upper = *middle;
      if (scaled.size() % 2 == 1) return {upper, worst_index};
      return {(*std::max_element(scaled.begin(), middle) + upper) / 2, worst_index};
    }
    case ErrorMetric::mismatches:
      break;
  }
  throw std::logic_error("error_of: unknown metric");
}

const char* to_string(ErrorMetric metric) {
  switch (metric) {
    case ErrorMetric::relative_l2:
      return "relative l2";
    case ErrorMetric::max_scaled:
      return "max scaled error";
    case ErrorMetric::median_scaled:
      return "median scaled error";
    case ErrorMetric::mismatches:
      return "mismatches";
  }
  return "unknown";
}

}  // namespace remeasure::bench
