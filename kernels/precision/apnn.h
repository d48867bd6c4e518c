// SPDX-License-Identifier: Apache-2.0
//
// Products and convolutions of low-bit codes on one-bit tensor cores (Feng et al., "APNN-TC: Accelerating
// Arbitrary Precision Neural Networks on Ampere GPU Tensor Cores", SC 2021, arXiv 2106.12169).
#pragma once

#include <cstdint>

#include "kernels/device/device.h"
#include "kernels/precision/low_bit_layer.h"

namespace remeasure::kernels {

/// Bits and encodings that there are kernels for: w1a1 (all but mixed), w1a2, w1a3, w1a4, w1a8 (and, mixed),
/// w2a2, w2a8, w4a4 (and).
bool has_low_bit_kernel(const LowBitShape& shape);

/// sums = the layer's product or convolution, exact. Planes as bit_planes.h packs them.
/// Throws std::invalid_argument for a shape without a kernel, or sizes that don't fit. Bitwise deterministic.
template <class Target>
void low_bit_layer(Stream<Target>& stream, const LowBitShape& shape,
                   DeviceSpan<Target, const std::uint32_t> activations,
                   DeviceSpan<Target, const std::uint32_t> weights, DeviceSpan<Target, std::int32_t> sums);

/// The same, requantised, pooled and packed before anything is stored: planes[bit][row][word], the
/// activations of the next layer. alpha, beta: [outputs].
template <class Target>
void low_bit_layer_fused(Stream<Target>& stream, const LowBitShape& shape, const Requantise& to,
                         DeviceSpan<Target, const std::uint32_t> activations,
                         DeviceSpan<Target, const std::uint32_t> weights,
                         DeviceSpan<Target, const float> alpha, DeviceSpan<Target, const float> beta,
                         DeviceSpan<Target, std::uint32_t> planes);

/// A block's tile: warps along the rows, 16 each, and along the outputs, 32 each.
struct LowBitTiling {
  int row_warps = 4, output_warps = 2;

  RM_HOST_DEVICE constexpr int rows() const { return 16 * row_warps; }
  RM_HOST_DEVICE constexpr int outputs() const { return 32 * output_warps; }
  RM_HOST_DEVICE constexpr int threads() const { return 32 * row_warps * output_warps; }
};
/// 64 x 64 where that gives a block for each of some 128 multiprocessors, else 32 x 32: small products are a
/// question of latency, and four times as many blocks share it.
LowBitTiling low_bit_tiling(const LowBitShape& shape, bool pool);

/// Rows that are computed: pooled ones in whole windows.
constexpr int low_bit_computed_rows(const LowBitShape& shape, bool pool) {
  return pool ? shape.images * (shape.out_height / 2) * (shape.out_width / 2) * 4 : shape.rows();
}
/// Operations of the mma instructions: a product of two bits and its addition are two, for each pair of
/// planes, the padding of tiles and K included.
double low_bit_operations(const LowBitShape& shape, bool pool);

}  // namespace remeasure::kernels
