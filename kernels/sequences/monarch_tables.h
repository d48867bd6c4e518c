// SPDX-License-Identifier: Apache-2.0
//
// What stays on the device for transforms of one length: DFT matrices in the order in which lanes hold them
// for mma, and twiddles. All computed in double and rounded once. Host only.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/device/float16.h"
#include "kernels/device/mma_layout.h"
#include "kernels/sequences/monarch.h"

namespace remeasure::kernels {

/// How the tensor cores multiply an element type. fp32 is three products of TF32 (Ootomo and Yokota,
/// "Recovering single precision accuracy from Tensor Cores", IJHPCA 2022): x = high + low, and low * low is
/// below the accumulator's rounding.
template <class Element>
struct MonarchMma {
  using Layout = MmaLayout<16, 2>;
  static constexpr int kDepth = 16;  ///< along K of one instruction
  static constexpr int kParts = 1;
  static constexpr int kProducts = 1;
  /// The K that a slot of the instruction holds.
  RM_HOST_DEVICE static constexpr int k(int slot) { return slot; }
};
/// An accumulator's columns 2j and 2j + 1 lie in one lane; tf32 operands have slots j and j + 4 there. Both
/// sides take K in that order, so that a sum becomes an operand without a shuffle.
template <>
struct MonarchMma<float> {
  using Layout = MmaLayout<8, 1>;
  static constexpr int kDepth = 8;
  static constexpr int kParts = 2;
  static constexpr int kProducts = 3;
  RM_HOST_DEVICE static constexpr int k(int slot) { return slot < 4 ? 2 * slot : 2 * (slot - 4) + 1; }
};

/// Where a stage's tables begin, in words and in pairs of elements. Words of a matrix as operand A: [re,
/// im][16 rows][K step][part] [lane][4]; as operand B (the last stage): [re, im][K step][8
/// columns][part][lane][2].
struct MonarchStageTables {
  std::size_t forward = 0, inverse = 0, twiddle = 0;
};

/// The matrices of a stage are F / N_i forwards and conj(F) back: powers of two, so the scaling is exact, and
/// no sum of a stage exceeds the largest magnitude that went in. (The authors fold 1/N into the first
/// twiddles; in fp16 that would make 32K-point spectra subnormal.)
template <class Element>
struct MonarchTables {
  std::vector<std::uint32_t> matrices;
  std::vector<Element> twiddles;  ///< (cos, -sin) of W^(k_i n_rest), [N_i, inner] of all stages but the last
  std::vector<MonarchStageTables> stages;
};

template <class Element>
MonarchTables<Element> monarch_tables(const MonarchFactors& factors);

/// Filters as the kernel multiplies by them: monarch_filters rounded, [channels, points, (A, B) if packed] of
/// pairs (re, im).
template <class Element>
std::vector<Element> monarch_device_filters(const ConvolutionShape& shape, const MonarchFactors& factors,
                                            std::span<const float> filters);

}  // namespace remeasure::kernels
