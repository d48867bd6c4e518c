// SPDX-License-Identifier: Apache-2.0
//
// Tiles of shared memory that ldmatrix reads and cp.async writes without bank conflicts. Device code, for .cu
// files.
#pragma once

#include "kernels/device/qualifiers.h"

namespace remeasure::kernels {

inline constexpr int kChunkBytes = 16;  ///< what cp.async and a row of ldmatrix move

/// A tile in shared memory: rows of kChunks 16-byte chunks, of which some bits are flipped by the row number,
/// so that the eight rows that an ldmatrix reads at one chunk lie in eight different groups of four banks.
/// Rows of 64 bytes: two of them fill all banks once, so the row's lowest bit is left out.
template <int kChunks>
struct SwizzledTile {
  static_assert(kChunks >= 4 && kChunks % 4 == 0);
  static constexpr int kRowBytes = kChunks * kChunkBytes;
  RM_DEVICE static constexpr int offset(int row, int chunk) {
    const int flip = kChunks == 4 ? row / 2 % 4 : row % 8;
    return row * kRowBytes + (chunk ^ flip) * kChunkBytes;
  }
};

}  // namespace remeasure::kernels
