// SPDX-License-Identifier: Apache-2.0
//
// Cross-entropy of rows of logits in a chosen precision, with what is needed to see softmax collapse (Prieto
// et al., "Grokking at the Edge of Numerical Stability", ICLR 2025, sections 2 and 4).
//   softmax:    loss = -((z_y - m) - log S),  S = sum_k exp(z_k - m),  m = max_k z_k;  dz_k = exp(z_k - m) /
//   S
//               - [k = y]
//   StableMax:  loss = -log(s(z_y) / S),  S = sum_k s(z_k),  s(x) = x + 1 (x >= 0), 1 / (1 - x) (x < 0);
//               dz_k = s'(z_k) (1 / S - [k = y] / s(z_y)),  s' = 1, s^2
// Every operation rounds to Q (kernels/learning/loss_arithmetic.h). The order of the sum decides when small
// terms are absorbed, so it is part of the definition: lane l of 32 adds k = l, l + 32, ...; lanes are added
// in pairs at distance 16, 8, 4, 2, 1.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/device/device.h"
#include "kernels/device/float16.h"

namespace remeasure::kernels {

enum class RowLoss { softmax, stable_max };

inline constexpr int kMostClasses = 128;

struct RowLossShape {
  int rows = 0, classes = 0;  ///< classes: 1 to kMostClasses
  std::size_t logits() const { return static_cast<std::size_t>(rows) * static_cast<std::size_t>(classes); }
  std::size_t mask_words() const { return (static_cast<std::size_t>(rows) + 31) / 32; }
};

/// logits, gradient: [rows, classes], the gradient being that of the mean over the rows; labels: [rows];
/// losses: [rows]; collapsed: [mask_words()], bit r % 32 of word r / 32 is set where the loss of row r is
/// exactly 0. Q: half, float or double. Bitwise deterministic. Throws std::invalid_argument for sizes that
/// don't fit.
template <class Target, class Q, RowLoss kLoss>
void cross_entropy_rows(Stream<Target>& stream, const RowLossShape& shape,
                        DeviceSpan<Target, const float> logits,
                        DeviceSpan<Target, const std::uint16_t> labels, DeviceSpan<Target, float> gradient,
                        DeviceSpan<Target, float> losses, DeviceSpan<Target, std::uint32_t> collapsed);

/// The same in plain loops, for logits and gradients in T (float, or double for oracles). Returns the number
/// of collapsed rows; `losses` may be empty.
template <class Q, RowLoss kLoss, class T>
int cross_entropy_rows_reference(const RowLossShape& shape, std::span<const T> logits,
                                 std::span<const std::uint16_t> labels, std::span<T> gradient,
                                 std::span<double> losses);

}  // namespace remeasure::kernels
