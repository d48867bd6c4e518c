// SPDX-License-Identifier: Apache-2.0
#include <cublas_v2.h>
#include <cusolverDn.h>
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <vector>

#include "baselines/learning/least_squares.h"
#include "baselines/matmul/cublas_check.h"
#include "baselines/matmul/matmul.h"

namespace remeasure::baselines {
namespace {

void check(cusolverStatus_t status, const char* call) {
  if (status != CUSOLVER_STATUS_SUCCESS) {
    throw DeviceError(fmt::format("{} failed: cusolverStatus_t {}", call, static_cast<int>(status)));
  }
}

}  // namespace

struct LeastSquaresCuda::State {
  State(Stream<Cuda>& st, const SweepShape& sh, std::span<const int> list, LibrarySolver how)
      : stream(st),
        shape(sh),
        sizes(list.begin(), list.end()),
        solver(how),
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
        library(st),
        cublas(st) {
    check(cusolverDnCreate(&cusolver.handle), "cusolverDnCreate");
    check(cusolverDnSetStream(cusolver, static_cast<cudaStream_t>(stream.native())), "cusolverDnSetStream");
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

  /// c = alpha op(a) op(b) + beta c, for every trial; each product keeps its algorithm.
  void multiply(MatmulProblem problem, const float* a, const float* b, float* c) {
    products.try_emplace(problem, library, problem).first->second(a, b, c);
  }

  /// Right sides become the estimates of p <= n, by QR. The library overwrites the matrices: they are copied
  /// each time.
  void solve_qr(int p, const SweepData<Cuda>& data) {
    const auto native = static_cast<cudaStream_t>(stream.native());
    const std::size_t bytes = n * static_cast<std::size_t>(p) * sizeof(float);
    if (cudaMemcpy2DAsync(gram.data(), n * n * sizeof(float), data.x.data(), n * features * sizeof(float),
                          bytes, trials, cudaMemcpyDeviceToDevice, native) != cudaSuccess) {
      throw DeviceError("cudaMemcpy2DAsync of the first " + std::to_string(p) +
                        " features of every trial failed");
    }
    stream.copy(data.y, right_side.span());
    int wrong_argument = 0;
    check(
        cublasSgelsBatched(cublas, CUBLAS_OP_N, shape.samples, p, 1, gram_pointers.data(), shape.samples,
                           right_pointers.data(), shape.samples, &wrong_argument, info.data(), shape.trials),
        "cublasSgelsBatched");
  }

  /// Right sides become K^-1 y of the smaller Gram matrix: coefficients of the samples for p > n, the
  /// estimates else.
  void solve_cholesky(int p, const SweepData<Cuda>& data) {
    const int samples = shape.samples, size = std::min(p, samples);
    const float* const x = data.x.data();  // column-major [n, D] for each trial
    const auto x_stride = static_cast<std::int64_t>(n * features), side = static_cast<std::int64_t>(n);
    MatmulProblem gram_product{.rows = size,
                               .columns = size,
                               .inner = samples,
                               .lda = samples,
                               .ldb = samples,
                               .ldc = samples,
                               .stride_a = x_stride,
                               .stride_b = x_stride,
                               .stride_c = side * side,
                               .batch = shape.trials};
    if (p > samples) {
      gram_product.inner = p;
      gram_product.transpose_b = true;
      multiply(gram_product, x, x, gram.data());
      stream.copy(data.y, right_side.span());
    } else {
      gram_product.transpose_a = true;
      multiply(gram_product, x, x, gram.data());
      multiply({.transpose_a = true,
                .rows = p,
                .columns = 1,
                .inner = samples,
                .lda = samples,
                .ldb = samples,
                .ldc = samples,
                .stride_a = x_stride,
                .stride_b = side,
                .stride_c = side,
                .batch = shape.trials},
               x, data.y.data(), right_side.data());
    }
    check(cusolverDnSpotrfBatched(cusolver, CUBLAS_FILL_MODE_LOWER, size, gram_pointers.data(), samples,
                                  info.data(), shape.trials),
          "cusolverDnSpotrfBatched");
    check(cusolverDnSpotrsBatched(cusolver, CUBLAS_FILL_MODE_LOWER, size, 1, gram_pointers.data(), samples,
                                  right_pointers.data(), samples, info.data(), shape.trials),
          "cusolverDnSpotrsBatched");
  }

  void solve(int p, const SweepData<Cuda>& data) {
    const int samples = shape.samples;
    if (solver == LibrarySolver::qr && p <= samples)
      solve_qr(p, data);
    else
      solve_cholesky(p, data);
    const auto all = static_cast<int>(features);
    if (p > samples) {  // error = beta - X_p^T alpha
      multiply({.transpose_a = true,
                .rows = p,
                .columns = 1,
                .inner = samples,
                .lda = samples,
                .ldb = samples,
                .ldc = all,
                .stride_a = static_cast<std::int64_t>(n * features),
                .stride_b = static_cast<std::int64_t>(n),
                .stride_c = all,
                .batch = shape.trials,
                .alpha = -1,
                .beta = 1},
               data.x.data(), right_side.data(), error.data());
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
  LibrarySolver solver;
  std::size_t trials, n, features;
  DeviceBuffer<Cuda, float> gram, right_side, error, weighted;
  DeviceBuffer<Cuda, float*> gram_pointers, right_pointers;
  DeviceBuffer<Cuda, float> noise, ones;
  DeviceBuffer<Cuda, int> info;
  MatmulLibrary library;
  std::map<MatmulProblem, Matmul> products;  // goes before the library
  CublasHandle cublas;
  LibraryHandle<cusolverDnHandle_t, cusolverDnDestroy> cusolver;
};

LeastSquaresCuda::LeastSquaresCuda(Stream<Cuda>& stream, const SweepShape& shape, std::span<const int> sizes,
                                   LibrarySolver solver)
    : state_(std::make_unique<State>(stream, shape, sizes, solver)) {}
LeastSquaresCuda::~LeastSquaresCuda() = default;

void LeastSquaresCuda::run(const SweepData<Cuda>& data, DeviceSpan<Cuda, float> risk) {
  State& s = *state_;
  kernels::check_sweep(s.shape, s.sizes, data.x.size(), data.y.size(), data.beta.size(), data.variance.size(),
                       risk.size());
  const auto all = static_cast<int>(s.features), count = static_cast<int>(s.sizes.size());
  for (std::size_t i = 0; i < s.sizes.size(); ++i) {
    // error [D, trials] = beta in every column.
    s.multiply({.rows = all, .columns = s.shape.trials, .inner = 1}, data.beta.data(), s.ones.data(),
               s.error.data());
    if (s.sizes[i] > 0) s.solve(s.sizes[i], data);
    check(cublasSdgmm(s.cublas, CUBLAS_SIDE_LEFT, all, s.shape.trials, s.error.data(), all,
                      data.variance.data(), 1, s.weighted.data(), all),
          "cublasSdgmm");
    check(cublasScopy(s.cublas, s.shape.trials, s.noise.data(), 1, risk.data() + i, count), "cublasScopy");
    // risk[t, i] += error_t . weighted_t
    s.multiply({.transpose_a = true,
                .rows = 1,
                .columns = 1,
                .inner = all,
                .lda = all,
                .ldb = all,
                .ldc = 1,
                .stride_a = all,
                .stride_b = all,
                .stride_c = count,
                .batch = s.shape.trials,
                .beta = 1},
               s.error.data(), s.weighted.data(), risk.data() + i);
  }
}

std::string LeastSquaresCuda::setting() const {
  const auto& products = state_->products;
  const auto longest = std::max_element(products.begin(), products.end(), [](const auto& a, const auto& b) {
    return a.second.seconds() < b.second.seconds();
  });
  if (longest == products.end()) return {};
  return fmt::format("{} products, each with its own algorithm; the longest: {}", products.size(),
                     longest->second.setting());
}

}  // namespace remeasure::baselines
