// SPDX-License-Identifier: Apache-2.0
//
// Residual blocks on a CPU: the oracle by plain loops, and the order of a fused block in Eigen. Definitions
// in residual_block.h.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "kernels/convolution/residual_block.h"

namespace remeasure::kernels {

/// The oracle: y of some pixels, [pixels, channels], by the loops of the definition in double.
std::vector<double> block_pixels(Block block, const BlockShape& shape, const BlockWeights<float>& weights,
                                 std::span<const float> x, std::span<const std::size_t> pixels);

/// All layers of a band of `band_rows` rows, then the next band: what lies between layers stays in cache, and
/// rows of halo are computed twice (MBConv). `threads`: 0 = all. Scalar: float or double.
template <class Scalar>
void block_depth_first(Block block, const BlockShape& shape, const BlockWeights<Scalar>& weights,
                       std::span<const Scalar> x, std::span<Scalar> y, int band_rows, int threads = 0);

/// Rows of a band whose widest layer takes about 256 KiB.
int depth_first_rows(const BlockShape& shape, std::size_t element_bytes);

}  // namespace remeasure::kernels
