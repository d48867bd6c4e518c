// SPDX-License-Identifier: Apache-2.0
//
// Softmax of every row. In DFSS (Chen et al., PPoPP 2023, section 3) it runs over the n/2 kept scores of each
// row, so the same kernel is the method's second stage and, on full rows, the softmax of the unfused
// baseline.
//
//   for (row = 0; row < rows; ++row) {
//     m = max(x[row, :]);
//     for (i = 0; i < columns; ++i) y[row, i] = exp(x[row, i] - m);
//     s = sum(y[row, :]);
//     for (i = 0; i < columns; ++i) y[row, i] /= s;
//   }
//
// Optimisation: the row is read once, 16 bytes per thread and load, and stays in registers in fp32; a warp
// (32 threads, rows up to 2048 bf16) needs no shared memory, a block of 256 (up to 16384 bf16) one exchange
// each for maximum and sum. Launch: one warp per row, 8 rows per block; or one block of 256 per row. Per
// launch: 2 * sizeof(Element) bytes and about 5 operations per element, so bound by memory. Limits: columns a
// multiple of 16 bytes and at most 32 KiB (16384 bf16, 8192 float).
#include "kernels/attention/row_softmax.h"

#include <stdexcept>
#include <string>

#include "kernels/device/block_reduce.h"
#include "kernels/device/kernel.h"

namespace remeasure::kernels {
namespace {

constexpr float kLog2E = 1.44269504f;

/// Elements of 16 bytes, as floats.
RM_DEVICE void unpack(uint4 packed, float (&values)[8]) {
  const std::uint32_t words[4] = {packed.x, packed.y, packed.z, packed.w};
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    values[2 * i] = static_cast<float>(unpack2<bfloat16>(words[i], 0));
    values[2 * i + 1] = static_cast<float>(unpack2<bfloat16>(words[i], 1));
  }
}
RM_DEVICE void unpack(uint4 packed, float (&values)[4]) {
  values[0] = __uint_as_float(packed.x);
  values[1] = __uint_as_float(packed.y);
  values[2] = __uint_as_float(packed.z);
  values[3] = __uint_as_float(packed.w);
}
RM_DEVICE uint4 pack(const float (&v)[8]) {
  return make_uint4(pack2_bfloat16(v[0], v[1]), pack2_bfloat16(v[2], v[3]), pack2_bfloat16(v[4], v[5]),
                    pack2_bfloat16(v[6], v[7]));
}
RM_DEVICE uint4 pack(const float (&v)[4]) {
  return make_uint4(__float_as_uint(v[0]), __float_as_uint(v[1]), __float_as_uint(v[2]),
                    __float_as_uint(v[3]));
}

/// Threads [0, kThreads) hold the row, thread t the 16-byte vectors t, t + kThreads, ...
template <class Element, int kThreads, int kVectors>
__global__ void __launch_bounds__(256)
    row_softmax_kernel(long long rows, int vectors, const Element* input, Element* output) {
  constexpr int kPerVector = 16 / static_cast<int>(sizeof(Element));
  const int thread = static_cast<int>(threadIdx.x) % kThreads;
  const long long row =
      static_cast<long long>(blockIdx.x) * (256 / kThreads) + static_cast<int>(threadIdx.x) / kThreads;
  if (row >= rows) return;  // a whole warp, and never in a block that shares a row
  const uint4* from = reinterpret_cast<const uint4*>(input) + row * vectors;
  uint4* to = reinterpret_cast<uint4*>(output) + row * vectors;

  float values[kVectors][kPerVector];
  float largest = -FLT_MAX;
#pragma unroll
  for (int v = 0; v < kVectors; ++v) {
    const int at = thread + v * kThreads;
    if (at < vectors) {
      const uint4 packed =
          from[at];  // named, as g++ doesn't report an access inside a call's arguments to the checker
      unpack(packed, values[v]);
#pragma unroll
      for (int i = 0; i < kPerVector; ++i) largest = max(largest, values[v][i]);
    }
  }
  largest = row_max<kThreads>(largest);

  float sum = 0;
#pragma unroll
  for (int v = 0; v < kVectors; ++v) {
    if (thread + v * kThreads < vectors) {
#pragma unroll
      for (int i = 0; i < kPerVector; ++i) {
        values[v][i] = exp2f((values[v][i] - largest) * kLog2E);  // subtracted first: exact for equal scores
        sum += values[v][i];
      }
    }
  }
  sum = row_sum<kThreads>(sum);

  const float inverse = 1.0f / sum;
#pragma unroll
  for (int v = 0; v < kVectors; ++v) {
    const int at = thread + v * kThreads;
    if (at < vectors) {
#pragma unroll
      for (int i = 0; i < kPerVector; ++i) values[v][i] *= inverse;
      const uint4 packed = pack(values[v]);
      to[at] = packed;
    }
  }
}

template <class Target, class Element, int kThreads, int kVectors>
void launch_rows(Stream<Target>& stream, std::size_t rows, int vectors, const Element* input,
                 Element* output) {
  launch({.name = "row_softmax", .grid = blocks_for(rows, 256 / kThreads), .block = 256}, stream,
         row_softmax_kernel<Element, kThreads, kVectors>, static_cast<long long>(rows), vectors, input,
         output);
}

}  // namespace

template <class Target, class Element>
void row_softmax(Stream<Target>& stream, std::size_t rows, int columns,
                 DeviceSpan<Target, const Element> input, DeviceSpan<Target, Element> output) {
  constexpr int kPerVector = 16 / static_cast<int>(sizeof(Element));
  constexpr int kMostColumns = 256 * 8 * kPerVector;
  if (columns <= 0 || columns % kPerVector != 0 || columns > kMostColumns) {
    throw std::invalid_argument("row_softmax: rows of " + std::to_string(columns) +
                                " elements; it takes multiples of " + std::to_string(kPerVector) + " up to " +
                                std::to_string(kMostColumns) + " (pad the rows)");
  }
  const std::size_t size = rows * static_cast<std::size_t>(columns);
  if (input.size() != size || output.size() != size) {
    throw std::invalid_argument("row_softmax: input has " + std::to_string(input.size()) + " and output " +
                                std::to_string(output.size()) + " elements; rows * columns is " +
                                std::to_string(size));
  }
  if (rows == 0) return;
  const int vectors = columns / kPerVector;
  const auto run = [&](auto launcher) { launcher(stream, rows, vectors, input.data(), output.data()); };
  if (vectors <= 32)
    run(launch_rows<Target, Element, 32, 1>);
  else if (vectors <= 64)
    run(launch_rows<Target, Element, 32, 2>);
  else if (vectors <= 128)
    run(launch_rows<Target, Element, 32, 4>);
  else if (vectors <= 256)
    run(launch_rows<Target, Element, 32, 8>);
  else if (vectors <= 512)
    run(launch_rows<Target, Element, 256, 2>);
  else if (vectors <= 1024)
    run(launch_rows<Target, Element, 256, 4>);
  else
    run(launch_rows<Target, Element, 256, 8>);
}

template void row_softmax(Stream<CompiledTarget>&, std::size_t, int,
                          DeviceSpan<CompiledTarget, const bfloat16>, DeviceSpan<CompiledTarget, bfloat16>);
template void row_softmax(Stream<CompiledTarget>&, std::size_t, int, DeviceSpan<CompiledTarget, const float>,
                          DeviceSpan<CompiledTarget, float>);

}  // namespace remeasure::kernels
