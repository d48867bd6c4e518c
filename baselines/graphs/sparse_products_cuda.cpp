// SPDX-License-Identifier: Apache-2.0
#include "baselines/graphs/sparse_products.h"

#include <chrono>
#include <optional>
#include <utility>

#include "baselines/graphs/cusparse_check.h"
#include "baselines/matmul/choose.h"
#include "baselines/matmul/launch_time.h"

namespace remeasure::baselines {
namespace {

constexpr float kOne = 1, kZero = 0;
constexpr cusparseOperation_t kPlain = CUSPARSE_OPERATION_NON_TRANSPOSE;

/// Scratch of a call; at least a byte, so that its address is one.
using Scratch = DeviceBuffer<Cuda, std::uint8_t>;

/// Values of a matrix, or as many ones.
DeviceBuffer<Cuda, float> ones_for(Stream<Cuda>& stream, const CsrView<Cuda>& csr) {
  const std::size_t count = csr.values.size() == 0 ? csr.column_indices.size() : 0;
  DeviceBuffer<Cuda, float> ones(stream.device(), count, MemoryUse::workspace, "ones");
  const std::vector<float> host(count, 1.0f);
  if (count > 0) stream.upload(std::span<const float>(host), ones.span());
  return ones;
}

/// One algorithm with a descriptor and scratch of its own: what preprocessing finds out is kept in both.
struct Algorithm {
  const char* name;
  cusparseSpMMAlg_t algorithm;
  std::unique_ptr<SparseDescriptor> matrix = {};
  std::unique_ptr<Scratch> scratch = {};
  double preprocess_seconds = 0;
};

}  // namespace

struct CusparseSpmm::State {
  State(Stream<Cuda>& on, const CsrView<Cuda>& of, int columns)
      : stream(on),
        csr(of),
        dim(columns),
        handle(on),
        ones(ones_for(on, of)),
        x(of.columns, columns, matrix_values()),
        y(of.rows, columns, matrix_values()) {}

  /// Descriptors of x and y need an address too, before the first call gives one.
  const float* matrix_values() const { return csr.values.size() > 0 ? csr.values.data() : ones.data(); }

  void prepare(Algorithm& a) {
    a.matrix = std::make_unique<SparseDescriptor>(
        SparseDescriptor::csr(csr.rows, csr.columns, csr.edges(), csr.row_pointers.data(),
                              csr.column_indices.data(), matrix_values()),
        "cusparseCreateCsr");
    std::size_t bytes = 0;
    check(cusparseSpMM_bufferSize(handle, kPlain, kPlain, &kOne, *a.matrix, x, &kZero, y, CUDA_R_32F,
                                  a.algorithm, &bytes),
          "cusparseSpMM_bufferSize");
    a.scratch = std::make_unique<Scratch>(stream.device(), std::max<std::size_t>(bytes, 1),
                                          MemoryUse::workspace, "cusparseSpMM");
    stream.synchronize();
    const auto start = std::chrono::steady_clock::now();
    check(cusparseSpMM_preprocess(handle, kPlain, kPlain, &kOne, *a.matrix, x, &kZero, y, CUDA_R_32F,
                                  a.algorithm, a.scratch->data()),
          "cusparseSpMM_preprocess");
    stream.synchronize();
    a.preprocess_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }
  void run(Algorithm& a) {
    check(cusparseSpMM(handle, kPlain, kPlain, &kOne, *a.matrix, x, &kZero, y, CUDA_R_32F, a.algorithm,
                       a.scratch->data()),
          "cusparseSpMM");
  }
  void choose() {
    Algorithm algorithms[] = {{"ALG_DEFAULT", CUSPARSE_SPMM_ALG_DEFAULT},
                              {"CSR_ALG1", CUSPARSE_SPMM_CSR_ALG1},
                              {"CSR_ALG2", CUSPARSE_SPMM_CSR_ALG2},
                              {"CSR_ALG3", CUSPARSE_SPMM_CSR_ALG3}};
    std::vector<Candidate> candidates;
    for (const Algorithm& a : algorithms) candidates.push_back({std::string("cusparseSpMM ") + a.name, 0});
    const Choice choice = choose_fastest(candidates, [&](std::size_t i) {
      prepare(algorithms[i]);
      return launch_seconds<Cuda>(stream, [&] { run(algorithms[i]); });
    });
    chosen = std::move(algorithms[choice.index]);
    setting = choice.setting + ", scratch " + std::to_string(chosen->scratch->size()) +
              " bytes, preprocessed in " + std::to_string(chosen->preprocess_seconds * 1e3) + " ms";
  }

  Stream<Cuda>& stream;
  CsrView<Cuda> csr;
  int dim;
  CusparseHandle handle;
  DeviceBuffer<Cuda, float> ones;
  DenseDescriptor x, y;
  std::optional<Algorithm> chosen;
  std::string setting;
};

CusparseSpmm::CusparseSpmm(Stream<Cuda>& stream, const CsrView<Cuda>& csr, int dim)
    : state_(std::make_unique<State>(stream, csr, dim)) {
  kernels::check_csr("CusparseSpmm", csr);
}
CusparseSpmm::~CusparseSpmm() = default;
const std::string& CusparseSpmm::setting() const {
  return state_->setting;
}
double CusparseSpmm::preprocess_seconds() const {
  return state_->chosen ? state_->chosen->preprocess_seconds : 0;
}

void CusparseSpmm::operator()(DeviceSpan<Cuda, const float> x, DeviceSpan<Cuda, float> y) {
  State& s = *state_;
  s.x.set(x.data());
  s.y.set(y.data());
  if (!s.chosen) s.choose();
  s.run(*s.chosen);
}

struct CusparseBlockedSpmm::State {
  State(Stream<Cuda>& on, const HostCsr& csr, int columns)
      : State(on, blocked_ell(csr), csr.rows, csr.columns, columns) {}
  State(Stream<Cuda>& on, const BlockedEll& ell, std::int64_t of_rows, std::int64_t of_columns, int width)
      : stream(on),
        rows(of_rows),
        inner(of_columns),
        dim(width),
        handle(on),
        indices(on.device(), ell.columns.size(), MemoryUse::workspace, "ell columns"),
        values(on.device(), ell.values.size(), MemoryUse::workspace, "ell values"),
        padded_x(on.device(), padded(ell.block_columns * ell.block, width), MemoryUse::workspace, "padded x"),
        padded_y(on.device(), padded(ell.block_rows * ell.block, width), MemoryUse::workspace, "padded y"),
        matrix(
            [&](cusparseSpMatDescr_t* descriptor) {
              return cusparseCreateBlockedEll(descriptor, ell.block_rows * ell.block,
                                              ell.block_columns * ell.block, ell.block, ell.width * ell.block,
                                              indices.data(), values.data(), CUSPARSE_INDEX_32I,
                                              CUSPARSE_INDEX_BASE_ZERO, CUDA_R_32F);
            },
            "cusparseCreateBlockedEll"),
        x(ell.block_columns * ell.block, width, padded_x.data()),
        y(ell.block_rows * ell.block, width, padded_y.data()) {
    stream.upload(std::span<const std::int32_t>(ell.columns), indices.span());
    stream.upload(std::span<const float>(ell.values), values.span());
    stream.fill_bytes(padded_x.span(), 0);
    std::size_t bytes = 0;
    check(cusparseSpMM_bufferSize(handle, kPlain, kPlain, &kOne, matrix, x, &kZero, y, CUDA_R_32F,
                                  CUSPARSE_SPMM_BLOCKED_ELL_ALG1, &bytes),
          "cusparseSpMM_bufferSize");
    scratch = std::make_unique<Scratch>(stream.device(), std::max<std::size_t>(bytes, 1),
                                        MemoryUse::workspace, "cusparseSpMM");
    stream.synchronize();  // the host arrays go away
  }
  static std::size_t padded(std::int64_t count, int width) {
    return static_cast<std::size_t>(count) * static_cast<std::size_t>(width);
  }

  Stream<Cuda>& stream;
  std::int64_t rows, inner;
  int dim;
  CusparseHandle handle;
  DeviceBuffer<Cuda, std::int32_t> indices;
  DeviceBuffer<Cuda, float> values, padded_x, padded_y;
  SparseDescriptor matrix;
  DenseDescriptor x, y;
  std::unique_ptr<Scratch> scratch;
};

CusparseBlockedSpmm::CusparseBlockedSpmm(Stream<Cuda>& stream, const HostCsr& csr, int dim)
    : state_(std::make_unique<State>(stream, csr, dim)) {}
CusparseBlockedSpmm::~CusparseBlockedSpmm() = default;

void CusparseBlockedSpmm::load(DeviceSpan<Cuda, const float> x) {
  State& s = *state_;
  s.stream.copy(x, s.padded_x.span().subspan(0, State::padded(s.inner, s.dim)));
}

void CusparseBlockedSpmm::operator()(DeviceSpan<Cuda, float> y) {
  State& s = *state_;
  const std::size_t wanted = State::padded(s.rows, s.dim);
  const bool whole = wanted == s.padded_y.size();
  s.y.set(whole ? y.data() : s.padded_y.data());
  check(cusparseSpMM(s.handle, kPlain, kPlain, &kOne, s.matrix, s.x, &kZero, s.y, CUDA_R_32F,
                     CUSPARSE_SPMM_BLOCKED_ELL_ALG1, s.scratch->data()),
        "cusparseSpMM");
  if (!whole) s.stream.copy(std::as_const(s.padded_y).span().subspan(0, wanted), y);
}

struct CusparseSddmm::State {
  State(Stream<Cuda>& on, const CsrView<Cuda>& of, int columns)
      : stream(on),
        csr(of),
        dim(columns),
        handle(on),
        place(on.device(), std::max<std::size_t>(of.column_indices.size(), 1), MemoryUse::workspace,
              "scores"),
        a(of.rows, columns, place.data()),
        b(of.columns, columns, place.data()),
        scores(SparseDescriptor::csr(of.rows, of.columns, of.edges(), of.row_pointers.data(),
                                     of.column_indices.data(), place.data()),
               "cusparseCreateCsr") {}

  static constexpr cusparseOperation_t kTransposed = CUSPARSE_OPERATION_TRANSPOSE;

  /// Once, when the operands' addresses are known.
  void prepare() {
    std::size_t bytes = 0;
    check(cusparseSDDMM_bufferSize(handle, kPlain, kTransposed, &kOne, a, b, &kZero, scores, CUDA_R_32F,
                                   CUSPARSE_SDDMM_ALG_DEFAULT, &bytes),
          "cusparseSDDMM_bufferSize");
    scratch = std::make_unique<Scratch>(stream.device(), std::max<std::size_t>(bytes, 1),
                                        MemoryUse::workspace, "cusparseSDDMM");
    check(cusparseSDDMM_preprocess(handle, kPlain, kTransposed, &kOne, a, b, &kZero, scores, CUDA_R_32F,
                                   CUSPARSE_SDDMM_ALG_DEFAULT, scratch->data()),
          "cusparseSDDMM_preprocess");
  }

  Stream<Cuda>& stream;
  CsrView<Cuda> csr;
  int dim;
  CusparseHandle handle;
  DeviceBuffer<Cuda, float> place;  // an address for the descriptors until there are operands
  DenseDescriptor a, b;
  SparseDescriptor scores;
  std::unique_ptr<Scratch> scratch;
};

CusparseSddmm::CusparseSddmm(Stream<Cuda>& stream, const CsrView<Cuda>& csr, int dim)
    : state_(std::make_unique<State>(stream, csr, dim)) {
  kernels::check_csr("CusparseSddmm", csr);
}
CusparseSddmm::~CusparseSddmm() = default;

void CusparseSddmm::operator()(DeviceSpan<Cuda, const float> a, DeviceSpan<Cuda, const float> b,
                               DeviceSpan<Cuda, float> scores) {
  State& s = *state_;
  s.a.set(a.data());
  s.b.set(b.data());
  s.scores.set(scores.data());
  if (!s.scratch) s.prepare();
  check(cusparseSDDMM(s.handle, kPlain, State::kTransposed, &kOne, s.a, s.b, &kZero, s.scores, CUDA_R_32F,
                      CUSPARSE_SDDMM_ALG_DEFAULT, s.scratch->data()),
        "cusparseSDDMM");
}

}  // namespace remeasure::baselines
