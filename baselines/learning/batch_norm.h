// SPDX-License-Identifier: Apache-2.0
//
// Batch normalisation with statistics of the whole batch, and ReLU: what a user of today runs. Channels last.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "baselines/matmul/without_cudnn.h"
#include "kernels/learning/batch_norm.h"

namespace remeasure::baselines {

/// y = max(0, gamma (x - mean) / sqrt(variance + epsilon) + beta) in Eigen, on all cores (threads = 0).
/// x, y: [rows, channels]; gamma, beta, mean, inverse_deviation: [channels]
void batch_norm_eigen(const kernels::BatchNormShape& shape, std::span<const float> gamma,
                      std::span<const float> beta, std::span<const float> x, std::span<float> y,
                      std::span<float> mean, std::span<float> inverse_deviation, int threads = 0);

struct BatchNormGradientSpans {
  std::span<float> x, gamma, beta;
};
/// Its gradient, from the statistics of the forward pass.
void batch_norm_backward_eigen(const kernels::BatchNormShape& shape, std::span<const float> gamma,
                               std::span<const float> beta, std::span<const float> mean,
                               std::span<const float> inverse_deviation, std::span<const float> x,
                               std::span<const float> gradient, const BatchNormGradientSpans& out,
                               int threads = 0);

/// cuDNN's fused batch normalisation and ReLU for training (CUDNN_BATCHNORM_SPATIAL_PERSISTENT, channels
/// last, f16): it keeps a channel's activations on the chip between the statistics and the normalisation
/// where they fit. Only where the CUDA toolkit is.
class BatchNormCudnn {
 public:
  /// Why it can't be used here, see baselines/matmul/without_cudnn.h; empty if it can.
  static std::string why_not() { return without_cudnn(); }

  /// Throws DeviceError where cuDNN doesn't take the shape.
  BatchNormCudnn(Stream<Cuda>& stream, const kernels::BatchNormShape& shape);
  ~BatchNormCudnn();
  BatchNormCudnn(const BatchNormCudnn&) = delete;
  BatchNormCudnn& operator=(const BatchNormCudnn&) = delete;

  struct Parameters {
    DeviceSpan<Cuda, const float> gamma, beta;
  };
  /// Keeps the ReLU's mask for `backward`.
  void forward(const Parameters& parameters, DeviceSpan<Cuda, const half> x, DeviceSpan<Cuda, half> y,
               DeviceSpan<Cuda, float> mean, DeviceSpan<Cuda, float> inverse_deviation);
  /// After `forward` of the same x.
  void backward(const Parameters& parameters, DeviceSpan<Cuda, const half> x, DeviceSpan<Cuda, const half> y,
                DeviceSpan<Cuda, const float> mean, DeviceSpan<Cuda, const float> inverse_deviation,
                DeviceSpan<Cuda, const half> gradient, DeviceSpan<Cuda, half> x_gradient,
                DeviceSpan<Cuda, float> gamma_gradient, DeviceSpan<Cuda, float> beta_gradient);
  std::string setting() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace remeasure::baselines
