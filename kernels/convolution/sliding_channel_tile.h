// SPDX-License-Identifier: Apache-2.0
//
// What the kernels of sliding-channel convolution share: pieces of 16 bytes in shared memory, products of a
// warp's 16 rows, a ring of two buffers. Device code, for .cu files.
//
// A block of 128 threads computes 64 rows; a warp has 16 of them. Weights are staged as [64 rows][32 places
// of the inner dimension], zero outside of the band, values as [32 places][columns].
#pragma once

#include "kernels/convolution/sliding_channel.h"
#include "kernels/device/copy.h"
#include "kernels/device/kernel.h"
#include "kernels/device/mma.h"

namespace remeasure::kernels {

inline constexpr int kSlidingThreads = 128;

/// Elements of 16 bytes.
template <class Element>
inline constexpr int kPiece = 16 / static_cast<int>(sizeof(Element));
/// Distance of two rows of staged weights: rows begin 4 banks apart, so that eight of them fill all banks.
template <class Element>
inline constexpr int kWeightStride = kSlidingChunk + kPiece<Element>;
/// Of staged values: as weights in bf16, 8 banks apart in f32, where a fragment has four rows of eight.
template <int kColumns>
inline constexpr int kValueStride = kColumns + 8;

/// Elements [first, first + kPiece) of an array of `count` into shared memory; zeros for those that it
/// doesn't have. `whole`: the piece lies on 16 bytes in both memories, and no border runs through it.
template <class Element>
RM_DEVICE inline void copy_piece(Element* to, const Element* from, int first, int count, bool whole) {
  if (whole) {
    const bool exists = first >= 0 && first < count;
    copy_async<16>(to, from + (exists ? first : 0), exists ? 16 : 0);
    return;
  }
#pragma unroll
  for (int e = 0; e < kPiece<Element>; ++e) {
    const bool exists = first + e >= 0 && first + e < count;
    if constexpr (sizeof(Element) == 4) {
      copy_async<4>(to + e, from + (exists ? first + e : 0), exists ? 4 : 0);
    } else {
      Element value = Element(0.0f);
      if (exists) value = from[first + e];
      to[e] = value;
    }
  }
}

/// Whether pieces of a row of x, y or their gradients can be copied whole.
template <class Element>
RM_HOST_DEVICE inline bool whole_columns(const SlidingChannelShape& shape) {
  return shape.pixels() % kPiece<Element> == 0;
}

/// Copies elements [column, column + kPiece) of row `row` of images of `rows` rows each: columns count
/// through the images. Zeros from columns() on and for a row of -1.
template <class Element>
RM_DEVICE inline void copy_columns(Element* to, const Element* from, const SlidingChannelShape& shape,
                                   int rows, int row, int column, bool whole) {
  const int pixels = shape.pixels(), columns = row < 0 ? 0 : shape.columns();
  const auto place = [&](int at) {
    return (static_cast<long long>(at / pixels) * rows + row) * pixels + at % pixels;
  };
  if (whole) {
    const bool exists = column < columns;
    copy_async<16>(to, from + (exists ? place(column) : 0), exists ? 16 : 0);
    return;
  }
#pragma unroll 1
  for (int e = 0; e < kPiece<Element>; ++e) {
    const bool exists = column + e < columns;
    const Element* source = from + (exists ? place(column + e) : 0);
    if constexpr (sizeof(Element) == 4) {
      copy_async<4>(to + e, source, exists ? 4 : 0);
    } else {
      Element value = Element(0.0f);
      if (exists) value = *source;
      to[e] = value;
    }
  }
}

/// for (i < steps) compute(i, its buffer), while load(i + 1, the other one) is under way.
template <class Load, class Compute>
RM_DEVICE inline void two_buffers(int steps, const Load& load, const Compute& compute) {
  if (steps <= 0) return;
  load(0, 0);
  copy_async_commit();
  for (int i = 0; i < steps; ++i) {
    if (i + 1 < steps) {
      load(i + 1, (i + 1) % 2);
      copy_async_commit();
      copy_async_wait<1>();
    } else {
      copy_async_wait<0>();
    }
    __syncthreads();  // everybody's copies have landed
    compute(i, i % 2);
    __syncthreads();  // the next copies go to the buffer that was read
  }
}

/// The products of 16 rows of staged weights with kTiles * 8 columns of staged values, kStep places at a
/// time. sums[tile][r]: row lane / 4 + 8 (r / 2), column column(tile, r). `row(k)` is the row of values of
/// place k.
template <SlidingProduct kProduct>
struct WarpProduct;

/// Fused multiply-adds in f32. A lane has four neighbouring columns of each 16, one load of 16 bytes.
template <>
struct WarpProduct<SlidingProduct::fma> {
  using Element = float;
  static constexpr int kStep = inner_step(SlidingProduct::fma);
  RM_DEVICE static int column(int tile, int r) {
    return 16 * (tile / 2) + 4 * (lane_id() % 4) + 2 * (tile % 2) + r % 2;
  }
  template <int kTiles, class Row>
  RM_DEVICE static void multiply(float (&sums)[kTiles][4], const float* weights, const Row& row) {
    const float* upper_row = weights + lane_id() / 4 * kWeightStride<float>;
    const float4 a = *reinterpret_cast<const float4*>(upper_row);
    const float4 b = *reinterpret_cast<const float4*>(upper_row + 8 * kWeightStride<float>);
    const float upper[4] = {a.x, a.y, a.z, a.w}, lower[4] = {b.x, b.y, b.z, b.w};
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      const float* values = row(k) + 4 * (lane_id() % 4);
#pragma unroll
      for (int pair = 0; pair < kTiles / 2; ++pair) {
        const float4 x = *reinterpret_cast<const float4*>(values + 16 * pair);
        float(&even)[4] = sums[2 * pair];
        float(&odd)[4] = sums[2 * pair + 1];
        even[0] += upper[k] * x.x;
        even[1] += upper[k] * x.y;
        even[2] += lower[k] * x.x;
        even[3] += lower[k] * x.y;
        odd[0] += upper[k] * x.z;
        odd[1] += upper[k] * x.w;
        odd[2] += lower[k] * x.z;
        odd[3] += lower[k] * x.w;
      }
    }
  }
};

template <>
struct WarpProduct<SlidingProduct::tf32> {
  using Element = float;
  static constexpr int kStep = inner_step(SlidingProduct::tf32);
  RM_DEVICE static int column(int tile, int r) { return 8 * tile + 2 * (lane_id() % 4) + r % 2; }
  /// A fragment of 16 rows of weights: PTX ISA, fragments of m16n8k8.
  RM_DEVICE static void load_weights(std::uint32_t (&a)[4], const float* weights) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int row_of = lane_id() / 4 + 8 * (i % 2), place = lane_id() % 4 + 4 * (i / 2);
      a[i] = to_tf32(weights[row_of * kWeightStride<float> + place]);
    }
  }
  template <int kTiles, class Row>
  RM_DEVICE static void multiply(float (&sums)[kTiles][4], const float* weights, const Row& row) {
    std::uint32_t a[4];
    load_weights(a, weights);
    const float* first = row(lane_id() % 4) + lane_id() / 4;
    const float* second = row(lane_id() % 4 + 4) + lane_id() / 4;
#pragma unroll
    for (int tile = 0; tile < kTiles; ++tile) {
      const std::uint32_t b[2] = {to_tf32(first[8 * tile]), to_tf32(second[8 * tile])};
      Mma16x8x8Tf32::multiply(sums[tile], a, b, sums[tile]);
    }
  }
};

template <>
struct WarpProduct<SlidingProduct::bf16> {
  using Element = bfloat16;
  static constexpr int kStep = inner_step(SlidingProduct::bf16);
  RM_DEVICE static int column(int tile, int r) { return 8 * tile + 2 * (lane_id() % 4) + r % 2; }
  template <int kTiles, class Row>
  RM_DEVICE static void multiply(float (&sums)[kTiles][4], const bfloat16* weights, const Row& row) {
    std::uint32_t a[4];
    ldmatrix(a, weights + lane_id() % 16 * kWeightStride<bfloat16> + 8 * (lane_id() / 16));
    const bfloat16* values = row(lane_id() % 16) + 8 * (lane_id() / 16);
#pragma unroll
    for (int tile = 0; tile < kTiles; tile += 2) {
      std::uint32_t b[4];
      ldmatrix<true>(b, values + 8 * tile);
      const std::uint32_t even[2] = {b[0], b[1]}, odd[2] = {b[2], b[3]};
      Mma16x8x16Bf16::multiply(sums[tile], a, even, sums[tile]);
      Mma16x8x16Bf16::multiply(sums[tile + 1], a, odd, sums[tile + 1]);
    }
  }
};

RM_DEVICE inline void store_pair(float* to, float first, float second) {
  *reinterpret_cast<float2*>(to) = make_float2(first, second);
}
RM_DEVICE inline void store_pair(bfloat16* to, float first, float second) {
  *reinterpret_cast<std::uint32_t*>(to) = pack2(bfloat16(first), bfloat16(second));
}

/// Writes a warp's sums to rows of images of `rows` rows; row_of(row of the warp) is the row, or -1.
template <class Product, int kTiles, class RowOf>
RM_DEVICE inline void store_sums(typename Product::Element* out, const SlidingChannelShape& shape, int rows,
                                 const RowOf& row_of, int first_column, const float (&sums)[kTiles][4]) {
  using Element = typename Product::Element;
  const int pixels = shape.pixels(), columns = shape.columns();
  const int upper = row_of(lane_id() / 4), lower = row_of(lane_id() / 4 + 8);
#pragma unroll
  for (int tile = 0; tile < kTiles; ++tile) {
    const int column = first_column + Product::column(tile, 0);
    if (column >= columns) continue;
    const bool pair = pixels % 2 == 0;  // then both lie in one image, on one boundary
#pragma unroll
    for (int half_of = 0; half_of < 2; ++half_of) {
      const int row = half_of == 0 ? upper : lower;
      if (row < 0) continue;
      const auto place = [&](int at) {
        return (static_cast<long long>(at / pixels) * rows + row) * pixels + at % pixels;
      };
      const float first = sums[tile][2 * half_of], second = sums[tile][2 * half_of + 1];
      if (pair) {
        store_pair(out + place(column), first, second);
        continue;
      }
      const Element left = Element(first);
      out[place(column)] = left;
      if (column + 1 < columns) {
        const Element right = Element(second);
        out[place(column + 1)] = right;
      }
    }
  }
}

}  // namespace remeasure::kernels
