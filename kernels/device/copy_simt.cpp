// SPDX-License-Identifier: Apache-2.0
//
// ldmatrix on the SIMT engine (PTX ISA, "Warp-level matrix load instruction: ldmatrix").
#include "kernels/device/copy.h"

#include <cstring>

namespace remeasure::emulation {

namespace {

constexpr std::size_t kRowBytes = 16;

void check_row(const void* row, const simt::Site& where) {
  if (reinterpret_cast<std::uintptr_t>(row) % kRowBytes != 0) {
    simt::fail(simt::ErrorKind::misaligned, "ldmatrix: the address of a row is not a multiple of 16 bytes",
               where);
  }
  if (!simt::is_shared(row)) {
    simt::fail(simt::ErrorKind::out_of_bounds,
               "ldmatrix: the address of a row is not in this block's shared memory", where);
  }
  simt::check_read(row, kRowBytes, kRowBytes, where);
}

}  // namespace

/// Lane 8*m + r brings the address of row r of matrix m; the addresses of further lanes are ignored. Lane l
/// receives of each matrix the elements 2*(l%4) and the next of row l/4, or, transposed, of column l/4.
void load_matrices(std::uint32_t* registers, int matrices, bool transposed, const void* row,
                   const simt::Site& where) {
  const unsigned lane = simt::this_thread().lane();
  if (lane < 8 * static_cast<unsigned>(matrices)) check_row(row, where);
  const simt::WarpView rows = simt::warp_exchange(simt::kFullMask, &row, sizeof row, where, "ldmatrix");
  const unsigned across = lane / 4;
  const unsigned along = 2 * (lane % 4);
  for (int matrix = 0; matrix < matrices; ++matrix) {
    const auto element = [&](unsigned r, unsigned column) -> std::uint32_t {
      std::uint16_t value;
      std::memcpy(&value, rows.get<const std::byte*>(8 * static_cast<unsigned>(matrix) + r) + 2 * column,
                  sizeof value);
      return value;
    };
    registers[matrix] = transposed ? element(along, across) | element(along + 1, across) << 16
                                   : element(across, along) | element(across, along + 1) << 16;
  }
}

}  // namespace remeasure::emulation
