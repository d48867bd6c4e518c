// SPDX-License-Identifier: Apache-2.0
//
// Which matrix element a lane holds in which register of an mma fragment (PTX ISA 8.5, section "Matrix
// Fragments for mma", one paragraph per shape; CUTLASS include/cute/atom/mma_traits_sm80.hpp states the
// same). All the 16x8 shapes follow one rule in the number of elements that a 32-bit register packs: 1 tf32,
// 2 f16, 4 s8, 8 s4, 32 b1. Lanes form eight groups of four: `lane / 4` chooses the row of A and the column
// of B, `lane % 4` the place along K. Kernels use these functions to load and store fragments, the emulation
// to run the instruction, the tests to compare both with written-out tables.
#pragma once

#include "kernels/device/qualifiers.h"

namespace remeasure {

struct MatrixPosition {
  int row;
  int column;
  RM_HOST_DEVICE constexpr bool operator==(const MatrixPosition& other) const {
    return row == other.row && column == other.column;
  }
};

/// Fragments of D[16x8] = A[16xK] B[Kx8] + C[16x8]. Elements are counted through the registers, low bits
/// first. For a sparse A, `a` gives the place in the compressed matrix [16 x K/2].
template <int K_, int ElementsPerRegister, bool SparseA = false>
struct MmaLayout {
  static constexpr int kM = 16;
  static constexpr int kN = 8;
  static constexpr int kK = K_;
  static constexpr int kElementsPerRegister = ElementsPerRegister;
  static constexpr int kBRegisters = K_ / (4 * ElementsPerRegister);
  static constexpr int kARegisters = SparseA ? kBRegisters : 2 * kBRegisters;
  static constexpr int kCRegisters = 4;
  static constexpr int kAElements = kARegisters * ElementsPerRegister;
  static constexpr int kBElements = kBRegisters * ElementsPerRegister;
  static_assert(kK == 4 * kBElements, "a column of B lies in four lanes");

  /// (row, k) of element `i` of A.  Registers 0 and 2 hold row lane/4, registers 1 and 3 the row eight below.
  RM_HOST_DEVICE static constexpr MatrixPosition a(int lane, int i) {
    const int register_index = i / ElementsPerRegister;
    return {lane / 4 + 8 * (register_index % 2),
            (lane % 4 + 4 * (register_index / 2)) * ElementsPerRegister + i % ElementsPerRegister};
  }
  /// (k, column) of element `i` of B.
  RM_HOST_DEVICE static constexpr MatrixPosition b(int lane, int i) {
    return {(lane % 4 + 4 * (i / ElementsPerRegister)) * ElementsPerRegister + i % ElementsPerRegister,
            lane / 4};
  }
  /// (row, column) of register `i` of C and D.
  RM_HOST_DEVICE static constexpr MatrixPosition c(int lane, int i) {
    return {lane / 4 + 8 * (i / 2), 2 * (lane % 4) + i % 2};
  }
};

/// Metadata of a sparse A [16 x K]: which K of each chunk the stored elements have. One 32-bit word holds the
/// indices of two half rows: the low 16 bits those of row lane/4, the high 16 bits those of the row eight
/// below; of a group of four lanes, lanes 2*selector and 2*selector + 1 hold the words of the lower and upper
/// half of K. (PTX ISA, "Matrix Fragments for sparse mma.m16n8k32 with .f16 and .bf16 types" and "...
/// m16n8k16 with .tf32", figures of the metadata layout; the same order follows from reorder_meta in CUTLASS
/// tools/util/include/cutlass/util/host_reorder.h.) A chunk takes four bits, the lowest chunk in the lowest
/// bits. In f16 a chunk is four elements of which two are stored: two 2-bit indices, ascending. In tf32 it is
/// two elements of which one is stored: 0b0100 (the first) or 0b1110 (the second).
struct MmaMetadata {
  /// The lane that holds the word for (row, half of K): half is 0 or 1.
  RM_HOST_DEVICE static constexpr int lane(int row, int half, int selector) {
    return 4 * (row % 8) + 2 * selector + half;
  }
  /// The bit where the four bits of (row, chunk in the half: 0..3) begin.
  RM_HOST_DEVICE static constexpr int shift(int row, int chunk) { return 16 * (row / 8) + 4 * chunk; }
};

}  // namespace remeasure
