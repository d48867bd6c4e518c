// SPDX-License-Identifier: Apache-2.0
//
// What a certificate is worth: attacks inside the ball, the largest certified radius, interval propagation
// beside it.
#pragma once

#include <map>

#include "datasets/random.h"
#include "experiments/learning/faith_problem.h"

namespace remeasure::experiments::faith_bounds {

using kernels::Interval;

/// Numbers scaled so that they lie on the 2-ball's surface (factor 1) or within.
inline std::vector<double> on_ball(std::vector<double> numbers, double radius, double factor = 1) {
  double squares = 0;
  for (const double x : numbers) squares += x * x;
  for (double& x : numbers) x *= squares > 0 ? factor * radius / std::sqrt(squares) : 0;
  return numbers;
}

/// Smallest and largest margin that perturbations of a 2-ball reach: `random` directions, half of them on the
/// surface, and 10 steps towards the gradient's ends from each of `points` random points (for p = 2 that is
/// the gradient, normed; a sign for p = infinity).
struct Attack {
  double least = INFINITY, most = -INFINITY;
  std::size_t tried = 0;
};
inline Attack attack(const SentenceInputs& s, double radius, int random, int points, std::uint64_t seed) {
  const Perturbation p = s.perturbation(radius);
  const auto size = static_cast<std::size_t>(s.model.hidden);
  Attack result;
  const auto try_numbers = [&](const std::vector<double>& numbers) {
    const double margin = kernels::margin_at(s.model, s.label, s.embedding, p, numbers);
    result.least = std::min(result.least, margin);
    result.most = std::max(result.most, margin);
    ++result.tried;
  };
  const auto direction = [&](std::uint64_t which) {
    const datasets::Philox noise(seed, 77'000 + which);
    std::vector<double> numbers(size);
    for (std::size_t i = 0; i < size; ++i) numbers[i] = noise.normal(i);
    return numbers;
  };
  for (int i = 0; i < random; ++i)
    try_numbers(on_ball(direction(static_cast<std::uint64_t>(i)), radius, i % 2 == 0 ? 1 : (i % 97) / 97.0));
  for (int point = 0; point < points; ++point) {
    const std::vector<double> start = on_ball(direction(static_cast<std::uint64_t>(random + point)), radius,
                                              static_cast<double>(point) / points);
    const std::vector<double> up =
        on_ball(kernels::margin_gradient(s.model, s.label, s.embedding, p, start), radius);
    for (int step = 0; step < 10; ++step) {
      const double share = (step / 2 + 1) / 5.0, sign = step % 2 == 0 ? -1 : 1;
      std::vector<double> numbers(size);
      for (std::size_t i = 0; i < size; ++i) numbers[i] = (1 - share) * start[i] + sign * share * up[i];
      try_numbers(numbers);
    }
  }
  return result;
}

inline Interval linear_interval(const SentenceInputs& s, double radius) {
  const Perturbation p = s.perturbation(radius);
  return kernels::interval_of(kernels::margin_bounds<float>(s.model, s.label, s.embedding, p), p.ball);
}

/// The card's search, but up to 1: this embedding isn't BERT's.
struct CertifiedRadii {
  double linear = 0, intervals = 0;
};
inline CertifiedRadii certified_radii(const SentenceInputs& s, int steps = 10) {
  const double slack = kernels::rounding_slack(s.model, s.label);
  return {
      kernels::certified_radius([&](double r) { return linear_interval(s, r).lower; }, slack, 1e-5, 1, steps),
      kernels::certified_radius(
          [&](double r) {
            return kernels::margin_by_intervals(s.model, s.label, s.embedding, s.perturbation(r)).lower;
          },
          slack, 1e-5, 1, steps)};
}

/// Mean widths of the intervals after each step of the chain.
struct NodeWidth {
  std::string node;
  double linear = 0, intervals = 0;
};
inline std::vector<NodeWidth> node_widths(const SentenceInputs& s, double radius) {
  std::vector<NodeWidth> widths;
  const Perturbation p = s.perturbation(radius);
  const auto mean = [](std::span<const double> l, std::span<const double> u) {
    double sum = 0;
    for (std::size_t i = 0; i < l.size(); ++i) sum += u[i] - l[i];
    return sum / static_cast<double>(l.size());
  };
  kernels::margin_bounds<double>(
      s.model, s.label, s.embedding, p, 0,
      [&](const std::string& node, std::span<const double> l, std::span<const double> u) {
        widths.push_back({node, mean(l, u), 0});
      });
  std::size_t i = 0;
  kernels::margin_by_intervals(s.model, s.label, s.embedding, p,
                               [&](const std::string&, std::span<const double> l, std::span<const double> u) {
                                 widths.at(i++).intervals = mean(l, u);
                               });
  return widths;
}

}  // namespace remeasure::experiments::faith_bounds
