// SPDX-License-Identifier: Apache-2.0
#include <cublas_v2.h>
#include <cusolverDn.h>
#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "baselines/learning/least_squares.h"

namespace remeasure::baselines {
namespace {

void check(cublasStatus_t status, const char* call) {
  if (status != CUBLAS_STATUS_SUCCESS) {
    throw DeviceError(
        fmt::format("{} failed: {} ({})", call, cublasGetStatusName(status), cublasGetStatusString(status)));
  }
}

void check(cusolverStatus_t status, const char* call) {
  if (status != CUSOLVER_STATUS_SUCCESS) {
    throw DeviceError(fmt::format("{} failed: cusolverStatus_t {}", call, static_cast<int>(status)));
  }
}

constexpr std::size_t kWorkspaceBytes = 32u << 20;

}  // namespace

struct LeastSquaresCuda::State {
  State(Stream<Cuda>& st, const SweepShape& sh, std::span<const int> list)
      : stream(st),
        shape(sh),
        sizes(list.begin(), list.end()),
        trials(static_cast<std::size_t>(sh.trials)),
        n(static_cast<std::size_t>(sh.samples)),
        features(static_cast<std::size_t>(sh.features)),
        gram(st.device(), trials * n * n, MemoryUse::workspace, "gram"),
        right_side(st.device(), trials * n, MemoryUse::workspace, "right sides"),
        error(st.device(), trials * features, MemoryUse::workspace, "errors"),
        weighted(st.device(), trials * features, MemoryUse::workspace, "weighted errors"),
        gram_pointers(st.device(), trials, MemoryUse::workspace, "pointers"),
        right_pointers(st.device(), trials, MemoryUse::workspace, "pointers"),
        noise(st.device(), trials, MemoryUse::workspace, "noise"),
        ones(st.device(), trials, MemoryUse::workspace, "ones"),
        info(st.device(), trials, MemoryUse::workspace, "info"),
        workspace(st.device(), kWorkspaceBytes, MemoryUse::workspace, "cublas") {
    check(cublasCreate(&cublas), "cublasCreate");
    const auto native = static_cast<cudaStream_t>(stream.native());
    check(cublasSetStream(cublas, native), "cublasSetStream");
    check(cublasSetWorkspace(cublas, workspace.data(), kWorkspaceBytes), "cublasSetWorkspace");
    check(cusolverDnCreate(&cusolver), "cusolverDnCreate");
    check(cusolverDnSetStream(cusolver, native), "cusolverDnSetStream");
    std::vector<float*> grams(trials), sides(trials);
    for (std::size_t t = 0; t < trials; ++t) {
      grams[t] = gram.data() + t * n * n;
      sides[t] = right_side.data() + t * n;
    }
    stream.upload(std::span<float* const>(grams), gram_pointers.span());
    stream.upload(std::span<float* const>(sides), right_pointers.span());
    stream.upload(std::span<const float>(std::vector<float>(trials, static_cast<float>(shape.noise))),
                  noise.span());
    stream.upload(std::span<const float>(std::vector<float>(trials, 1.0f)), ones.span());
    stream.synchronize();
  }
  ~State() {
    cublasDestroy(cublas);
    cusolverDnDestroy(cusolver);
  }

  /// c = alpha op(a) op(b) + beta c for every trial; strides in elements.
  void multiply(cublasOperation_t op_a, cublasOperation_t op_b, int rows, int columns, int inner, float alpha,
                const float* a, int lda, std::size_t stride_a, const float* b, int ldb, std::size_t stride_b,
                float beta, float* c, int ldc, std::size_t stride_c) {
    check(
        cublasSgemmStridedBatched(cublas, op_a, op_b, rows, columns, inner, &alpha, a, lda,
                                  static_cast<long long>(stride_a), b, ldb, static_cast<long long>(stride_b),
                                  &beta, c, ldc, static_cast<long long>(stride_c), shape.trials),
        "cublasSgemmStridedBatched");
  }

  void solve(int p, const SweepData<Cuda>& data) {
    const int samples = shape.samples, size = std::min(p, samples);
    const float* const x = data.x.data();  // column-major [n, D] for each trial
    const std::size_t x_stride = n * features;
    if (p > samples) {
      multiply(CUBLAS_OP_N, CUBLAS_OP_T, samples, samples, p, 1, x, samples, x_stride, x, samples, x_stride,
               0, gram.data(), samples, n * n);
      stream.copy(data.y, right_side.span());
    } else {
      multiply(CUBLAS_OP_T, CUBLAS_OP_N, p, p, samples, 1, x, samples, x_stride, x, samples, x_stride, 0,
               gram.data(), samples, n * n);
      multiply(CUBLAS_OP_T, CUBLAS_OP_N, p, 1, samples, 1, x, samples, x_stride, data.y.data(), samples, n, 0,
               right_side.data(), samples, n);
    }
    check(cusolverDnSpotrfBatched(cusolver, CUBLAS_FILL_MODE_LOWER, size, gram_pointers.data(), samples,
                                  info.data(), shape.trials),
          "cusolverDnSpotrfBatched");
    check(cusolverDnSpotrsBatched(cusolver, CUBLAS_FILL_MODE_LOWER, size, 1, gram_pointers.data(), samples,
                                  right_pointers.data(), samples, info.data(), shape.trials),
          "cusolverDnSpotrsBatched");
    const auto all = static_cast<int>(features);
    if (p > samples) {  // error = beta - X_p^T alpha
      multiply(CUBLAS_OP_T, CUBLAS_OP_N, p, 1, samples, -1, x, samples, x_stride, right_side.data(), samples,
               n, 1, error.data(), all, features);
    } else {
      const float minus = -1, one = 1;
      check(cublasSgeam(cublas, CUBLAS_OP_N, CUBLAS_OP_N, p, shape.trials, &one, error.data(), all, &minus,
                        right_side.data(), samples, error.data(), all),
            "cublasSgeam");
    }
  }

  Stream<Cuda>& stream;
  SweepShape shape;
  std::vector<int> sizes;
  std::size_t trials, n, features;
  DeviceBuffer<Cuda, float> gram, right_side, error, weighted;
  DeviceBuffer<Cuda, float*> gram_pointers, right_pointers;
  DeviceBuffer<Cuda, float> noise, ones;
  DeviceBuffer<Cuda, int> info;
  DeviceBuffer<Cuda, std::uint8_t> workspace;
  cublasHandle_t cublas = nullptr;
  cusolverDnHandle_t cusolver = nullptr;
};

LeastSquaresCuda::LeastSquaresCuda(Stream<Cuda>& stream, const SweepShape& shape, std::span<const int> sizes)
    : state_(std::make_unique<State>(stream, shape, sizes)) {}
LeastSquaresCuda::~LeastSquaresCuda() = default;

void LeastSquaresCuda::run(const SweepData<Cuda>& data, DeviceSpan<Cuda, float> risk) {
  State& s = *state_;
  kernels::check_sweep(s.shape, s.sizes, data.x.size(), data.y.size(), data.beta.size(), data.variance.size(),
                       risk.size());
  const auto all = static_cast<int>(s.features), count = static_cast<int>(s.sizes.size());
  for (std::size_t i = 0; i < s.sizes.size(); ++i) {
    // error [D, trials] = beta in every column.
    const float one = 1, zero = 0;
    check(cublasSgemm(s.cublas, CUBLAS_OP_N, CUBLAS_OP_N, all, s.shape.trials, 1, &one, data.beta.data(), all,
                      s.ones.data(), 1, &zero, s.error.data(), all),
          "cublasSgemm");
    if (s.sizes[i] > 0) s.solve(s.sizes[i], data);
    check(cublasSdgmm(s.cublas, CUBLAS_SIDE_LEFT, all, s.shape.trials, s.error.data(), all,
                      data.variance.data(), 1, s.weighted.data(), all),
          "cublasSdgmm");
    check(cublasScopy(s.cublas, s.shape.trials, s.noise.data(), 1, risk.data() + i, count), "cublasScopy");
    // risk[t, i] += error_t . weighted_t
    s.multiply(CUBLAS_OP_T, CUBLAS_OP_N, 1, 1, all, 1, s.error.data(), all, s.features, s.weighted.data(),
               all, s.features, 1, risk.data() + i, 1, static_cast<std::size_t>(count));
  }
}

}  // namespace remeasure::baselines
