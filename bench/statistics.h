// SPDX-License-Identifier: Apache-2.0
//
// The statistics behind every number in a table. Pure functions; all throw std::invalid_argument for an empty
// sample or one with NaN or Inf in it.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "reports/record.h"

namespace remeasure::bench {

double median(std::span<const double> sample);

/// Linear interpolation between order statistics (type 7 of Hyndman & Fan 1996, R's default); 0 <=
/// probability <= 1.
double quantile(std::span<const double> sample, double probability);

/// Median of the distances from the median, unscaled.
double median_absolute_deviation(std::span<const double> sample);

/// Distribution-free interval of the median between two order statistics: the number of values below the true
/// median is Binomial(n, 1/2), whatever the distribution. Fewer than 6 samples can't give 95 %: then it is
/// the whole range, and `coverage` says what that is worth (one sample: 0).
struct MedianInterval {
  double low = 0;
  double high = 0;
  double coverage = 0;  ///< probability that it holds the true median, for independent samples
};
MedianInterval median_interval(std::span<const double> sample, double confidence = 0.95);

/// Median with its 95 % interval.
reports::Estimate estimate(std::span<const double> sample);

/// Width of the 95 % interval relative to the median. A single sample has an infinite one.
double relative_width(std::span<const double> sample);

/// median(base) / median(variant) with a 95 % percentile-bootstrap interval: both samples are resampled
/// independently. The same arguments give the same bits.
reports::Estimate ratio_of_medians(std::span<const double> base, std::span<const double> variant,
                                   std::uint64_t seed, int resamples = 1000);

/// y = factor * x^exponent through the logarithms, by least squares: how a time grows with a size.
struct PowerLaw {
  double exponent = 0;
  double error = 0;  ///< standard error of the exponent; 0 for two points, which any line meets
};
/// Throws std::invalid_argument for fewer than two different x, differing numbers, and values that aren't
/// positive.
PowerLaw fit_power_law(std::span<const double> x, std::span<const double> y);

}  // namespace remeasure::bench
