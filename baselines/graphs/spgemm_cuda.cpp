// SPDX-License-Identifier: Apache-2.0
#include <cusparse.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include "baselines/graphs/cusparse_check.h"
#include "baselines/graphs/spgemm.h"
#include "baselines/matmul/choose.h"
#include "baselines/matmul/launch_time.h"

namespace remeasure::baselines {
namespace {

struct Algorithm {
  const char* name;
  cusparseSpGEMMAlg_t alg;
  bool estimates_memory;  ///< ALG2 and ALG3 have cusparseSpGEMM_estimateMemory between estimation and
                          ///< computation
};

constexpr Algorithm kAlgorithms[] = {
    {"CUSPARSE_SPGEMM_DEFAULT", CUSPARSE_SPGEMM_DEFAULT, false},
    {"CUSPARSE_SPGEMM_ALG1", CUSPARSE_SPGEMM_ALG1, false},
    {"CUSPARSE_SPGEMM_ALG2", CUSPARSE_SPGEMM_ALG2, true},
    {"CUSPARSE_SPGEMM_ALG3", CUSPARSE_SPGEMM_ALG3, true},
};
constexpr float kChunk = 0.2f;  // of ALG3: the value of NVIDIA's own example

/// Grows, never shrinks: after a first product nothing is allocated.
class Buffer {
 public:
  explicit Buffer(Device<Cuda>& device) : device_(&device) {}
  void* at_least(std::size_t bytes) {
    if (bytes > memory_.size_bytes()) {
      memory_ = DeviceBuffer<Cuda, std::byte>();
      memory_ = DeviceBuffer<Cuda, std::byte>(*device_, bytes, MemoryUse::workspace, "cusparseSpGEMM");
    } else if (memory_.size() == 0) {
      memory_ = DeviceBuffer<Cuda, std::byte>(*device_, 256, MemoryUse::workspace,
                                              "cusparseSpGEMM");  // null would be a question
    }
    return memory_.data();
  }
  std::size_t bytes() const { return memory_.size_bytes(); }
  void release() { memory_ = DeviceBuffer<Cuda, std::byte>(); }

 private:
  Device<Cuda>* device_;
  DeviceBuffer<Cuda, std::byte> memory_;
};

auto describe(const CsrView<Cuda>& m) {
  return SparseDescriptor::csr(m.rows, m.columns, m.edges(), m.row_pointers.data(), m.column_indices.data(),
                               m.values.data());
}

}  // namespace

struct CusparseSpgemm::State {
  State(Stream<Cuda>& on, const CsrView<Cuda>& left, const CsrView<Cuda>& right,
        const DeviceCsrResult<Cuda>& result)
      : stream(on),
        c(result),
        rows(left.rows),
        columns(right.columns),
        handle(on),
        a(describe(left), "cusparseCreateCsr of A"),
        b(describe(right), "cusparseCreateCsr of B"),
        estimation(on.device()),
        computation(on.device()),
        memory(on.device()) {}
  ~State() { forget(); }

  void forget() {
    if (product != nullptr) cusparseSpGEMM_destroyDescr(std::exchange(product, nullptr));
    if (matrix_c != nullptr) cusparseDestroySpMat(std::exchange(matrix_c, nullptr));
  }

  void estimate() {
    forget();
    check(cusparseSpGEMM_createDescr(&product), "cusparseSpGEMM_createDescr");
    check(cusparseCreateCsr(&matrix_c, rows, columns, 0, c.row_pointers.data(), nullptr, nullptr,
                            CUSPARSE_INDEX_32I, CUSPARSE_INDEX_32I, CUSPARSE_INDEX_BASE_ZERO, CUDA_R_32F),
          "cusparseCreateCsr");
    std::size_t bytes = 0;
    const auto work = [&](void* buffer) {
      check(cusparseSpGEMM_workEstimation(handle, kAsIs, kAsIs, &one, a, b, &zero, matrix_c, CUDA_R_32F,
                                          algorithm.alg, product, &bytes, buffer),
            "cusparseSpGEMM_workEstimation");
    };
    work(nullptr);
    work(estimation.at_least(bytes));
    computation_bytes = 0;
    if (algorithm.estimates_memory) {
      std::size_t needed = 0;
      const auto estimate_memory = [&](void* buffer, std::size_t* of_computation) {
        check(cusparseSpGEMM_estimateMemory(handle, kAsIs, kAsIs, &one, a, b, &zero, matrix_c, CUDA_R_32F,
                                            algorithm.alg, product, kChunk, &needed, buffer, of_computation),
              "cusparseSpGEMM_estimateMemory");
      };
      estimate_memory(nullptr, nullptr);
      estimate_memory(memory.at_least(needed), &computation_bytes);
    } else {
      compute(nullptr);
    }
    static_cast<void>(computation.at_least(computation_bytes));
  }

  void compute(void* buffer) {
    check(cusparseSpGEMM_compute(handle, kAsIs, kAsIs, &one, a, b, &zero, matrix_c, CUDA_R_32F, algorithm.alg,
                                 product, &computation_bytes, buffer),
          "cusparseSpGEMM_compute");
  }

  void compute_and_copy() {
    compute(computation.at_least(computation_bytes));
    std::int64_t found_rows = 0, found_columns = 0, entries = 0;
    check(cusparseSpMatGetSize(matrix_c, &found_rows, &found_columns, &entries), "cusparseSpMatGetSize");
    if (entries > static_cast<std::int64_t>(c.column.size())) {
      throw DeviceError(
          fmt::format("cusparseSpGEMM: C has {} entries, room for {}", entries, c.column.size()));
    }
    check(cusparseCsrSetPointers(matrix_c, c.row_pointers.data(), c.column.data(), c.value.data()),
          "cusparseCsrSetPointers");
    check(cusparseSpGEMM_copy(handle, kAsIs, kAsIs, &one, a, b, &zero, matrix_c, CUDA_R_32F, algorithm.alg,
                              product),
          "cusparseSpGEMM_copy");
  }

  void run() {
    estimate();
    compute_and_copy();
  }

  void use(const Algorithm& wanted) {
    forget();
    algorithm = wanted;
    for (Buffer* buffer : {&estimation, &computation, &memory}) buffer->release();
  }

  static constexpr cusparseOperation_t kAsIs = CUSPARSE_OPERATION_NON_TRANSPOSE;
  const float one = 1, zero = 0;
  Stream<Cuda>& stream;
  DeviceCsrResult<Cuda> c;
  std::int64_t rows, columns;
  CusparseHandle handle;
  SparseDescriptor a, b;
  Buffer estimation, computation, memory;
  std::size_t computation_bytes = 0;
  Algorithm algorithm = kAlgorithms[0];
  cusparseSpMatDescr_t matrix_c = nullptr;
  cusparseSpGEMMDescr_t product = nullptr;
  std::string setting;
};

CusparseSpgemm::CusparseSpgemm(Stream<Cuda>& stream, const CsrView<Cuda>& a, const CsrView<Cuda>& b,
                               const DeviceCsrResult<Cuda>& c)
    : state_(std::make_unique<State>(stream, a, b, c)) {
  State& s = *state_;
  std::vector<Candidate> candidates;
  for (const Algorithm& algorithm : kAlgorithms) candidates.push_back({algorithm.name, 0});
  const Choice choice = choose_fastest(candidates, [&](std::size_t i) {
    s.use(kAlgorithms[i]);
    return launch_seconds(stream, [&] { s.run(); });
  });
  s.use(kAlgorithms[choice.index]);
  s.run();
  stream.synchronize();
  const std::size_t bytes = s.estimation.bytes() + s.computation.bytes() + s.memory.bytes();
  s.setting =
      fmt::format("{}, buffers {} KiB; fastest of {}{}", kAlgorithms[choice.index].name, bytes / 1024,
                  candidates.size(), choice.failed > 0 ? fmt::format(" ({} failed)", choice.failed) : "");
}
CusparseSpgemm::~CusparseSpgemm() = default;

void CusparseSpgemm::run() {
  state_->run();
}
void CusparseSpgemm::run_estimated() {
  state_->compute_and_copy();
}
std::string CusparseSpgemm::setting() const {
  return state_->setting;
}

}  // namespace remeasure::baselines
