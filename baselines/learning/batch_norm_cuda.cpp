// SPDX-License-Identifier: Apache-2.0
//
// cudnnBatchNormalization*Ex: deprecated since cuDNN 9 in favour of graphs, but still the library's fused
// kernels for channels-last f16. Where the data of a channel fit on the chip the forward pass reads x once.
#include "baselines/learning/batch_norm.h"

#include <fmt/format.h>

#include <algorithm>

#ifdef REMEASURE_HAS_CUDNN
#include "baselines/matmul/cudnn_handles.h"
#endif

namespace remeasure::baselines {

#ifdef REMEASURE_HAS_CUDNN

namespace {

constexpr auto kMode = CUDNN_BATCHNORM_SPATIAL_PERSISTENT;
constexpr auto kOps = CUDNN_BATCHNORM_OPS_BN_ACTIVATION;
constexpr float kOne = 1, kZero = 0;
constexpr double kMomentum = 0.1;

}  // namespace

struct BatchNormCudnn::State {
  State(Stream<Cuda>& s, const kernels::BatchNormShape& shape) : stream(s) {
    check(cudnnSetStream(handle, static_cast<cudaStream_t>(stream.native())), "cudnnSetStream");
    check(cudnnSetTensor4dDescriptor(values, CUDNN_TENSOR_NHWC, CUDNN_DATA_HALF, shape.images, shape.channels,
                                     shape.height, shape.width),
          "cudnnSetTensor4dDescriptor");
    check(cudnnDeriveBNTensorDescriptor(channels, values, kMode), "cudnnDeriveBNTensorDescriptor");
    check(cudnnSetActivationDescriptor(relu, CUDNN_ACTIVATION_RELU, CUDNN_PROPAGATE_NAN, 0),
          "cudnnSetActivationDescriptor");
    std::size_t forward_bytes = 0, backward_bytes = 0, reserve_bytes = 0;
    check(cudnnGetBatchNormalizationForwardTrainingExWorkspaceSize(handle, kMode, kOps, values, nullptr,
                                                                   values, channels, relu, &forward_bytes),
          "cudnnGetBatchNormalizationForwardTrainingExWorkspaceSize");
    check(cudnnGetBatchNormalizationBackwardExWorkspaceSize(handle, kMode, kOps, values, values, values,
                                                            nullptr, values, channels, relu, &backward_bytes),
          "cudnnGetBatchNormalizationBackwardExWorkspaceSize");
    check(cudnnGetBatchNormalizationTrainingExReserveSpaceSize(handle, kMode, kOps, relu, values,
                                                               &reserve_bytes),
          "cudnnGetBatchNormalizationTrainingExReserveSpaceSize");
    const auto buffer = [&](std::size_t bytes, const char* name) {
      return DeviceBuffer<Cuda, std::uint8_t>(stream.device(), std::max<std::size_t>(bytes, 1),
                                              MemoryUse::workspace, name);
    };
    workspace = buffer(std::max(forward_bytes, backward_bytes), "cudnn workspace");
    reserve = buffer(reserve_bytes, "cudnn reserve");
    const auto count = static_cast<std::size_t>(shape.channels);
    for (DeviceBuffer<Cuda, float>* running : {&running_mean, &running_variance}) {
      *running = DeviceBuffer<Cuda, float>(stream.device(), count, MemoryUse::workspace, "running averages");
      stream.fill_bytes(running->span(), 0);
    }
  }

  Stream<Cuda>& stream;
  cudnn::Library handle;
  cudnn::TensorDescriptor values, channels;
  cudnn::ActivationDescriptor relu;
  DeviceBuffer<Cuda, std::uint8_t> workspace, reserve;
  DeviceBuffer<Cuda, float> running_mean, running_variance;
};

BatchNormCudnn::BatchNormCudnn(Stream<Cuda>& stream, const kernels::BatchNormShape& shape)
    : state_(std::make_unique<State>(stream, shape)) {}

void BatchNormCudnn::forward(const Parameters& parameters, DeviceSpan<Cuda, const half> x,
                             DeviceSpan<Cuda, half> y, DeviceSpan<Cuda, float> mean,
                             DeviceSpan<Cuda, float> inverse_deviation) {
  State& s = *state_;
  check(cudnnBatchNormalizationForwardTrainingEx(
            s.handle, kMode, kOps, &kOne, &kZero, s.values, x.data(), nullptr, nullptr, s.values, y.data(),
            s.channels, parameters.gamma.data(), parameters.beta.data(), kMomentum, s.running_mean.data(),
            s.running_variance.data(), static_cast<double>(kernels::kBatchNormEpsilon), mean.data(),
            inverse_deviation.data(), s.relu, s.workspace.data(), s.workspace.size(), s.reserve.data(),
            s.reserve.size()),
        "cudnnBatchNormalizationForwardTrainingEx");
}

void BatchNormCudnn::backward(const Parameters& parameters, DeviceSpan<Cuda, const half> x,
                              DeviceSpan<Cuda, const half> y, DeviceSpan<Cuda, const float> mean,
                              DeviceSpan<Cuda, const float> inverse_deviation,
                              DeviceSpan<Cuda, const half> gradient, DeviceSpan<Cuda, half> x_gradient,
                              DeviceSpan<Cuda, float> gamma_gradient, DeviceSpan<Cuda, float> beta_gradient) {
  State& s = *state_;
  check(cudnnBatchNormalizationBackwardEx(
            s.handle, kMode, kOps, &kOne, &kZero, &kOne, &kZero, s.values, x.data(), s.values, y.data(),
            s.values, gradient.data(), nullptr, nullptr, s.values, x_gradient.data(), s.channels,
            parameters.gamma.data(), parameters.beta.data(), gamma_gradient.data(), beta_gradient.data(),
            static_cast<double>(kernels::kBatchNormEpsilon), mean.data(), inverse_deviation.data(), s.relu,
            s.workspace.data(), s.workspace.size(), s.reserve.data(), s.reserve.size()),
        "cudnnBatchNormalizationBackwardEx");
}

std::string BatchNormCudnn::setting() const {
  return fmt::format("cuDNN {}, spatial persistent, channels last, ReLU fused", cudnnGetVersion());
}

#else  // no cuDNN: the variant says so and isn't run

struct BatchNormCudnn::State {};

BatchNormCudnn::BatchNormCudnn(Stream<Cuda>&, const kernels::BatchNormShape&) {
  throw DeviceError(why_not());
}

void BatchNormCudnn::forward(const Parameters&, DeviceSpan<Cuda, const half>, DeviceSpan<Cuda, half>,
                             DeviceSpan<Cuda, float>, DeviceSpan<Cuda, float>) {
  throw DeviceError(why_not());
}

void BatchNormCudnn::backward(const Parameters&, DeviceSpan<Cuda, const half>, DeviceSpan<Cuda, const half>,
                              DeviceSpan<Cuda, const float>, DeviceSpan<Cuda, const float>,
                              DeviceSpan<Cuda, const half>, DeviceSpan<Cuda, half>, DeviceSpan<Cuda, float>,
                              DeviceSpan<Cuda, float>) {
  throw DeviceError(why_not());
}

std::string BatchNormCudnn::setting() const {
  return {};
}

#endif

BatchNormCudnn::~BatchNormCudnn() = default;

}  // namespace remeasure::baselines
