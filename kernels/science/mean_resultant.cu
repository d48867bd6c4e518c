// SPDX-License-Identifier: Apache-2.0
//
// Mean resultant length of n unit vectors of d dimensions, the statistic of a von Mises-Fisher fit. Plesner,
// Sorensen, Hauberg, ICS 2024 (arXiv 2409.08729), section on von Mises-Fisher distributions (Sra 2012 for the
// fit).
//
//   for (j = 0; j < columns; ++j) { mean[j] = 0; for (i = 0; i < rows; ++i) mean[j] += features[i][j] / rows;
//   } length = sqrt(sum_j mean[j]^2)
//
// Optimisation. Memory bound: each feature is read once, neighbouring threads read neighbouring columns, and
// rows are split into chunks so that all multiprocessors have work although d is small; four rows are in
// flight per thread. Partial sums are added in the order of the chunks (no atomics), so the result is the
// same bits on every run.
//
// Launch: (columns/128, chunks) blocks of 128 for the partial sums, columns/128 blocks of 128 to join them,
// one block of 256 for the length. Bytes and flops: mean_resultant_work. Limits: rows, columns < 2^31.
#include "kernels/science/mean_resultant.h"

#include <stdexcept>
#include <string>

#include "kernels/device/kernel.h"
#include "kernels/science/mean_resultant_shape.h"

namespace remeasure::kernels {
namespace {

constexpr int kColumnsPerBlock = 128;
constexpr int kLengthThreads = 256;

/// partial: [chunks, columns]
__global__ void __launch_bounds__(kColumnsPerBlock)
    partial_sums_kernel(int rows, int columns, int rows_per_chunk, const float* __restrict__ features,
                        double* __restrict__ partial) {
  const int column = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (column >= columns) return;
  const int chunk = static_cast<int>(blockIdx.y);
  const int first = chunk * rows_per_chunk;
  const int last = min(rows, first + rows_per_chunk);
  const std::size_t stride = static_cast<std::size_t>(columns);
  const float* feature = features + static_cast<std::size_t>(first) * stride + column;
  double sums[4] = {0, 0, 0, 0};
  int row = first;
  for (; row + 4 <= last; row += 4) {
#pragma unroll
    for (int k = 0; k < 4; ++k) sums[k] += static_cast<double>(feature[static_cast<std::size_t>(k) * stride]);
    feature += 4 * stride;
  }
  for (; row < last; ++row) {
    sums[0] += static_cast<double>(*feature);
    feature += stride;
  }
  partial[static_cast<std::size_t>(chunk) * stride + static_cast<std::size_t>(column)] =
      (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

__global__ void join_kernel(int rows, int columns, int chunks, const double* __restrict__ partial,
                            double* __restrict__ mean) {
  const int column = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (column >= columns) return;
  double sum = 0;
  for (int chunk = 0; chunk < chunks; ++chunk) {
    sum += partial[static_cast<std::size_t>(chunk) * static_cast<std::size_t>(columns) +
                   static_cast<std::size_t>(column)];
  }
  mean[column] = sum / rows;
}

__global__ void __launch_bounds__(kLengthThreads)
    length_kernel(int columns, const double* __restrict__ mean, double* __restrict__ length) {
  double sum = 0;
  for (int column = static_cast<int>(threadIdx.x); column < columns; column += kLengthThreads) {
    sum = fma(mean[column], mean[column], sum);
  }
  sum = block_sum(sum);
  if (threadIdx.x == 0) *length = sqrt(sum);
}

}  // namespace

template <class Target>
void mean_resultant(Stream<Target>& stream, std::size_t rows, std::size_t columns,
                    DeviceSpan<Target, const float> features, DeviceSpan<Target, double> mean,
                    DeviceSpan<Target, double> length, DeviceSpan<Target, double> workspace) {
  constexpr std::size_t kLimit = std::size_t{1} << 31;
  const std::size_t needed = mean_resultant_workspace(rows, columns);  // throws for rows or columns of 0
  if (rows >= kLimit || columns >= kLimit || features.size() != rows * columns || mean.size() != columns ||
      length.size() != 1 || workspace.size() < needed) {
    throw std::invalid_argument("mean_resultant: " + std::to_string(rows) + " rows, " +
                                std::to_string(columns) + " columns; got " + std::to_string(features.size()) +
                                " features, mean of " + std::to_string(mean.size()) + ", length of " +
                                std::to_string(length.size()) + ", workspace of " +
                                std::to_string(workspace.size()) + " (needs " + std::to_string(needed) + ")");
  }
  const int n = static_cast<int>(rows), d = static_cast<int>(columns);
  const MeanResultantShape shape = mean_resultant_shape(rows, columns);
  const unsigned blocks = blocks_for(columns, kColumnsPerBlock);
  launch({.name = "mean_resultant_partial",
          .grid = dim3(blocks, static_cast<unsigned>(shape.chunks)),
          .block = kColumnsPerBlock},
         stream, partial_sums_kernel, n, d, shape.rows_per_chunk, features.data(), workspace.data());
  launch({.name = "mean_resultant_join", .grid = blocks, .block = kColumnsPerBlock}, stream, join_kernel, n,
         d, shape.chunks, workspace.data(), mean.data());
  launch({.name = "mean_resultant_length", .grid = 1, .block = kLengthThreads}, stream, length_kernel, d,
         mean.data(), length.data());
}

template void mean_resultant(Stream<CompiledTarget>&, std::size_t, std::size_t,
                             DeviceSpan<CompiledTarget, const float>, DeviceSpan<CompiledTarget, double>,
                             DeviceSpan<CompiledTarget, double>, DeviceSpan<CompiledTarget, double>);

}  // namespace remeasure::kernels
