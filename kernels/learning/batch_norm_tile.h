// SPDX-License-Identifier: Apache-2.0
//
// What the kernels of batch normalisation share: which rows and channels a thread has, and sums over rows
// that many blocks make together.
//
// A block stands at slab blockIdx.x of the channels (8 * columns of them) and takes 256 / columns rows at a
// time, every gridDim.y-th such group. A thread keeps one vector of 8 channels for the whole launch, so
// parameters and sums stay in its registers, and a row's threads read 16 * columns neighbouring bytes.
#pragma once

#include <algorithm>

#include "kernels/device/block_reduce.h"
#include "kernels/device/fast_divisor.h"
#include "kernels/device/kernel.h"
#include "kernels/device/last_block.h"
#include "kernels/learning/batch_norm.h"

namespace remeasure::kernels {

inline constexpr int kBatchNormThreads = 256, kBatchNormVector = 8;

/// Number i of the sampled rows, as a row of x: a rectangle of consecutive images.
struct BoxRows {
  FastDivisor pixels, width;  // of the rectangle
  int first = 0, map_rows = 0, map_width = 0;
  bool contiguous = false;

  BoxRows(const BatchNormShape& shape, const SampleBox& box)
      : pixels(box.height * box.width),
        width(box.width),
        first((box.image * shape.height + box.y) * shape.width + box.x),
        map_rows(shape.height * shape.width),
        map_width(shape.width),
        contiguous(box.height == shape.height && box.width == shape.width) {}

  RM_DEVICE int operator()(int i) const {
    if (contiguous) return first + i;
    const int image = pixels.quotient(i), pixel = pixels.remainder(i, image);
    const int y = width.quotient(pixel), x = width.remainder(pixel, y);
    return first + image * map_rows + y * map_width + x;
  }
};

/// Number i of the sampled rows, from a list.
struct ListedRows {
  const std::int32_t* rows;
  RM_DEVICE int operator()(int i) const { return rows[i]; }
};

/// Whether a row is one of the rectangle's.
struct BoxMembership {
  FastDivisor map, map_width;
  int image, images, y, height, x, width;

  BoxMembership(const BatchNormShape& shape, const SampleBox& box)
      : map(shape.height * shape.width),
        map_width(shape.width),
        image(box.image),
        images(box.images),
        y(box.y),
        height(box.height),
        x(box.x),
        width(box.width) {}

  RM_DEVICE bool operator()(int row) const {
    const int n = map.quotient(row), pixel = map.remainder(row, n);
    const int v = map_width.quotient(pixel), u = map_width.remainder(pixel, v);
    return static_cast<unsigned>(n - image) < static_cast<unsigned>(images) &&
           static_cast<unsigned>(v - y) < static_cast<unsigned>(height) &&
           static_cast<unsigned>(u - x) < static_cast<unsigned>(width);
  }
};

/// Where a thread stands in the grid of BatchNormGrid.
struct BatchNormPlace {
  int columns, vectors;  // of the slab; of all channels
  int vector, first_row, row_step;

  RM_DEVICE BatchNormPlace(int columns_, int vectors_) : columns(columns_), vectors(vectors_) {
    const int thread = static_cast<int>(threadIdx.x), at_once = kBatchNormThreads / columns;
    vector = static_cast<int>(blockIdx.x) * columns + (thread & (columns - 1));
    first_row = static_cast<int>(blockIdx.y) * at_once + thread / columns;
    row_step = at_once * static_cast<int>(gridDim.y);
  }
  RM_DEVICE bool exists() const { return vector < vectors; }
  /// Of the vector of this thread in a row, in an array of uint4.
  RM_DEVICE std::size_t at(int row) const {
    return static_cast<std::size_t>(row) * static_cast<std::size_t>(vectors) +
           static_cast<std::size_t>(vector);
  }
};

RM_DEVICE inline void unpack8(uint4 packed, float (&values)[8]) {
  const std::uint32_t words[4] = {packed.x, packed.y, packed.z, packed.w};
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    values[2 * i] = static_cast<float>(unpack2<half>(words[i], 0));
    values[2 * i + 1] = static_cast<float>(unpack2<half>(words[i], 1));
  }
}
RM_DEVICE inline uint4 pack8(const float (&v)[8]) {
  return make_uint4(pack2(half(v[0]), half(v[1])), pack2(half(v[2]), half(v[3])),
                    pack2(half(v[4]), half(v[5])), pack2(half(v[6]), half(v[7])));
}
/// The 8 of this thread's channels.
RM_DEVICE inline void load8(const float* of_channels, int vector, float (&values)[8]) {
  const float4* from = reinterpret_cast<const float4*>(of_channels) + 2 * vector;
  const float4 low = from[0], high = from[1];
  values[0] = low.x, values[1] = low.y, values[2] = low.z, values[3] = low.w;
  values[4] = high.x, values[5] = high.y, values[6] = high.z, values[7] = high.w;
}

/// Sums of K values per column over all threads and row blocks of this slab. True in the block that has them:
/// then totals[k * columns + column] (shared memory). parts: [slabs][row blocks][K * columns].
template <int K>
RM_DEVICE inline bool sum_over_rows(int columns, const float (&mine)[K], float* parts, unsigned int* tickets,
                                    float* totals) {
  static_assert(K % 4 == 0);
  float* const scratch = totals + K * columns;
  if (gridDim.y == 1) {
    column_sums(columns, mine, scratch,
                [&](int column, int k, float sum) { totals[k * columns + column] = sum; });
    return true;
  }
  const int values = K * columns;
  float* const of_slab = parts + static_cast<std::size_t>(blockIdx.x) * gridDim.y * values;
  float* const part = of_slab + static_cast<std::size_t>(blockIdx.y) * values;
  column_sums(columns, mine, scratch,
              [&](int column, int k, float sum) { part[k * columns + column] = sum; });
  if (!is_last_block(&tickets[blockIdx.x], gridDim.y)) return false;
  // Four values a thread; the threads that have the same four share the parts among them.
  const int fours = values / 4, four = static_cast<int>(threadIdx.x) & (fours - 1);
  const int sharers = kBatchNormThreads / fours;
  float sum[4] = {};
#pragma unroll 4
  for (int b = static_cast<int>(threadIdx.x) / fours; b < static_cast<int>(gridDim.y); b += sharers) {
    const float4 next = reinterpret_cast<const float4*>(of_slab)[b * fours + four];
    sum[0] += next.x, sum[1] += next.y, sum[2] += next.z, sum[3] += next.w;
  }
  column_sums(fours, sum, scratch, [&](int which, int k, float total) { totals[4 * which + k] = total; });
  return true;
}

/// Dynamic shared memory of a kernel that calls sum_over_rows<K>.
template <int K>
std::size_t sum_over_rows_bytes(int columns) {
  const int fours = K * columns / 4;
  const std::size_t scratch =
      std::max(column_scratch(kBatchNormThreads, columns, K), column_scratch(kBatchNormThreads, fours, 4));
  return sizeof(float) * (static_cast<std::size_t>(K * columns) + scratch);
}

}  // namespace remeasure::kernels
