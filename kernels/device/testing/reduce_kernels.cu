// SPDX-License-Identifier: Apache-2.0
//
// Kernels that expose kernels/device/block_reduce.h to its test.
#include "kernels/device/testing/reduce_kernels.h"

#include <stdexcept>

#include "kernels/device/block_reduce.h"
#include "kernels/device/kernel.h"

namespace remeasure::kernels {
namespace {

template <int kThreads>
__global__ void reduce_rows_kernel(const float* values, float* out) {
  const int thread = static_cast<int>(threadIdx.x);
  const float value = values[thread];
  out[2 * thread] = row_sum<kThreads>(value);
  out[2 * thread + 1] = row_max<kThreads>(value);
}

__global__ void reduce_columns_kernel(int columns, const float* values, float* sums, float* maxima) {
  RM_DYNAMIC_SHARED(float, scratch);
  float mine[kColumnValues];
  for (int k = 0; k < kColumnValues; ++k) mine[k] = values[kColumnValues * static_cast<int>(threadIdx.x) + k];
  column_sums(columns, mine, scratch,
              [&](int column, int k, float sum) { sums[k * columns + column] = sum; });
  column_maxima(columns, mine, scratch,
                [&](int column, int k, float largest) { maxima[k * columns + column] = largest; });
}

}  // namespace

template <class Target>
void reduce_rows(Stream<Target>& stream, int row_threads, DeviceSpan<Target, const float> values,
                 DeviceSpan<Target, float> out) {
  const auto run = [&](auto kernel) {
    launch({.name = "reduce_rows", .block = static_cast<unsigned>(values.size())}, stream, kernel,
           values.data(), out.data());
  };
  switch (row_threads) {
    case 4:
      return run(reduce_rows_kernel<4>);
    case 32:
      return run(reduce_rows_kernel<32>);
    case 64:
      return run(reduce_rows_kernel<64>);
    case 256:
      return run(reduce_rows_kernel<256>);
    default:
      throw std::invalid_argument("reduce_rows: rows of 4, 32, 64 or 256 threads");
  }
}

template <class Target>
void reduce_columns(Stream<Target>& stream, int threads, int columns, DeviceSpan<Target, const float> values,
                    DeviceSpan<Target, float> sums, DeviceSpan<Target, float> maxima) {
  launch({.name = "reduce_columns",
          .block = static_cast<unsigned>(threads),
          .shared_bytes = sizeof(float) * column_scratch(threads, columns, kColumnValues)},
         stream, reduce_columns_kernel, columns, values.data(), sums.data(), maxima.data());
}

template void reduce_rows(Stream<CompiledTarget>&, int, DeviceSpan<CompiledTarget, const float>,
                          DeviceSpan<CompiledTarget, float>);
template void reduce_columns(Stream<CompiledTarget>&, int, int, DeviceSpan<CompiledTarget, const float>,
                             DeviceSpan<CompiledTarget, float>, DeviceSpan<CompiledTarget, float>);

}  // namespace remeasure::kernels
