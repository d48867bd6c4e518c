// SPDX-License-Identifier: Apache-2.0
//
// What the kernels of fused residual blocks share: matrices in swizzled shared memory, loads of weights,
// products of such matrices by a warp, gelu, pairs of results. Device code, for .cu files.
#pragma once

#include "kernels/attention/swizzled_tile.h"
#include "kernels/convolution/residual_block.h"
#include "kernels/device/copy.h"
#include "kernels/device/kernel.h"
#include "kernels/device/tile_product.h"

namespace remeasure::kernels {

inline constexpr int kBlockThreads = 256, kBlockWarps = kBlockThreads / 32;

/// Rows of kColumns elements in shared memory, in chunks of 16 bytes; rows of less than 64 bytes are padded
/// to that.
template <class Element, int kColumns>
struct BlockTile {
  static constexpr int kInChunk = kChunkBytes / static_cast<int>(sizeof(Element));
  static constexpr int kChunks = kColumns / kInChunk;
  using Layout = SwizzledTile<(kChunks < 4 ? 4 : kChunks)>;
  static constexpr int bytes(int rows) { return rows * Layout::kRowBytes; }
  /// Byte of an even column.
  RM_DEVICE static int offset(int row, int column) {
    return Layout::offset(row, column / kInChunk) + column % kInChunk * static_cast<int>(sizeof(Element));
  }
};

/// Two neighbouring elements, the first in an even column.
RM_DEVICE inline void put_pair(half* to, float first, float second) {
  *reinterpret_cast<std::uint32_t*>(to) = pack2(half(first), half(second));
}
RM_DEVICE inline void put_pair(bfloat16* to, float first, float second) {
  *reinterpret_cast<std::uint32_t*>(to) = pack2_bfloat16(first, second);
}
RM_DEVICE inline void put_pair(float* to, float first, float second) {
  *reinterpret_cast<float2*>(to) = make_float2(first, second);
}
template <class Element>
RM_DEVICE inline float2 get_pair(const Element* from) {
  if constexpr (sizeof(Element) == 2) {
    const std::uint32_t pair = *reinterpret_cast<const std::uint32_t*>(from);
    return make_float2(static_cast<float>(unpack2<Element>(pair, 0)),
                       static_cast<float>(unpack2<Element>(pair, 1)));
  } else {
    return *reinterpret_cast<const float2*>(from);
  }
}
/// The place of (row, column) in a tile.
template <class Tile, class Element>
RM_DEVICE inline Element* at(unsigned char* tile, int row, int column) {
  return reinterpret_cast<Element*>(tile + Tile::offset(row, column));
}
template <class Tile, class Element>
RM_DEVICE inline const Element* at(const unsigned char* tile, int row, int column) {
  return reinterpret_cast<const Element*>(tile + Tile::offset(row, column));
}

/// x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) as x / (1 + exp(-2 sqrt(2/pi) (...))). Six operations and an
/// exponential.
RM_DEVICE inline float fast_gelu(float x) {
  const float twice = x * (1.5957691216f + 0.0713548163f * (x * x));
  return __fdividef(x, 1.0f + __expf(-twice));
}
inline constexpr double kFlopsOfGelu = 6;

/// Begins to copy kRows rows of Tile, `stride` elements apart in global memory.
template <class Tile, int kRows, class Element>
RM_DEVICE inline void copy_matrix(unsigned char* to, const Element* from, int stride) {
  for (int i = static_cast<int>(threadIdx.x); i < kRows * Tile::kChunks; i += kBlockThreads) {
    const int row = i / Tile::kChunks, chunk = i % Tile::kChunks;
    copy_async<kChunkBytes>(to + Tile::Layout::offset(row, chunk),
                            from + static_cast<long long>(row) * stride + chunk * Tile::kInChunk);
  }
}

/// sums += a * b^T for 16 kM rows of `a` from `first_row` on and 8 kN rows of `b` from `first_column` on;
/// both tiles have the inner dimension along their rows. Sixteen rows of `a` that begin at or beyond `rows`
/// are left out. Register r of sums[m][n]: row first_row + 16 m + lane / 4 + 8 (r / 2), column first_column +
/// 8 n
/// + 2 (lane % 4) + r % 2.
template <class Element, class Tile, int kM, int kN>
RM_DEVICE inline void multiply_tiles(float (&sums)[kM][kN][4], const unsigned char* a, int first_row,
                                     int rows, const unsigned char* b, int first_column) {
  using Layout = typename Tile::Layout;
  const int lane = lane_id();
#pragma unroll 2
  for (int chunk = 0; chunk < Tile::kChunks; chunk += 2) {
    std::uint32_t left[kM][4] = {};
#pragma unroll
    for (int m = 0; m < kM; ++m) {
      const int row = first_row + 16 * m;
      if (row < rows) ldmatrix(left[m], a + Layout::offset(row + lane % 16, chunk + lane / 16));
    }
    const auto multiply = [&](int n, std::uint32_t low, std::uint32_t high) {
      const std::uint32_t right[2] = {low, high};
#pragma unroll
      for (int m = 0; m < kM; ++m) {
        if (first_row + 16 * m < rows) TileProduct<Element>::multiply(sums[m][n], left[m], right);
      }
    };
#pragma unroll
    for (int n = 0; n + 1 < kN; n += 2) {
      std::uint32_t right[4];
      ldmatrix(right,
               b + Layout::offset(first_column + 8 * n + lane % 8 + 8 * (lane / 16), chunk + lane / 8 % 2));
      multiply(n, right[0], right[1]);
      multiply(n + 1, right[2], right[3]);
    }
    if constexpr (kN % 2 == 1) {
      std::uint32_t right[2];
      ldmatrix(right, b + Layout::offset(first_column + 8 * (kN - 1) + lane % 8, chunk + lane / 8 % 2));
      multiply(kN - 1, right[0], right[1]);
    }
  }
}

/// Copies rows of kChannels elements from a tile to global memory, 16 bytes a thread; to(row) is where.
template <class Tile, class To>
RM_DEVICE inline void store_rows(const unsigned char* tile, int rows, const To& to) {
  for (int i = static_cast<int>(threadIdx.x); i < rows * Tile::kChunks; i += kBlockThreads) {
    const int row = i / Tile::kChunks, chunk = i % Tile::kChunks;
    *reinterpret_cast<uint4*>(to(row) + chunk * Tile::kInChunk) =
        *reinterpret_cast<const uint4*>(tile + Tile::Layout::offset(row, chunk));
  }
}

}  // namespace remeasure::kernels
