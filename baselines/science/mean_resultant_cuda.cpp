// SPDX-License-Identifier: Apache-2.0
#include <vector>

#include "baselines/matmul/cublas_check.h"
#include "baselines/science/mean_resultant.h"

namespace remeasure::baselines {

struct CublasMeanResultant::State {
  State(Stream<Cuda>& stream, std::size_t row_count, std::size_t column_count)
      : rows(static_cast<int>(row_count)),
        columns(static_cast<int>(column_count)),
        weights(stream.device(), row_count, MemoryUse::workspace, "weights"),
        handle(stream) {
    const std::vector<float> each(row_count, 1.0f / static_cast<float>(row_count));
    stream.upload(std::span<const float>(each), weights.span());
    stream.synchronize();
    check(cublasSetPointerMode(handle, CUBLAS_POINTER_MODE_HOST), "cublasSetPointerMode");
  }

  int rows, columns;
  DeviceBuffer<Cuda, float> weights;
  CublasHandle handle;
};

CublasMeanResultant::CublasMeanResultant(Stream<Cuda>& stream, std::size_t rows, std::size_t columns)
    : state_(std::make_unique<State>(stream, rows, columns)) {}
CublasMeanResultant::~CublasMeanResultant() = default;

void CublasMeanResultant::operator()(DeviceSpan<Cuda, const float> features, DeviceSpan<Cuda, float> mean,
                                     DeviceSpan<Cuda, float> length) {
  State& state = *state_;
  const float one = 1, zero = 0;
  // Row-major [rows, columns] is column-major [columns, rows]: no transposition.
  check(cublasSgemv(state.handle, CUBLAS_OP_N, state.columns, state.rows, &one, features.data(),
                    state.columns, state.weights.data(), 1, &zero, mean.data(), 1),
        "cublasSgemv");
  check(cublasSetPointerMode(state.handle, CUBLAS_POINTER_MODE_DEVICE), "cublasSetPointerMode");
  check(cublasSnrm2(state.handle, state.columns, mean.data(), 1, length.data()), "cublasSnrm2");
  check(cublasSetPointerMode(state.handle, CUBLAS_POINTER_MODE_HOST), "cublasSetPointerMode");
}

}  // namespace remeasure::baselines
