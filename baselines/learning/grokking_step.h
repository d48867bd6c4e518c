// SPDX-License-Identifier: Apache-2.0
//
// A full-batch training step of kernels/learning/grokking_step.h as one writes it with libraries: the pairs
// are a one-hot matrix, each layer is a product, losses and optimiser are passes over arrays.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "baselines/matmul/without_cudnn.h"
#include "kernels/learning/grokking_step.h"

namespace remeasure::baselines {

using kernels::GrokkingLoss;
using kernels::GrokkingShape;
using kernels::PerpAdamW;

/// [rows, 2p]: 1 at x and at p + y.
std::vector<float> one_hot_pairs(const GrokkingShape& shape, std::span<const std::uint16_t> pairs);

/// Weights, moments and gradient as in grokking_step.h: flat.
struct HostTraining {
  std::span<const float> one_hot;         ///< [rows, 2p]
  std::span<const std::uint16_t> labels;  ///< [rows]
  std::span<const float> weights, mean, square;
  std::span<float> new_weights, new_mean, new_square, gradient;
  std::span<float> losses;  ///< [rows]
};

/// Eigen, all cores. Half is Eigen's, each operation rounded; the order of its sums is Eigen's too.
void grokking_step_eigen(const GrokkingShape& shape, GrokkingLoss loss, const PerpAdamW& optimizer, int step,
                         const HostTraining& arrays);

struct DeviceTraining {
  DeviceSpan<Cuda, const float> one_hot, weights, mean, square;
  DeviceSpan<Cuda, float> new_weights, new_mean, new_square, gradient;
};

/// cuBLAS's fastest products, cuDNN's ReLU and log-softmax with their gradients, cublasSdot and cublasSaxpy
/// for the projection, one kernel for AdamW. Cross-entropy in float alone. The first call chooses the
/// products and is to be made before anything is timed. Only in builds with the CUDA toolkit.
class LibraryGrokkingStep {
 public:
  /// Why it can't be used here, see baselines/matmul/without_cudnn.h; empty if it can.
  static std::string why_not() { return without_cudnn(); }
  LibraryGrokkingStep(Stream<Cuda>& stream, const GrokkingShape& shape, const PerpAdamW& optimizer,
                      std::span<const std::uint16_t> labels);
  ~LibraryGrokkingStep();
  LibraryGrokkingStep(const LibraryGrokkingStep&) = delete;
  LibraryGrokkingStep& operator=(const LibraryGrokkingStep&) = delete;

  /// The mean loss is left on the device: `loss` has one value.
  void operator()(int step, const DeviceTraining& arrays, DeviceSpan<Cuda, float> loss);
  std::string setting() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace remeasure::baselines
