// SPDX-License-Identifier: Apache-2.0
//
// Batch normalisation with sampled statistics in plain Eigen, a template on the scalar: in `double` the
// oracle, in `float` the timed CPU method and a layer of the small trainer. Everything throws
// std::invalid_argument for sizes that don't fit. threads: 0 = all cores.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/learning/batch_norm.h"

namespace remeasure::kernels {

/// Rows that give statistics together, and their weight among several such groups (a sample of the batch and
/// virtual images, say).
struct SampledRows {
  std::vector<std::int32_t> rows;
  double weight = 1;
};
/// Means and variances are the groups' own, averaged by weight; weights add up to 1.
using StatisticsSample = std::vector<SampledRows>;

std::vector<std::int32_t> rows_of(const BatchNormShape& shape, const SampleBox& box);

template <class Scalar>
struct ChannelStatistics {
  std::vector<Scalar> mean, variance;  ///< of all groups together
  /// of each group by itself: backward needs it
  std::vector<std::vector<Scalar>> group_mean;
  std::vector<Scalar> inverse_deviation() const;  ///< 1 / sqrt(variance + epsilon)
};

/// In two passes: means first.  x: [rows, channels], any number of channels
template <class Scalar>
ChannelStatistics<Scalar> statistics_reference(const BatchNormShape& shape, const StatisticsSample& sample,
                                               std::span<const Scalar> x, int threads = 1);

template <class Scalar>
struct BatchNormParameters {
  std::span<const Scalar> gamma, beta;
  bool relu = true;
};

template <class Scalar>
void normalize_reference(const BatchNormShape& shape, const ChannelStatistics<Scalar>& statistics,
                         const BatchNormParameters<Scalar>& parameters, std::span<const Scalar> x,
                         std::span<Scalar> y, int threads = 1);

template <class Scalar>
struct BatchNormGradients {
  std::vector<Scalar> x, gamma, beta;
};

/// Of gradient . y, by the mode; gamma and beta get their exact gradients in all. Each group makes its own
/// share, by weight.
template <class Scalar>
BatchNormGradients<Scalar> backward_reference(const BatchNormShape& shape, const StatisticsSample& sample,
                                              StatisticsGradient mode,
                                              const ChannelStatistics<Scalar>& statistics,
                                              const BatchNormParameters<Scalar>& parameters,
                                              std::span<const Scalar> x, std::span<const Scalar> gradient,
                                              int threads = 1);

}  // namespace remeasure::kernels
