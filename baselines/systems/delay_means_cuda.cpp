// SPDX-License-Identifier: Apache-2.0
#include <vector>

#include "baselines/matmul/cublas_check.h"
#include "baselines/systems/delay_means.h"

namespace remeasure::baselines {
namespace {

DeviceBuffer<Cuda, float> weights(Stream<Cuda>& stream, int count, int of) {
  const std::vector<float> host(static_cast<std::size_t>(count), 1.0f / static_cast<float>(of));
  DeviceBuffer<Cuda, float> buffer(stream.device(), host.size(), MemoryUse::workspace, "weights");
  stream.upload(std::span<const float>(host), buffer.span());
  stream.synchronize();
  return buffer;
}

}  // namespace

struct CublasDelayMeans::State {
  State(Stream<Cuda>& stream, const kernels::DelayShape& of)
      : shape(of),
        collectives(weights(stream, of.collectives, of.collectives)),
        ranks(weights(stream, of.ranks, of.transfers() / of.ranks)),
        handle(stream) {}
  /// y = A x for each window; A: [rows, columns] column-major. The same x for all.
  void means(cublasOperation_t operation, int rows, int columns, const float* a, const float* x, float* y,
             int results) {
    const float one = 1, zero = 0;
    check(cublasSgemvStridedBatched(handle, operation, rows, columns, &one, a, rows,
                                    static_cast<long long>(rows) * columns, x, 1, 0, &zero, y, 1, results,
                                    shape.windows),
          "cublasSgemvStridedBatched");
  }

  kernels::DelayShape shape;
  DeviceBuffer<Cuda, float> collectives, ranks;
  CublasHandle handle;
};

CublasDelayMeans::CublasDelayMeans(Stream<Cuda>& stream, const kernels::DelayShape& shape)
    : state_(std::make_unique<State>(stream, shape)) {}
CublasDelayMeans::~CublasDelayMeans() = default;

void CublasDelayMeans::operator()(DeviceSpan<Cuda, const float> delay, DeviceSpan<Cuda, float> mean,
                                  DeviceSpan<Cuda, float> row, DeviceSpan<Cuda, float> column) {
  State& s = *state_;
  const int n = s.shape.ranks, cells = s.shape.cells();
  // Row-major [collectives, cells] is column-major [cells, collectives]; of a row-major mean the columns are
  // the sources.
  s.means(CUBLAS_OP_N, cells, s.shape.collectives, delay.data(), s.collectives.data(), mean.data(), cells);
  s.means(CUBLAS_OP_T, n, n, mean.data(), s.ranks.data(), row.data(), n);
  s.means(CUBLAS_OP_N, n, n, mean.data(), s.ranks.data(), column.data(), n);
}

}  // namespace remeasure::baselines
