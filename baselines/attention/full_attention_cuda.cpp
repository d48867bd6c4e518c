// SPDX-License-Identifier: Apache-2.0
#include <cublas_v2.h>
#include <fmt/format.h>

#include "baselines/attention/full_attention.h"
#include "kernels/attention/row_softmax.h"

namespace remeasure::baselines {
namespace {

void check(cublasStatus_t status, const char* call) {
  if (status != CUBLAS_STATUS_SUCCESS) {
    throw DeviceError(fmt::format("{} failed: {} ({})", call, cublasGetStatusName(status), cublasGetStatusString(status)));
  }
}

/// cuBLAS picks its own workspace per stream; this is the size that NVIDIA recommends for Hopper, and an explicit one is
/// counted by the ledger.
constexpr std::size_t kWorkspaceBytes = 32u << 20;

}  // namespace

template <class Element>
struct FullAttentionCublas<Element>::State {
  State(Stream<Cuda>& s, const AttentionShape& sh, float sc)
      : stream(s), shape(sh), scale(sc), workspace(s.device(), kWorkspaceBytes, MemoryUse::workspace, "cublas") {
    check(cublasCreate(&handle), "cublasCreate");
    check(cublasSetStream(handle, static_cast<cudaStream_t>(stream.native())), "cublasSetStream");
    check(cublasSetWorkspace(handle, workspace.data(), kWorkspaceBytes), "cublasSetWorkspace");
  }
  ~State() { cublasDestroy(handle); }

  /// Row-major c[rows, columns] = alpha * a[rows, inner] * b for every head. cuBLAS is column-major, where the same memory
  /// holds c^T = b^T a^T; `b_operation` says whether b is [inner, columns] (N) or [columns, inner] (T).
  void multiply(int rows, int columns, int inner, float alpha, const void* a, const void* b, cublasOperation_t b_operation,
                void* c) {
    const float zero = 0;
    const auto stride = [](int x, int y) { return static_cast<long long>(x) * y; };
    constexpr cudaDataType kType = sizeof(Element) == 2 ? CUDA_R_16BF : CUDA_R_32F;
    constexpr cublasComputeType_t kCompute = sizeof(Element) == 2 ? CUBLAS_COMPUTE_32F : CUBLAS_COMPUTE_32F_FAST_TF32;
    check(cublasGemmStridedBatchedEx(handle, b_operation, CUBLAS_OP_N, columns, rows, inner, &alpha, b, kType,
                                     b_operation == CUBLAS_OP_N ? columns : inner, stride(columns, inner), a, kType, inner,
                                     stride(rows, inner), &zero, c, kType, columns, stride(rows, columns),
                                     shape.matrices(), kCompute, CUBLAS_GEMM_DEFAULT),
          "cublasGemmStridedBatchedEx");
  }

  Stream<Cuda>& stream;
  AttentionShape shape;
  float scale;
  DeviceBuffer<Cuda, std::uint8_t> workspace;
  cublasHandle_t handle = nullptr;
};

template <class Element>
FullAttentionCublas<Element>::FullAttentionCublas(Stream<Cuda>& stream, const AttentionShape& shape, float scale)
    : state_(std::make_unique<State>(stream, shape, scale)) {}
template <class Element>
FullAttentionCublas<Element>::~FullAttentionCublas() = default;

template <class Element>
void FullAttentionCublas<Element>::scores(DeviceSpan<Cuda, const Element> query, DeviceSpan<Cuda, const Element> key,
                                          DeviceSpan<Cuda, Element> scores) {
  const AttentionShape& shape = state_->shape;
  state_->multiply(shape.tokens, shape.tokens, shape.dim, state_->scale, query.data(), key.data(), CUBLAS_OP_T,
                   scores.data());
}

template <class Element>
void FullAttentionCublas<Element>::softmax(DeviceSpan<Cuda, const Element> scores,
                                           DeviceSpan<Cuda, Element> weights) {
  kernels::row_softmax<Cuda, Element>(state_->stream, state_->shape.rows(), state_->shape.tokens, scores,
                                      weights);
}

template <class Element>
void FullAttentionCublas<Element>::product(DeviceSpan<Cuda, const Element> weights, DeviceSpan<Cuda, const Element> value,
                                  DeviceSpan<Cuda, Element> out) {
  const AttentionShape& shape = state_->shape;
  state_->multiply(shape.tokens, shape.dim, shape.tokens, 1.0F, weights.data(), value.data(), CUBLAS_OP_N, out.data());
}

template class FullAttentionCublas<bfloat16>;
template class FullAttentionCublas<float>;

}  // namespace remeasure::baselines
