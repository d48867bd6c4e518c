// SPDX-License-Identifier: Apache-2.0
#include "bench/statistics.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>

namespace remeasure::bench {
namespace {

std::vector<double> sorted(std::span<const double> sample) {
  if (sample.empty()) throw std::invalid_argument("statistics: no samples");
  for (std::size_t i = 0; i < sample.size(); ++i) {
    if (!std::isfinite(sample[i])) {
      throw std::invalid_argument("statistics: sample " + std::to_string(i) + " of " +
                                  std::to_string(sample.size()) + " isn't finite");
    }
  }
  std::vector<double> copy(sample.begin(), sample.end());
  std::sort(copy.begin(), copy.end());
  return copy;
}

double quantile_of_sorted(const std::vector<double>& values, double probability) {
  const double position = probability * static_cast<double>(values.size() - 1);
  const auto below = static_cast<std::size_t>(position);
  const std::size_t above = std::min(below + 1, values.size() - 1);
  const double weight = position - static_cast<double>(below);
  return values[below] + weight * (values[above] - values[below]);
}

/// Median of a scratch copy, in linear time: the bootstrap calls it a thousand times.
double median_in_place(std::vector<double>& values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  if (values.size() % 2 == 1) return *middle;
  return (*std::max_element(values.begin(), middle) + *middle) / 2;
}

/// SplitMix64 (Steele, Lea, Flood 2014): each draw depends on (seed, index) alone.
std::uint64_t random_bits(std::uint64_t seed, std::uint64_t index) {
  std::uint64_t z = seed + (index + 1) * 0x9E3779B97F4A7C15ULL;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
  return z ^ (z >> 31);
}

/// P(Binomial(n, 1/2) <= k), summed in logarithms so that n = 10^5 doesn't underflow.
double binomial_half_cdf(std::size_t n, std::size_t k) {
  const double log_total = static_cast<double>(n) * std::log(0.5);
  const double size = static_cast<double>(n);
  double sum = 0;
  for (std::size_t i = 0; i <= k; ++i) {
    const double drawn = static_cast<double>(i);
    sum +=
        std::exp(std::lgamma(size + 1) - std::lgamma(drawn + 1) - std::lgamma(size - drawn + 1) + log_total);
  }
  return std::min(sum, 1.0);
}

}  // namespace

double median(std::span<const double> sample) {
  return quantile_of_sorted(sorted(sample), 0.5);
}

double quantile(std::span<const double> sample, double probability) {
  if (!(probability >= 0 && probability <= 1)) {
    throw std::invalid_argument("quantile: probability " + std::to_string(probability) + " isn't in [0, 1]");
  }
  return quantile_of_sorted(sorted(sample), probability);
}

double median_absolute_deviation(std::span<const double> sample) {
  std::vector<double> distances = sorted(sample);
  const double centre = quantile_of_sorted(distances, 0.5);
  for (double& value : distances) value = std::abs(value - centre);
  return median_in_place(distances);
}

MedianInterval median_interval(std::span<const double> sample, double confidence) {
  if (!(confidence > 0 && confidence < 1)) {
    throw std::invalid_argument("median_interval: confidence " + std::to_string(confidence) +
                                " isn't in (0, 1)");
  }
  const std::vector<double> values = sorted(sample);
  const std::size_t n = values.size();
  // The interval [x_(k+1), x_(n-k)] misses the median with probability 2 P(B <= k); the largest k that is
  // still allowed gives the shortest interval. The normal quantile is a starting point close to it, so few k
  // are tried.
  const double tail = (1 - confidence) / 2;
  const double spread = std::sqrt(static_cast<double>(n)) / 2;
  const double guess = static_cast<double>(n) / 2 - 4 * spread;
  std::size_t k = guess > 0 ? static_cast<std::size_t>(guess) : 0;
  double below = binomial_half_cdf(n, k);
  while (k > 0 && below > tail) below = binomial_half_cdf(n, --k);
  if (below > tail) {  // even the whole range isn't sure enough
    return {values.front(), values.back(), n == 1 ? 0 : 1 - 2 * below};
  }
  while (2 * (k + 1) < n) {
    const double next = binomial_half_cdf(n, k + 1);
    if (next > tail) break;
    ++k;
    below = next;
  }
  return {values[k], values[n - 1 - k], 1 - 2 * below};
}

reports::Estimate estimate(std::span<const double> sample) {
  const MedianInterval interval = median_interval(sample);
  return {median(sample), interval.low, interval.high};
}

double relative_width(std::span<const double> sample) {
  if (sample.size() == 1) {
    static_cast<void>(sorted(sample));
    return std::numeric_limits<double>::infinity();
  }
  const reports::Estimate e = estimate(sample);
  if (e.high == e.low) return 0;
  return e.median == 0 ? std::numeric_limits<double>::infinity() : (e.high - e.low) / std::abs(e.median);
}

reports::Estimate ratio_of_medians(std::span<const double> base, std::span<const double> variant,
                                   std::uint64_t seed, int resamples) {
  if (resamples < 1) throw std::invalid_argument("ratio_of_medians: resamples must be positive");
  const double denominator = median(variant);
  const double ratio = median(base) / denominator;
  if (!(denominator > 0))
    throw std::invalid_argument("ratio_of_medians: the variant's median isn't positive");

  std::uint64_t draw = 0;
  std::vector<double> resampled;
  const auto median_of_resample = [&](std::span<const double> sample) {
    resampled.resize(sample.size());
    for (double& value : resampled) value = sample[random_bits(seed, draw++) % sample.size()];
    return median_in_place(resampled);
  };
  std::vector<double> ratios(static_cast<std::size_t>(resamples));
  for (double& value : ratios) {
    const double numerator = median_of_resample(base);
    value = numerator / median_of_resample(variant);
  }
  std::sort(ratios.begin(), ratios.end());
  return {ratio, quantile_of_sorted(ratios, 0.025), quantile_of_sorted(ratios, 0.975)};
}

PowerLaw fit_power_law(std::span<const double> x, std::span<const double> y) {
  const auto positive = [](double value) { return value > 0 && std::isfinite(value); };
  if (x.size() != y.size() || !std::all_of(x.begin(), x.end(), positive) ||
      !std::all_of(y.begin(), y.end(), positive)) {
    throw std::invalid_argument("fit_power_law: " + std::to_string(x.size()) + " and " +
                                std::to_string(y.size()) +
                                " values; it takes equal numbers of positive ones");
  }
  const auto n = static_cast<double>(x.size());
  double mean_x = 0, mean_y = 0, xx = 0, xy = 0, residual = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    mean_x += std::log(x[i]) / n;
    mean_y += std::log(y[i]) / n;
  }
  for (std::size_t i = 0; i < x.size(); ++i) {
    xx += (std::log(x[i]) - mean_x) * (std::log(x[i]) - mean_x);
    xy += (std::log(x[i]) - mean_x) * (std::log(y[i]) - mean_y);
  }
  if (!(xx > 0)) throw std::invalid_argument("fit_power_law: all sizes are the same; a slope needs two");
  const double exponent = xy / xx;
  for (std::size_t i = 0; i < x.size(); ++i) {
    residual += std::pow(std::log(y[i]) - mean_y - exponent * (std::log(x[i]) - mean_x), 2);
  }
  return {exponent, n > 2 ? std::sqrt(residual / (n - 2) / xx) : 0};
}

}  // namespace remeasure::bench
