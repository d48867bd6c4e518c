// SPDX-License-Identifier: Apache-2.0
#include <cublas_v2.h>
#include <fmt/format.h>

#include <cmath>
#include <map>

#include "baselines/learning/grokking_step.h"
#include "baselines/matmul/cublas_check.h"
#include "baselines/matmul/matmul.h"

#ifdef REMEASURE_HAS_CUDNN
#include "baselines/matmul/cudnn_handles.h"
#endif

namespace remeasure::baselines {

#ifdef REMEASURE_HAS_CUDNN

namespace {

/// cuBLAS is column-major: the transpose of the product, with its operands exchanged.
MatmulProblem problem_of(const kernels::DenseProduct& p) {
  return {.type = MatmulType::f32,
          .transpose_a = p.transpose_b,
          .transpose_b = p.transpose_a,
          .rows = p.columns,
          .columns = p.rows,
          .inner = p.inner};
}

}  // namespace

struct LibraryGrokkingStep::State {
  State(Stream<Cuda>& st, const GrokkingShape& sh, const PerpAdamW& how,
        std::span<const std::uint16_t> labels)
      : stream(st),
        shape(sh),
        optimizer(how),
        tensors(sh.tensors()),
        first(buffer(sh.pairs().activations())),
        second(buffer(sh.pairs().activations())),
        by_first(buffer(sh.pairs().activations())),
        by_second(buffer(sh.pairs().activations())),
        logits(buffer(sh.losses().logits())),
        log_shares(buffer(sh.losses().logits())),
        by_logits(buffer(sh.losses().logits())),
        by_log_shares(buffer(sh.losses().logits())),
        projected(buffer(static_cast<std::size_t>(tensors.total()))),
        library(st),
        cublas(st) {
    check(cudnnSetStream(dnn, static_cast<cudaStream_t>(stream.native())), "cudnnSetStream");
    check(cudnnSetTensor4dDescriptor(activations, CUDNN_TENSOR_NCHW, CUDNN_DATA_FLOAT, shape.rows,
                                     shape.hidden, 1, 1),
          "cudnnSetTensor4dDescriptor");
    check(cudnnSetTensor4dDescriptor(classes, CUDNN_TENSOR_NCHW, CUDNN_DATA_FLOAT, shape.rows, shape.modulus,
                                     1, 1),
          "cudnnSetTensor4dDescriptor");
    check(cudnnSetActivationDescriptor(relu, CUDNN_ACTIVATION_RELU, CUDNN_NOT_PROPAGATE_NAN, 0.0),
          "cudnnSetActivationDescriptor");
    // The loss is -log_shares at the labels, averaged: its gradient never changes.
    std::vector<float> constant(shape.losses().logits(), 0.0f);
    for (std::size_t i = 0; i < labels.size(); ++i)
      constant[i * static_cast<std::size_t>(shape.modulus) + labels[i]] =
          -1.0f / static_cast<float>(shape.rows);
    stream.upload(std::span<const float>(constant), by_log_shares.span());
    stream.synchronize();
  }

  DeviceBuffer<Cuda, float> buffer(std::size_t size) {
    return {stream.device(), size, MemoryUse::workspace, "workspace"};
  }
  void multiply(const kernels::DenseProduct& p, const float* a, const float* b, float* c) {
    const MatmulProblem problem = problem_of(p);
    products.try_emplace(problem, library, problem).first->second(b, a, c);
  }
  void activate(float* x) {
    const float one = 1, zero = 0;
    check(cudnnActivationForward(dnn, relu, &one, activations, x, &zero, activations, x),
          "cudnnActivationForward");
  }
  void activate_backward(const float* y, float* dy) {
    const float one = 1, zero = 0;
    check(cudnnActivationBackward(dnn, relu, &one, activations, y, activations, dy, activations, y, &zero,
                                  activations, dy),
          "cudnnActivationBackward");
  }

  /// Products of the first layer, which is dense here.
  kernels::DenseProduct to_first() const { return {shape.rows, shape.hidden, 2 * shape.modulus}; }
  kernels::DenseProduct by_input() const {
    return {2 * shape.modulus, shape.hidden, shape.rows, true, false};
  }

  void gradients(const DeviceTraining& a, DeviceSpan<Cuda, float> loss) {
    const float one = 1, zero = 0;
    const float* const w = a.weights.data();
    float* const g = a.gradient.data();
    const int* const at = tensors.begin;
    multiply(to_first(), a.one_hot.data(), w, first.data());
    activate(first.data());
    multiply(shape.to_hidden(), first.data(), w + at[1], second.data());
    activate(second.data());
    multiply(shape.to_output(), second.data(), w + at[2], logits.data());
    check(cudnnSoftmaxForward(dnn, CUDNN_SOFTMAX_LOG, CUDNN_SOFTMAX_MODE_INSTANCE, &one, classes,
                              logits.data(), &zero, classes, log_shares.data()),
          "cudnnSoftmaxForward");
    check(cublasSetPointerMode(cublas, CUBLAS_POINTER_MODE_DEVICE), "cublasSetPointerMode");
    check(cublasSdot(cublas, static_cast<int>(logits.size()), log_shares.data(), 1, by_log_shares.data(), 1,
                     loss.data()),
          "cublasSdot");
    check(cublasSetPointerMode(cublas, CUBLAS_POINTER_MODE_HOST), "cublasSetPointerMode");
    check(cudnnSoftmaxBackward(dnn, CUDNN_SOFTMAX_LOG, CUDNN_SOFTMAX_MODE_INSTANCE, &one, classes,
                               log_shares.data(), classes, by_log_shares.data(), &zero, classes,
                               by_logits.data()),
          "cudnnSoftmaxBackward");
    multiply(shape.by_output(), by_logits.data(), second.data(), g + at[2]);
    multiply(shape.from_output(), by_logits.data(), w + at[2], by_second.data());
    activate_backward(second.data(), by_second.data());
    multiply(shape.by_hidden(), by_second.data(), first.data(), g + at[1]);
    multiply(shape.from_hidden(), by_second.data(), w + at[1], by_first.data());
    activate_backward(first.data(), by_first.data());
    multiply(by_input(), a.one_hot.data(), by_first.data(), g);
  }

  /// Scalars come to the host between the calls, as cuBLAS's own examples have it.
  void project(const DeviceTraining& a) {
    stream.copy(DeviceSpan<Cuda, const float>(a.gradient), projected.span());
    for (int t = 0; t < tensors.count; ++t) {
      const int size = tensors.size(t);
      const float* const w = a.weights.data() + tensors.begin[t];
      float* const g = projected.data() + tensors.begin[t];
      float weights = 0, both = 0, before = 0, after = 0;
      check(cublasSdot(cublas, size, w, 1, w, 1, &weights), "cublasSdot");
      check(cublasSdot(cublas, size, w, 1, g, 1, &both), "cublasSdot");
      check(cublasSnrm2(cublas, size, g, 1, &before), "cublasSnrm2");
      const float along = -both / (weights + 1e-30f);
      check(cublasSaxpy(cublas, size, &along, w, 1, g, 1), "cublasSaxpy");
      check(cublasSnrm2(cublas, size, g, 1, &after), "cublasSnrm2");
      const float scale = before / (after + 1e-30f);
      check(cublasSscal(cublas, size, &scale, g, 1), "cublasSscal");
    }
  }

  Stream<Cuda>& stream;
  GrokkingShape shape;
  PerpAdamW optimizer;
  kernels::TensorList tensors;
  DeviceBuffer<Cuda, float> first, second, by_first, by_second, logits, log_shares, by_logits, by_log_shares,
      projected;
  MatmulLibrary library;
  std::map<MatmulProblem, Matmul> products;  // goes before the library
  CublasHandle cublas;
  cudnn::Library dnn;
  cudnn::TensorDescriptor activations, classes;
  cudnn::ActivationDescriptor relu;
};

LibraryGrokkingStep::LibraryGrokkingStep(Stream<Cuda>& stream, const GrokkingShape& shape,
                                         const PerpAdamW& optimizer, std::span<const std::uint16_t> labels)
    : state_(std::make_unique<State>(stream, shape, optimizer, labels)) {}
LibraryGrokkingStep::~LibraryGrokkingStep() = default;

void LibraryGrokkingStep::operator()(int step, const DeviceTraining& a, DeviceSpan<Cuda, float> loss) {
  State& s = *state_;
  s.gradients(a, loss);
  DeviceSpan<Cuda, const float> gradient = a.gradient;
  if (s.optimizer.project) {
    s.project(a);
    gradient = s.projected;
  }
  PerpAdamW adam = s.optimizer;
  adam.project = false;
  kernels::perp_adamw<Cuda>(s.stream, s.tensors, adam, step, gradient,
                            {a.weights, a.mean, a.square, a.new_weights, a.new_mean, a.new_square}, {});
}

std::string LibraryGrokkingStep::setting() const {
  std::string longest;
  double seconds = -1;
  for (const auto& [problem, product] : state_->products) {
    if (product.seconds() > seconds) seconds = product.seconds(), longest = product.setting();
  }
  return fmt::format("{} products; the longest: {}", state_->products.size(), longest);
}

#else

struct LibraryGrokkingStep::State {};
LibraryGrokkingStep::LibraryGrokkingStep(Stream<Cuda>&, const GrokkingShape&, const PerpAdamW&,
                                         std::span<const std::uint16_t>) {
  throw DeviceError(why_not());
}
LibraryGrokkingStep::~LibraryGrokkingStep() = default;
void LibraryGrokkingStep::operator()(int, const DeviceTraining&, DeviceSpan<Cuda, float>) {}
std::string LibraryGrokkingStep::setting() const {
  return {};
}

#endif

}  // namespace remeasure::baselines
