// SPDX-License-Identifier: Apache-2.0
//
// Tiles of 8-bit codes for mma.m16n8k32, 64 codes of the inner dimension at a time. Device code, for .cu
// files.
//
// The instruction gives a lane codes 4 l .. 4 l + 3 and 16 + 4 l .. of a row's 32 (l = lane % 4). A sum
// doesn't ask for its order: here a lane takes codes 8 l .. 8 l + 7 of both operands, which is one load of 8
// bytes of codes, or 16 of half.
#pragma once

#include "kernels/device/copy.h"
#include "kernels/device/kernel.h"
#include "kernels/device/mma.h"

namespace remeasure::kernels {

inline constexpr int kInnerTile = 64, kTileRows = 128, kTileThreads = 256;  // a warp has 16 rows

/// Rows of 64 codes. Chunks of 16 bytes change places so that the four rows that half a warp reads lie in
/// different banks.
RM_DEVICE inline int code_offset(int row, int chunk) {
  return row * kInnerTile + ((chunk ^ (row / 2 % 2 * 2)) * 16);
}

/// Begins to copy `kRows` rows of codes from `first`; those from `rows` on, and codes from `inner` on, become
/// zeros.
template <int kRows, class Code>
RM_DEVICE inline void load_codes(unsigned char* to, const Code* from, int first, int rows, int inner,
                                 int inner_tile) {
  static_assert(sizeof(Code) == 1);
  for (int i = static_cast<int>(threadIdx.x); i < kRows * 4; i += kTileThreads) {
    const int row = i / 4, chunk = i % 4, at = inner_tile * kInnerTile + chunk * 16;
    const bool exists = first + row < rows && at < inner;
    const Code* source = from + (exists ? static_cast<long long>(first + row) * inner + at : 0);
    copy_async<16>(to + code_offset(row, chunk), source, exists ? 16 : 0);
  }
}

/// This lane's 8 codes of 32-code step `step` (0 or 1) in a row of the tile: registers 0 and 1 of B, or 0 and
/// 2 (1 and 3) of A.
RM_DEVICE inline uint2 lane_codes(const unsigned char* tile, int row, int step) {
  const int lane = lane_id() % 4;
  return *reinterpret_cast<const uint2*>(tile + code_offset(row, 2 * step + lane / 2) + lane % 2 * 8);
}

}  // namespace remeasure::kernels
