// SPDX-License-Identifier: Apache-2.0
//
// Column means of unit vectors and the length of the mean, by standard libraries.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "kernels/device/device.h"

namespace remeasure::baselines {

/// Eigen: one pass over the rows, sums in f64.  features: [rows, columns] row-major; mean: [columns]; length:
/// [1] Throws std::invalid_argument for sizes that don't fit.
void eigen_mean_resultant(std::size_t rows, std::size_t columns, std::span<const float> features,
                          std::span<double> mean, std::span<double> length);

/// cuBLAS: features^T times a vector of 1/rows (Sgemv), then Snrm2, all in f32, the dtype of the features.
class CublasMeanResultant {
 public:
  CublasMeanResultant(Stream<Cuda>& stream, std::size_t rows, std::size_t columns);
  ~CublasMeanResultant();
  CublasMeanResultant(const CublasMeanResultant&) = delete;
  CublasMeanResultant& operator=(const CublasMeanResultant&) = delete;
  /// mean: [columns]; length: [1]
  void operator()(DeviceSpan<Cuda, const float> features, DeviceSpan<Cuda, float> mean,
                  DeviceSpan<Cuda, float> length);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace remeasure::baselines
