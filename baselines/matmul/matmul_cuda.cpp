// SPDX-License-Identifier: Apache-2.0
#include <cublasLt.h>
#include <cublas_v2.h>
#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "baselines/matmul/choose.h"
#include "baselines/matmul/cublas_check.h"
#include "baselines/matmul/launch_time.h"
#include "baselines/matmul/library_handle.h"
#include "baselines/matmul/matmul.h"

namespace remeasure::baselines {
namespace {

constexpr int kProposals = 16;

struct Types {
  cudaDataType in, out, scale;
  cublasComputeType_t compute;
  const char* name;
};

Types types_of(MatmulType type) {
  switch (type) {
    case MatmulType::f64:
      return {CUDA_R_64F, CUDA_R_64F, CUDA_R_64F, CUBLAS_COMPUTE_64F, "f64"};
    case MatmulType::f32:
      return {CUDA_R_32F, CUDA_R_32F, CUDA_R_32F, CUBLAS_COMPUTE_32F, "f32"};
    case MatmulType::tf32:
      return {CUDA_R_32F, CUDA_R_32F, CUDA_R_32F, CUBLAS_COMPUTE_32F_FAST_TF32, "tf32, sums in f32"};
    case MatmulType::bf16:
      return {CUDA_R_16BF, CUDA_R_16BF, CUDA_R_32F, CUBLAS_COMPUTE_32F, "bf16, sums in f32"};
    case MatmulType::f16:
      return {CUDA_R_16F, CUDA_R_16F, CUDA_R_32F, CUBLAS_COMPUTE_32F, "f16, sums in f32"};
    case MatmulType::i8:
      return {CUDA_R_8I, CUDA_R_32I, CUDA_R_32I, CUBLAS_COMPUTE_32I, "i8, sums in i32"};
  }
  throw std::invalid_argument("a MatmulType that doesn't exist");
}

std::size_t c_element_bytes(MatmulType type) {
  return type == MatmulType::f64 ? 8 : type == MatmulType::bf16 || type == MatmulType::f16 ? 2 : 4;
}

cublasOperation_t operation(bool transpose) {
  return transpose ? CUBLAS_OP_T : CUBLAS_OP_N;
}

/// A number in the type that a product scales with.
struct Scalar {
  Scalar(double value, cudaDataType type) {
    if (type == CUDA_R_64F)
      of.f64 = value;
    else if (type == CUDA_R_32F)
      of.f32 = static_cast<float>(value);
    else
      of.i32 = static_cast<std::int32_t>(value);
  }
  const void* data() const { return &of; }
  union {
    double f64;
    float f32;
    std::int32_t i32;
  } of;
};

template <class T>
void set(cublasLtMatmulPreference_t preference, cublasLtMatmulPreferenceAttributes_t attribute, T value) {
  check(cublasLtMatmulPreferenceSetAttribute(preference, attribute, &value, sizeof value),
        "cublasLtMatmulPreferenceSetAttribute");
}

using Layout = LibraryHandle<cublasLtMatrixLayout_t, cublasLtMatrixLayoutDestroy>;
using Description = LibraryHandle<cublasLtMatmulDesc_t, cublasLtMatmulDescDestroy>;
using Preference = LibraryHandle<cublasLtMatmulPreference_t, cublasLtMatmulPreferenceDestroy>;

void make_layout(Layout& layout, cudaDataType type, int rows, int columns, int leading, int batch,
                 std::int64_t stride) {
  check(cublasLtMatrixLayoutCreate(&layout.handle, type, static_cast<std::uint64_t>(rows),
                                   static_cast<std::uint64_t>(columns), leading),
        "cublasLtMatrixLayoutCreate");
  const std::int32_t count = batch;
  check(cublasLtMatrixLayoutSetAttribute(layout.handle, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &count,
                                         sizeof count),
        "the batch of a matrix");
  check(cublasLtMatrixLayoutSetAttribute(layout.handle, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &stride,
                                         sizeof stride),
        "the stride of a matrix");
}

std::string name_of(const cublasLtMatmulAlgo_t& algorithm) {
  const auto value = [&](cublasLtMatmulAlgoConfigAttributes_t attribute) {
    std::int32_t number = -1;
    std::size_t written = 0;
    (void)cublasLtMatmulAlgoConfigGetAttribute(&algorithm, attribute, &number, sizeof number, &written);
    return number;
  };
  return fmt::format("cublasLt algorithm {}, tile {}, stages {}, split-K {}", value(CUBLASLT_ALGO_CONFIG_ID),
                     value(CUBLASLT_ALGO_CONFIG_TILE_ID), value(CUBLASLT_ALGO_CONFIG_STAGES_ID),
                     value(CUBLASLT_ALGO_CONFIG_SPLITK_NUM));
}

}  // namespace

struct MatmulLibrary::State {
  explicit State(Stream<Cuda>& s)
      : stream(s),
        workspace(s.device(), matmul_workspace_bytes(s.device().properties().compute_capability),
                  MemoryUse::workspace, "cublas"),
        cublas(s) {
    check(cublasLtCreate(&lt.handle), "cublasLtCreate");
    check(cublasSetWorkspace(cublas, workspace.data(), workspace.size_bytes()), "cublasSetWorkspace");
  }
  cudaStream_t native() const { return static_cast<cudaStream_t>(stream.native()); }

  Stream<Cuda>& stream;
  DeviceBuffer<Cuda, std::uint8_t> workspace;
  LibraryHandle<cublasLtHandle_t, cublasLtDestroy> lt;
  CublasHandle cublas;
};

MatmulLibrary::MatmulLibrary(Stream<Cuda>& stream) : state_(std::make_unique<State>(stream)) {}
MatmulLibrary::~MatmulLibrary() = default;

struct Matmul::State {
  State(MatmulLibrary::State& l, const MatmulProblem& p)
      : library(l),
        problem(p),
        types(types_of(p.type)),
        alpha(p.alpha, types.scale),
        beta(p.beta, types.scale) {
    check_problem(p);
    if (problem.lda == 0) problem.lda = p.transpose_a ? p.inner : p.rows;
    if (problem.ldb == 0) problem.ldb = p.transpose_b ? p.columns : p.inner;
    if (problem.ldc == 0) problem.ldc = p.rows;
    check(cublasLtMatmulDescCreate(&description.handle, types.compute, types.scale),
          "cublasLtMatmulDescCreate");
    const cublasOperation_t op_a = operation(p.transpose_a), op_b = operation(p.transpose_b);
    check(cublasLtMatmulDescSetAttribute(description, CUBLASLT_MATMUL_DESC_TRANSA, &op_a, sizeof op_a),
          "a's operation");
    check(cublasLtMatmulDescSetAttribute(description, CUBLASLT_MATMUL_DESC_TRANSB, &op_b, sizeof op_b),
          "b's operation");
    make_layout(layout_a, types.in, p.transpose_a ? p.inner : p.rows, p.transpose_a ? p.rows : p.inner,
                problem.lda, p.batch, p.stride_a);
    make_layout(layout_b, types.in, p.transpose_b ? p.columns : p.inner, p.transpose_b ? p.inner : p.columns,
                problem.ldb, p.batch, p.stride_b);
    make_layout(layout_c, types.out, p.rows, p.columns, problem.ldc, p.batch, p.stride_c);
  }

  /// What the heuristics propose for these alignments; none where cublasLt doesn't know the problem at all.
  std::vector<cublasLtMatmulHeuristicResult_t> proposals(const void* a, const void* b, const void* c) {
    Preference preference;
    check(cublasLtMatmulPreferenceCreate(&preference.handle), "cublasLtMatmulPreferenceCreate");
    set(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, std::uint64_t{library.workspace.size_bytes()});
    set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, alignment_of(a));
    set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, alignment_of(b));
    set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, alignment_of(c));
    set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, alignment_of(c));
    std::vector<cublasLtMatmulHeuristicResult_t> results(kProposals);
    int found = 0;
    const cublasStatus_t status =
        cublasLtMatmulAlgoGetHeuristic(library.lt, description, layout_a, layout_b, layout_c, layout_c,
                                       preference, kProposals, results.data(), &found);
    if (status != CUBLAS_STATUS_SUCCESS) found = 0;  // cuBLAS's own choice is left
    results.resize(static_cast<std::size_t>(found));
    std::erase_if(results, [](const auto& it) { return it.state != CUBLAS_STATUS_SUCCESS; });
    return results;
  }

  void run_lt(const cublasLtMatmulAlgo_t& algorithm, const void* a, const void* b, void* c) {
    check(cublasLtMatmul(library.lt, description, alpha.data(), a, layout_a, b, layout_b, beta.data(), c,
                         layout_c, c, layout_c, &algorithm, library.workspace.data(),
                         library.workspace.size_bytes(), library.native()),
          "cublasLtMatmul");
  }

  void run_default(const void* a, const void* b, void* c) {
    const MatmulProblem& p = problem;
    check(cublasGemmStridedBatchedEx(library.cublas, operation(p.transpose_a), operation(p.transpose_b),
                                     p.rows, p.columns, p.inner, alpha.data(), a, types.in, p.lda, p.stride_a,
                                     b, types.in, p.ldb, p.stride_b, beta.data(), c, types.out, p.ldc,
                                     p.stride_c, p.batch, types.compute, CUBLAS_GEMM_DEFAULT),
          "cublasGemmStridedBatchedEx");
  }

  void run(const void* a, const void* b, void* c) {
    if (lt_algorithm)
      run_lt(*lt_algorithm, a, b, c);
    else
      run_default(a, b, c);
  }

  /// Candidate 0 is cuBLAS's own choice. Where c is also read, the trials work on a c of their own.
  void tune(const void* a, const void* b, void* c) {
    const auto found = proposals(a, b, c);
    std::vector<Candidate> candidates{
        {"cublasGemmStridedBatchedEx's own choice", library.workspace.size_bytes()}};
    for (const auto& proposal : found) candidates.push_back({name_of(proposal.algo), proposal.workspaceSize});
    DeviceBuffer<Cuda, std::uint8_t> scratch;
    void* target = c;
    if (problem.beta != 0) {
      scratch = DeviceBuffer<Cuda, std::uint8_t>(library.stream.device(),
                                                 c_elements(problem) * c_element_bytes(problem.type),
                                                 MemoryUse::workspace, "trials of a product");
      library.stream.fill_bytes(scratch.span(), 0);
      target = scratch.data();
    }
    const Choice choice = choose_fastest(candidates, [&](std::size_t i) {
      return launch_seconds(library.stream, [&] {
        if (i == 0)
          run_default(a, b, target);
        else
          run_lt(found[i - 1].algo, a, b, target);
      });
    });
    lt_algorithm.reset();
    if (choice.index > 0) lt_algorithm = found[choice.index - 1].algo;
    setting = fmt::format("{} ({})", choice.setting, types.name);
    seconds = choice.seconds;
    tuned_alignment = worst_alignment(a, b, c);
  }

  static std::uint32_t worst_alignment(const void* a, const void* b, const void* c) {
    return std::min({alignment_of(a), alignment_of(b), alignment_of(c)});
  }

  MatmulLibrary::State& library;
  MatmulProblem problem;
  Types types;
  Scalar alpha, beta;
  Description description;
  Layout layout_a, layout_b, layout_c;
  std::optional<cublasLtMatmulAlgo_t> lt_algorithm;
  std::uint32_t tuned_alignment = 0;  // 0: not tuned
  std::string setting;
  double seconds = 0;
};

Matmul::Matmul(MatmulLibrary& library, const MatmulProblem& problem)
    : state_(std::make_unique<State>(*library.state_, problem)) {}
Matmul::~Matmul() = default;
Matmul::Matmul(Matmul&&) noexcept = default;
Matmul& Matmul::operator=(Matmul&&) noexcept = default;

void Matmul::operator()(const void* a, const void* b, void* c) {
  State& state = *state_;
  if (state.tuned_alignment == 0 || State::worst_alignment(a, b, c) < state.tuned_alignment)
    state.tune(a, b, c);
  state.run(a, b, c);
}

const std::string& Matmul::setting() const {
  return state_->setting;
}
double Matmul::seconds() const {
  return state_->seconds;
}

}  // namespace remeasure::baselines
