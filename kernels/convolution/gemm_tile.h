// SPDX-License-Identifier: Apache-2.0
//
// Tiles of the implicit products: how a warp takes operands of mma from shared memory, for both orders of a
// tile, and multiplies one stage. Device code, for .cu files.
#pragma once

#include "kernels/attention/swizzled_tile.h"
#include "kernels/convolution/gemm_plan.h"
#include "kernels/device/copy.h"
#include "kernels/device/kernel.h"
#include "kernels/device/mma.h"
#include "kernels/device/tile_product.h"

namespace remeasure::kernels {

template <class Element>
inline constexpr int kChunkElements = kChunkBytes / static_cast<int>(sizeof(Element));
/// Elements of the inner dimension in a stage: two steps of 32 bytes.
template <class Element>
inline constexpr int kGemmInner = kGemmInnerBytes / static_cast<int>(sizeof(Element));

/// One mma. float is one product of TF32, not the three that keep its precision.
template <class Element>
RM_DEVICE inline void multiply_fragment(float (&sum)[4], const std::uint32_t (&a)[4],
                                        const std::uint32_t (&b)[2]) {
  if constexpr (sizeof(Element) == 4)
    Mma16x8x8Tf32::multiply(sum, a, b, sum);
  else
    TileProduct<Element>::multiply(sum, a, b);
}

/// floats to nearest in TF32: the instruction would cut them.
template <class Element>
RM_DEVICE inline void round_operand([[maybe_unused]] std::uint32_t (&registers)[4]) {
  if constexpr (sizeof(Element) == 4) {
#pragma unroll
    for (std::uint32_t& bits : registers) bits = to_tf32(__uint_as_float(bits));
  }
}

/// [kExtent][inner]: rows or columns of the product, the inner dimension contiguous; 64 bytes each.
template <class Element, int kExtent>
struct InnerLast {
  using Layout = SwizzledTile<kGemmInnerBytes / kChunkBytes>;
  static constexpr int kBytes = kExtent * kGemmInnerBytes;
  /// A of rows first .. first + 15, step `step` (0 or 1) of the stage.
  RM_DEVICE static void load_a(std::uint32_t (&a)[4], const unsigned char* tile, int first, int step) {
    const int lane = lane_id();
    ldmatrix(a, tile + Layout::offset(first + lane % 16, 2 * step + lane / 16));
  }
  /// B of columns first .. first + 7 in registers 0 and 1, of the next eight in 2 and 3.
  RM_DEVICE static void load_b(std::uint32_t (&b)[4], const unsigned char* tile, int first, int step) {
    const int lane = lane_id();
    ldmatrix(b, tile + Layout::offset(first + lane % 8 + 8 * (lane / 16), 2 * step + lane / 8 % 2));
  }
};

/// [inner][kExtent]: the other order. 16-bit elements are transposed by ldmatrix; of floats each lane loads
/// its own (MmaLayout says which).
template <class Element, int kExtent>
struct InnerFirst {
  static constexpr int kChunks = kExtent / kChunkElements<Element>;
  using Layout = SwizzledTile<kChunks>;
  static constexpr int kBytes = kExtent * kGemmInnerBytes;

  RM_DEVICE static std::uint32_t at(const unsigned char* tile, int inner, int place) {
    return *reinterpret_cast<const std::uint32_t*>(tile + Layout::offset(inner, place / 4) + place % 4 * 4);
  }
  RM_DEVICE static void load_a(std::uint32_t (&a)[4], const unsigned char* tile, int first, int step) {
    const int lane = lane_id();
    if constexpr (sizeof(Element) == 2) {
      ldmatrix<true>(a,
                     tile + Layout::offset(16 * step + lane % 8 + 8 * (lane / 16), first / 8 + lane / 8 % 2));
    } else {
#pragma unroll
      for (int r = 0; r < 4; ++r)
        a[r] = at(tile, 8 * step + lane % 4 + 4 * (r / 2), first + lane / 4 + 8 * (r % 2));
    }
  }
  RM_DEVICE static void load_b(std::uint32_t (&b)[4], const unsigned char* tile, int first, int step) {
    const int lane = lane_id();
    if constexpr (sizeof(Element) == 2) {
      ldmatrix<true>(b, tile + Layout::offset(16 * step + lane % 16, first / 8 + lane / 16));
    } else {
#pragma unroll
      for (int i = 0; i < 4; ++i)
        b[i] = at(tile, 8 * step + lane % 4 + 4 * (i % 2), first + lane / 4 + 8 * (i / 2));
    }
  }
};

/// A warp's part of the tile: 32 rows, half the columns.
template <int kColumns>
using WarpSums = float[2][kColumns / 16][4];  // [m16 tile][n8 tile][register]

RM_DEVICE inline int warp_row() {
  return warp_id() / 2 * kGemmWarpRows;
}
template <int kColumns>
RM_DEVICE inline int warp_column() {
  return warp_id() % 2 * (kColumns / 2);
}

/// sums += the products of one stage.
template <class Element, int kColumns, class TileA, class TileB>
RM_DEVICE inline void multiply_stage(WarpSums<kColumns>& sums, const unsigned char* tile_a,
                                     const unsigned char* tile_b) {
#pragma unroll
  for (int step = 0; step < 2; ++step) {
    std::uint32_t a[2][4];
#pragma unroll
    for (int m = 0; m < 2; ++m) {
      TileA::load_a(a[m], tile_a, warp_row() + 16 * m, step);
      round_operand<Element>(a[m]);
    }
#pragma unroll
    for (int pair = 0; pair < kColumns / 32; ++pair) {
      std::uint32_t b[4];
      TileB::load_b(b, tile_b, warp_column<kColumns>() + 16 * pair, step);
      round_operand<Element>(b);
      const std::uint32_t even[2] = {b[0], b[1]}, odd[2] = {b[2], b[3]};
#pragma unroll
      for (int m = 0; m < 2; ++m) {
        multiply_fragment<Element>(sums[m][2 * pair], a[m], even);
        multiply_fragment<Element>(sums[m][2 * pair + 1], a[m], odd);
      }
    }
  }
}

/// Whether the warp's part of the tile holds anything of the product.
template <int kColumns>
RM_DEVICE inline bool warp_is_live(int first_row, int rows, int first_column, int columns) {
  return first_row + warp_row() < rows && first_column + warp_column<kColumns>() < columns;
}

/// The ring: load(stage, step) begins the copies of a step into a stage, multiply(stage) uses them.
template <class Load, class Multiply>
RM_DEVICE inline void run_ring(int steps, Load load, Multiply multiply) {
#pragma unroll
  for (int ahead = 0; ahead < kGemmStages - 1; ++ahead) {
    if (ahead < steps) load(ahead);
    copy_async_commit();
  }
  for (int step = 0; step < steps; ++step) {
    copy_async_wait<kGemmStages - 2>();  // for this step
    __syncthreads();                     // it has landed for all, and all are done with the step before
    if (step + kGemmStages - 1 < steps) load((step + kGemmStages - 1) % kGemmStages);
    copy_async_commit();
    multiply(step % kGemmStages);
  }
  copy_async_wait_all();
}

}  // namespace remeasure::kernels
