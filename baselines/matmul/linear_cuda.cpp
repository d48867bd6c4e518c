// SPDX-License-Identifier: Apache-2.0
//
// Row-major [rows, columns] is column-major [columns, rows]: y^T = W x^T, the bias along y^T's rows, which is
// where cublasLt's epilogue adds it. The residual is C of D = A B + C.
#include <cublasLt.h>
#include <fmt/format.h>

#include <optional>
#include <type_traits>
#include <vector>

#include "baselines/matmul/choose.h"
#include "baselines/matmul/cublas_check.h"
#include "baselines/matmul/launch_time.h"
#include "baselines/matmul/library_handle.h"
#include "baselines/matmul/linear.h"
#include "baselines/matmul/matmul.h"

namespace remeasure::baselines {
namespace {

constexpr int kProposals = 16;

template <class Element>
constexpr cudaDataType type_of() {
  return std::is_same_v<Element, half>       ? CUDA_R_16F
         : std::is_same_v<Element, bfloat16> ? CUDA_R_16BF
                                             : CUDA_R_32F;
}

template <class T>
void set(cublasLtMatmulDesc_t description, cublasLtMatmulDescAttributes_t attribute, const T& value,
         const char* what) {
  // NOLINTNEXTLINE(bugprone-sizeof-expression): of a pointer, its own bytes
  check(cublasLtMatmulDescSetAttribute(description, attribute, &value, sizeof value), what);
}

template <class T>
void set(cublasLtMatmulPreference_t preference, cublasLtMatmulPreferenceAttributes_t attribute,
         const T& value, const char* what) {
  check(cublasLtMatmulPreferenceSetAttribute(preference, attribute, &value, sizeof value), what);
}

}  // namespace

template <class Element>
struct LinearCublasLt<Element>::State {
  using Layout = LibraryHandle<cublasLtMatrixLayout_t, cublasLtMatrixLayoutDestroy>;

  State(Stream<Cuda>& s, const LinearShape& of)
      : stream(s),
        shape(of),
        workspace(s.device(), matmul_workspace_bytes(s.device().properties().compute_capability),
                  MemoryUse::workspace, "cublasLt") {
    check(cublasLtCreate(&lt.handle), "cublasLtCreate");
    check(cublasLtMatmulDescCreate(
              &description.handle,
              std::is_same_v<Element, float> ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F, CUDA_R_32F),
          "cublasLtMatmulDescCreate");
    set(description, CUBLASLT_MATMUL_DESC_TRANSA, CUBLAS_OP_T, "the weights' operation");
    set(description, CUBLASLT_MATMUL_DESC_TRANSB, CUBLAS_OP_N, "x's operation");
    set(description, CUBLASLT_MATMUL_DESC_EPILOGUE,
        shape.gelu ? CUBLASLT_EPILOGUE_GELU_BIAS : CUBLASLT_EPILOGUE_BIAS, "the epilogue");
    set(description, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, type_of<Element>(), "the bias's type");
    make(weights, shape.inputs, shape.outputs);
    make(x, shape.inputs, shape.rows);
    make(y, shape.outputs, shape.rows);
  }
  void make(Layout& layout, int rows, int columns) {
    check(cublasLtMatrixLayoutCreate(&layout.handle, type_of<Element>(), static_cast<std::uint64_t>(rows),
                                     static_cast<std::uint64_t>(columns), rows),
          "cublasLtMatrixLayoutCreate");
  }

  struct Pointers {
    const Element *x, *weights, *bias, *residual;
    Element* y;
  };

  std::vector<cublasLtMatmulHeuristicResult_t> proposals(const Pointers& p) {
    LibraryHandle<cublasLtMatmulPreference_t, cublasLtMatmulPreferenceDestroy> preference;
    check(cublasLtMatmulPreferenceCreate(&preference.handle), "cublasLtMatmulPreferenceCreate");
    set(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, std::uint64_t{workspace.size_bytes()},
        "the workspace");
    set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, alignment_of(p.weights),
        "the weights' alignment");
    set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, alignment_of(p.x), "x's alignment");
    set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, alignment_of(c_of(p)),
        "the residual's alignment");
    set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, alignment_of(p.y), "y's alignment");
    std::vector<cublasLtMatmulHeuristicResult_t> results(kProposals);
    int found = 0;
    check(cublasLtMatmulAlgoGetHeuristic(lt, description, weights, x, y, y, preference, kProposals,
                                         results.data(), &found),
          "cublasLtMatmulAlgoGetHeuristic of a dense layer");
    results.resize(static_cast<std::size_t>(found));
    std::erase_if(results, [](const auto& it) { return it.state != CUBLAS_STATUS_SUCCESS; });
    return results;
  }

  const Element* c_of(const Pointers& p) const { return shape.residual ? p.residual : p.y; }

  void run(const cublasLtMatmulAlgo_t& by, const Pointers& p) {
    set(description, CUBLASLT_MATMUL_DESC_BIAS_POINTER, p.bias, "the bias");
    const float alpha = 1, beta = shape.residual ? 1.0f : 0.0f;
    check(
        cublasLtMatmul(lt, description, &alpha, p.weights, weights, p.x, x, &beta, c_of(p), y, p.y, y, &by,
                       workspace.data(), workspace.size_bytes(), static_cast<cudaStream_t>(stream.native())),
        "cublasLtMatmul of a dense layer");
  }

  void tune(const Pointers& p) {
    set(description, CUBLASLT_MATMUL_DESC_BIAS_POINTER, p.bias, "the bias");
    const auto found = proposals(p);
    std::vector<Candidate> candidates;
    for (const auto& proposal : found) {
      std::int32_t id = -1;
      std::size_t written = 0;
      (void)cublasLtMatmulAlgoConfigGetAttribute(&proposal.algo, CUBLASLT_ALGO_CONFIG_ID, &id, sizeof id,
                                                 &written);
      candidates.push_back({fmt::format("cublasLt algorithm {}, {} in the epilogue", id,
                                        shape.gelu       ? "bias and gelu"
                                        : shape.residual ? "bias and residual"
                                                         : "bias"),
                            proposal.workspaceSize});
    }
    const Choice choice = choose_fastest(
        candidates, [&](std::size_t i) { return launch_seconds(stream, [&] { run(found[i].algo, p); }); });
    algorithm = found[choice.index].algo;
    setting = choice.setting;
  }

  Stream<Cuda>& stream;
  LinearShape shape;
  DeviceBuffer<Cuda, std::uint8_t> workspace;
  LibraryHandle<cublasLtHandle_t, cublasLtDestroy> lt;
  LibraryHandle<cublasLtMatmulDesc_t, cublasLtMatmulDescDestroy> description;
  Layout weights, x, y;
  std::optional<cublasLtMatmulAlgo_t> algorithm;
  std::string setting;
};

template <class Element>
LinearCublasLt<Element>::LinearCublasLt(Stream<Cuda>& stream, const LinearShape& shape) {
  check_linear(shape);
  state_ = std::make_unique<State>(stream, shape);
}
template <class Element>
LinearCublasLt<Element>::~LinearCublasLt() = default;

template <class Element>
void LinearCublasLt<Element>::operator()(DeviceSpan<Cuda, const Element> x,
                                         DeviceSpan<Cuda, const Element> weights,
                                         DeviceSpan<Cuda, const Element> bias,
                                         DeviceSpan<Cuda, const Element> residual,
                                         DeviceSpan<Cuda, Element> y) {
  const typename State::Pointers pointers{x.data(), weights.data(), bias.data(), residual.data(), y.data()};
  if (!state_->algorithm) state_->tune(pointers);
  state_->run(*state_->algorithm, pointers);
}
template <class Element>
std::string LinearCublasLt<Element>::setting() const {
  return state_->setting;
}

template class LinearCublasLt<half>;
template class LinearCublasLt<bfloat16>;
template class LinearCublasLt<float>;

}  // namespace remeasure::baselines
