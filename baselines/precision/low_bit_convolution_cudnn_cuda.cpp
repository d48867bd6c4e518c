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
#include <cudnn.h>
#endif

namespace remeasure::baselines {

#ifdef REMEASURE_HAS_CUDNN

namespace {

void check(cudnnStatus_t status, const char* call) {
  if (status == CUDNN_STATUS_SUCCESS) return;
  throw DeviceError(fmt::format("cuDNN: {} failed: {}", call, cudnnGetErrorString(status)));
}

/// A cuDNN object with its destroying function.
template <class Handle, cudnnStatus_t (*create)(Handle*), cudnnStatus_t (*destroy)(Handle)>
struct Owned {
  Owned() { check(create(&handle), "creating a descriptor"); }
  ~Owned() { destroy(handle); }
  Owned(const Owned&) = delete;
  Owned& operator=(const Owned&) = delete;
  Handle handle = nullptr;
};
using Library = Owned<cudnnHandle_t, cudnnCreate, cudnnDestroy>;
using Tensor = Owned<cudnnTensorDescriptor_t, cudnnCreateTensorDescriptor, cudnnDestroyTensorDescriptor>;
using Filter = Owned<cudnnFilterDescriptor_t, cudnnCreateFilterDescriptor, cudnnDestroyFilterDescriptor>;
using Convolution =
    Owned<cudnnConvolutionDescriptor_t, cudnnCreateConvolutionDescriptor, cudnnDestroyConvolutionDescriptor>;

}  // namespace

template <class Element>
struct LowBitConvolutionCudnn<Element>::State {
  static constexpr bool kInt8 = std::is_same_v<Element, std::int8_t>;

  State(Stream<Cuda>& on, const LowBitShape& of) : stream(on), shape(of) {
    // Of the supported combinations INT8_EXT_CONFIG (int8, int8, float; int32 sums) and PSEUDO_HALF_CONFIG
    // (half, float sums).
    const cudnnDataType_t in = kInt8 ? CUDNN_DATA_INT8 : CUDNN_DATA_HALF,
                          out = kInt8 ? CUDNN_DATA_FLOAT : CUDNN_DATA_HALF;
    check(cudnnSetStream(library.handle, static_cast<cudaStream_t>(on.native())), "cudnnSetStream");
    check(cudnnSetTensor4dDescriptor(activations.handle, CUDNN_TENSOR_NHWC, in, of.images, of.channels,
                                     of.height, of.width),
          "the activations' descriptor");
    check(cudnnSetFilter4dDescriptor(weights.handle, in, CUDNN_TENSOR_NHWC, of.outputs, of.channels,
                                     of.kernel, of.kernel),
          "the weights' descriptor");
    check(cudnnSetTensor4dDescriptor(sums.handle, CUDNN_TENSOR_NHWC, out, of.images, of.outputs,
                                     of.out_height, of.out_width),
          "the sums' descriptor");
    check(
        cudnnSetConvolution2dDescriptor(convolution.handle, of.pad, of.pad, of.stride, of.stride, 1, 1,
                                        CUDNN_CROSS_CORRELATION, kInt8 ? CUDNN_DATA_INT32 : CUDNN_DATA_FLOAT),
        "the convolution's descriptor");
    check(cudnnSetConvolutionMathType(convolution.handle, CUDNN_TENSOR_OP_MATH),
          "cudnnSetConvolutionMathType");
  }

  void execute(std::size_t algorithm, const Element* x, const Element* w, Sum* y) {
    const float one = 1, zero = 0;
    check(cudnnConvolutionForward(library.handle, &one, activations.handle, x, weights.handle, w,
                                  convolution.handle, algorithms[algorithm], workspace.data(),
                                  workspace.size_bytes(), &zero, sums.handle, y),
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
      if (cudnnGetConvolutionForwardWorkspaceSize(library.handle, activations.handle, weights.handle,
                                                  convolution.handle, sums.handle, algorithm,
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
  Library library;
  Tensor activations, sums;
  Filter weights;
  Convolution convolution;
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

namespace {
constexpr const char* kWithout =
    "built without cuDNN; install libcudnn9-dev-cuda-12 (or -13) and configure again";
}

template <class Element>
struct LowBitConvolutionCudnn<Element>::State {};
template <class Element>
std::string LowBitConvolutionCudnn<Element>::reason(const LowBitShape&) {
  return kWithout;
}
template <class Element>
LowBitConvolutionCudnn<Element>::LowBitConvolutionCudnn(Stream<Cuda>&, const LowBitShape&) {
  throw DeviceError(kWithout);
}
template <class Element>
void LowBitConvolutionCudnn<Element>::operator()(DeviceSpan<Cuda, const Element>,
                                                 DeviceSpan<Cuda, const Element>, DeviceSpan<Cuda, Sum>) {
  throw DeviceError(kWithout);
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
