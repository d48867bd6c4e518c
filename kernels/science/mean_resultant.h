// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

#include "kernels/device/device.h"

namespace remeasure::kernels {

/// Elements of the workspace of mean_resultant.
std::size_t mean_resultant_workspace(std::size_t rows, std::size_t columns);

/// Mean direction statistics of unit vectors: mean = column means of `features`, length = |mean|, the mean
/// resultant length R from which a von Mises-Fisher distribution is fitted. Sums in f64, in a fixed order:
/// bitwise deterministic.
///   features: [rows, columns] row-major;  mean: [columns];  length: [1]
/// Throws std::invalid_argument for sizes that don't fit, and for rows or columns of 0.
template <class Target>
void mean_resultant(Stream<Target>& stream, std::size_t rows, std::size_t columns,
                    DeviceSpan<Target, const float> features, DeviceSpan<Target, double> mean,
                    DeviceSpan<Target, double> length, DeviceSpan<Target, double> workspace);

/// What the three launches of mean_resultant do: floating-point operations, and bytes that each must read and
/// write.
struct MeanResultantWork {
  double flops = 0;
  double bytes = 0;
};
MeanResultantWork mean_resultant_work(std::size_t rows, std::size_t columns);

}  // namespace remeasure::kernels
