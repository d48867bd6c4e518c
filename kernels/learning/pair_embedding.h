// SPDX-License-Identifier: Apache-2.0
//
// The first layer of a network whose input is a pair (x, y) of numbers below p as one-hot vectors: x at x, y
// at p + y. Its product with the weights is a sum of two of their rows.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/device/device.h"

namespace remeasure::kernels {

struct PairShape {
  int rows = 0, modulus = 0, hidden = 0;
  std::size_t activations() const {
    return static_cast<std::size_t>(rows) * static_cast<std::size_t>(hidden);
  }
  std::size_t weights() const {
    return 2 * static_cast<std::size_t>(modulus) * static_cast<std::size_t>(hidden);
  }
};

/// The rows in which each of the 2p inputs is 1, ascending: those of input s are rows[begin[s]] to
/// rows[begin[s + 1] - 1]. Throws std::invalid_argument for numbers that aren't below the modulus.
struct PairSegments {
  std::vector<std::int32_t> begin, rows;
};
PairSegments pair_segments(int modulus, std::span<const std::uint16_t> pairs);

/// out[i] = max(weights[x_i] + weights[p + y_i], 0).  weights: [2p, hidden], pairs: [rows, 2], out: [rows,
/// hidden]. Throws std::invalid_argument for sizes that don't fit.
template <class Target>
void pair_embedding(Stream<Target>& stream, const PairShape& shape, DeviceSpan<Target, const float> weights,
                    DeviceSpan<Target, const std::uint16_t> pairs, DeviceSpan<Target, float> out);

/// Its gradient by the weights, [2p, hidden]: each row is the sum of the gradient's rows of a segment, in one
/// order, without atomics. `gradient` ([rows, hidden]) is that before ReLU.
template <class Target>
void pair_embedding_gradient(Stream<Target>& stream, const PairShape& shape,
                             DeviceSpan<Target, const std::int32_t> begin,
                             DeviceSpan<Target, const std::int32_t> rows,
                             DeviceSpan<Target, const float> gradient, DeviceSpan<Target, float> by_weights);

}  // namespace remeasure::kernels
