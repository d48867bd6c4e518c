// SPDX-License-Identifier: Apache-2.0
//
// cudnnConvolutionForward: deprecated since cuDNN 9, still there, and in front of the same kernels as the
// graph API.
#include <fmt/format.h>

#include <optional>
#include <type_traits>
#include <utility>

#include "baselines/matmul/choose.h"
#include "baselines/matmul/launch_time.h"
#include "baselines/precision/low_bit_convolution_cudnn.h"

#ifdef REMEASURE_HAS_CUDNN
#include "baselines/matmul/cudnn_handles.h"
#endif

namespace remeasure::baselines {

#ifdef REMEASURE_HAS_CUDNN

template <class Element>
struct LowBitConvolutionCudnn<Element>::State {
  static constexpr bool kInt8 = std::is_same_v<Element, std::int8_t>;

  State(Stream<Cuda>& on, const LowBitShape& of) : stream(on), shape(of) {
    // Of the supported combinations INT8_EXT_CONFIG (int8, int8, float; int32 sums) and PSEUDO_HALF_CONFIG
    // (half, float sums).
    const cudnnDataType_t in = kInt8 ? CUDNN_DATA_INT8 : CUDNN_DATA_HALF,
                          out = kInt8 ? CUDNN_DATA_FLOAT : CUDNN_DATA_HALF;
    check(cudnnSetStream(library, static_cast<cudaStream_t>(on.native())), "cudnnSetStream");
    check(cudnnSetTensor4dDescriptor(activations, CUDNN_TENSOR_NHWC, in, of.images, of.channels, of.height,
                                     of.width),
          "the activations' descriptor");
    check(cudnnSetFilter4dDescriptor(weights, in, CUDNN_TENSOR_NHWC, of.outputs, of.channels, of.kernel,
                                     of.kernel),
          "the weights' descriptor");
    check(cudnnSetTensor4dDescriptor(sums, CUDNN_TENSOR_NHWC, out, of.images, of.outputs, of.out_height,
                                     of.out_width),
          "the sums' descriptor");
    check(
        cudnnSetConvolution2dDescriptor(convolution, of.pad, of.pad, of.stride, of.stride, 1, 1,
                                        CUDNN_CROSS_CORRELATION, kInt8 ? CUDNN_DATA_INT32 : CUDNN_DATA_FLOAT),
        "the convolution's descriptor");
    check(cudnnSetConvolutionMathType(convolution, CUDNN_TENSOR_OP_MATH), "cudnnSetConvolutionMathType");
  }

  void execute(std::size_t algorithm, const Element* x, const Element* w, Sum* y) {
    const float one = 1, zero = 0;
    check(
        cudnnConvolutionForward(library, &one, activations, x, weights, w, convolution, algorithms[algorithm],
                                workspace.data(), workspace.size_bytes(), &zero, sums, y),
        "cudnnConvolutionForward");
  }
  void take_workspace(std::size_t algorithm) {
    workspace = {};  // the one before goes first: two needn't fit
    workspace = DeviceBuffer<Cuda, std::uint8_t>(stream.device(), candidates[algorithm].workspace_bytes + 1,
                                                 MemoryUse::workspace, "cudnn");
  }
  void tune(const Element* x, const Element* w, Sum* y) {
    for (int i = 0; i < CUDNN_CONVOLUTION_FWD_ALGO_COUNT; ++i) {
      const auto algorithm = static_cast<cudnnConvolutionFwdAlgo_t>(i);
      std::size_t bytes = 0;
      if (cudnnGetConvolutionForwardWorkspaceSize(library, activations, weights, convolution, sums, algorithm,
                                                  &bytes) != CUDNN_STATUS_SUCCESS) {
        continue;  // not for these types
      }
      algorithms.push_back(algorithm);
      candidates.push_back({fmt::format("cuDNN {} forward algorithm {}", cudnnGetVersion(), i), bytes});
    }
    chosen = choose_fastest(candidates, [&](std::size_t i) {
      take_workspace(i);
      return launch_seconds(stream, [&] { execute(i, x, w, y); });
    });
    take_workspace(chosen->index);
  }

  Stream<Cuda>& stream;
  LowBitShape shape;
  cudnn::Library library;
  cudnn::TensorDescriptor activations, sums;
  cudnn::FilterDescriptor weights;
  cudnn::ConvolutionDescriptor convolution;
  std::vector<cudnnConvolutionFwdAlgo_t> algorithms;
  std::vector<Candidate> candidates;  // one for each algorithm
  std::optional<Choice> chosen;
  DeviceBuffer<Cuda, std::uint8_t> workspace;
};

template <class Element>
std::string LowBitConvolutionCudnn<Element>::reason(const LowBitShape& s) {
  const auto behind = [&](int in, int out) { return (out - 1) * s.stride + s.kernel - in - s.pad; };
  if (behind(s.height, s.out_height) != s.pad || behind(s.width, s.out_width) != s.pad) {
    return "cuDNN pads both sides of a map alike";
  }
  if (State::kInt8 && (s.channels % 4 != 0 || s.outputs % 4 != 0))
    return "cuDNN's int8 convolution needs multiples of 4 channels";
  return {};
}

template <class Element>
LowBitConvolutionCudnn<Element>::LowBitConvolutionCudnn(Stream<Cuda>& stream, const LowBitShape& shape)
    : state_(std::make_unique<State>(stream, shape)) {}

template <class Element>
void LowBitConvolutionCudnn<Element>::operator()(DeviceSpan<Cuda, const Element> activations,
                                                 DeviceSpan<Cuda, const Element> weights,
                                                 DeviceSpan<Cuda, Sum> sums) {
  const LowBitShape& shape = state_->shape;
  kernels::check_low_bit_sizes("LowBitConvolutionCudnn",
                               {{"activations", activations.size(), shape.activation_codes()},
                                {"weights", weights.size(), shape.weight_codes()},
                                {"sums", sums.size(), shape.sums()}});
  if (!state_->chosen) state_->tune(activations.data(), weights.data(), sums.data());
  state_->execute(state_->chosen->index, activations.data(), weights.data(), sums.data());
}

template <class Element>
std::string LowBitConvolutionCudnn<Element>::setting() const {
  return state_->chosen ? state_->chosen->setting : std::string();
}

#else  // the variant says so and isn't run

template <class Element>
struct LowBitConvolutionCudnn<Element>::State {};
template <class Element>
std::string LowBitConvolutionCudnn<Element>::reason(const LowBitShape&) {
  return without_cudnn();
}
template <class Element>
LowBitConvolutionCudnn<Element>::LowBitConvolutionCudnn(Stream<Cuda>&, const LowBitShape&) {
  throw DeviceError(without_cudnn());
}
template <class Element>
void LowBitConvolutionCudnn<Element>::operator()(DeviceSpan<Cuda, const Element>,
                                                 DeviceSpan<Cuda, const Element>, DeviceSpan<Cuda, Sum>) {
  throw DeviceError(without_cudnn());
}
template <class Element>
std::string LowBitConvolutionCudnn<Element>::setting() const {
  return {};
}

#endif

template <class Element>
LowBitConvolutionCudnn<Element>::~LowBitConvolutionCudnn() = default;

template class LowBitConvolutionCudnn<std::int8_t>;
template class LowBitConvolutionCudnn<half>;

}  // namespace remeasure::baselines
