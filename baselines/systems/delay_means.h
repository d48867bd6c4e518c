// SPDX-License-Identifier: Apache-2.0
//
// Means of delay matrices by standard libraries: over the collectives of a window, then of its rows and
// columns.
#pragma once

#include <memory>
#include <span>

#include "kernels/device/device.h"
#include "kernels/systems/delay_localise.h"

namespace remeasure::baselines {

/// Eigen: rowwise().mean() over a window's collectives, then the means of rows and columns over what is sent,
/// in f32. delay: [windows, collectives, ranks, ranks]; mean: [windows, ranks, ranks]; row, column: [windows,
/// ranks]
void eigen_delay_means(const kernels::DelayShape& shape, std::span<const float> delay, std::span<float> mean,
                       std::span<float> row, std::span<float> column);

/// cuBLAS: three cublasSgemvStridedBatched with vectors of equal weights.
class CublasDelayMeans {
 public:
  CublasDelayMeans(Stream<Cuda>& stream, const kernels::DelayShape& shape);
  ~CublasDelayMeans();
  void operator()(DeviceSpan<Cuda, const float> delay, DeviceSpan<Cuda, float> mean,
                  DeviceSpan<Cuda, float> row, DeviceSpan<Cuda, float> column);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace remeasure::baselines
