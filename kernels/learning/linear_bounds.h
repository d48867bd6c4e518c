// SPDX-License-Identifier: Apache-2.0
//
// Linear bounds of the values of a network in a perturbation d of its input, as verifiers propagate them:
//   lower_weight[r, :, c] . d + lower_bias[r, c]  <=  z[r, c]  <=  upper_weight[r, :, c] . d + upper_bias[r,
//   c]
// The four arrays are one bound object. Over a ball of d they become an interval: lower_bias - radius
// |lower_weight[r, :, c]|_q, upper_bias + radius |upper_weight[r, :, c]|_q, q dual to the ball's p; several
// perturbed words have a ball each, and their norms add up.
#pragma once

#include <cstddef>
#include <span>

#include "kernels/device/device.h"

namespace remeasure::kernels {

/// Weights [rows, inputs, channels], biases [rows, channels], row-major.
struct BoundShape {
  int rows = 0;
  int inputs = 0;  ///< numbers in the perturbation, all words together
  int channels = 0;

  std::size_t biases() const { return static_cast<std::size_t>(rows) * static_cast<std::size_t>(channels); }
  std::size_t weights() const { return biases() * static_cast<std::size_t>(inputs); }
  /// Bytes of one bound object in f32.
  std::size_t bytes() const { return 8 * (weights() + biases()); }
  BoundShape with_channels(int other) const { return {rows, inputs, other}; }
};

enum class BallNorm { one, two, infinity };

/// |d_word|_p <= radius for each of `words` equal parts of the perturbation.
struct Ball {
  double radius = 0;
  BallNorm norm = BallNorm::two;
  int words = 1;
};

/// Element-wise functions and the lines that enclose them (relaxation.h).
enum class Relaxation { relu, tanh, exponential, reciprocal, square_root, square };

/// The four arrays on a device. Float: float, or const float where they are only read.
template <class Target, class Float>
struct BoundSpans {
  DeviceSpan<Target, Float> lower_weight, upper_weight, lower_bias, upper_bias;

  BoundSpans() = default;
  BoundSpans(DeviceSpan<Target, Float> lw, DeviceSpan<Target, Float> uw, DeviceSpan<Target, Float> lb,
             DeviceSpan<Target, Float> ub)
      : lower_weight(lw), upper_weight(uw), lower_bias(lb), upper_bias(ub) {}
  template <class Other>
  requires(std::is_same_v<const Other, Float>) BoundSpans(const BoundSpans<Target, Other>& other)
      : lower_weight(other.lower_weight),
        upper_weight(other.upper_weight),
        lower_bias(other.lower_bias),
        upper_bias(other.upper_bias) {}
};

/// The same in host memory.
template <class Scalar>
struct HostBounds {
  std::span<Scalar> lower_weight, upper_weight, lower_bias, upper_bias;

  HostBounds() = default;
  HostBounds(std::span<Scalar> lw, std::span<Scalar> uw, std::span<Scalar> lb, std::span<Scalar> ub)
      : lower_weight(lw), upper_weight(uw), lower_bias(lb), upper_bias(ub) {}
  template <class Other>
  requires(std::is_same_v<const Other, Scalar>) HostBounds(const HostBounds<Other>& other)
      : lower_weight(other.lower_weight),
        upper_weight(other.upper_weight),
        lower_bias(other.lower_bias),
        upper_bias(other.upper_bias) {}
};

/// The inner products of attention as bounds: for every row i, head h and column j
///   z[i, h, j] = sum_k x[i, h, k] y(h, j, k)
/// scores: y(h, j, k) = y[j, h, k], keys by their rows; values: y(h, j, k) = y[k, h, j], columns j of the
/// values.
enum class DotKind { scores, values };

struct DotShape {
  DotKind kind = DotKind::scores;
  int rows = 0, inputs = 0, heads = 1;
  int inner = 0;                    ///< k: head dimension (scores), tokens (values)
  int columns = 0;                  ///< j: tokens (scores), head dimension (values)
  int x_channels = 0, x_first = 0;  ///< channels of the bound object that x lies in, and x's first
  int y_channels = 0, y_first = 0;

  int y_rows() const { return kind == DotKind::scores ? columns : inner; }
  BoundShape x_shape() const { return {rows, inputs, x_channels}; }
  BoundShape y_shape() const { return {y_rows(), inputs, y_channels}; }
  BoundShape out_shape() const { return {rows, inputs, heads * columns}; }
  RM_HOST_DEVICE int x_channel(int head, int k) const { return x_first + head * inner + k; }
  RM_HOST_DEVICE int y_channel(int head, int j, int k) const {
    return y_first + (kind == DotKind::scores ? head * inner + k : head * columns + j);
  }
  RM_HOST_DEVICE int y_row(int j, int k) const { return kind == DotKind::scores ? j : k; }
};

/// Queries by keys, all in the joint output [q | k | v] of one dense layer.
inline DotShape score_shape(int tokens, int inputs, int heads, int hidden) {
  return {DotKind::scores, tokens, inputs, heads, hidden / heads, tokens, 3 * hidden, 0, 3 * hidden, hidden};
}
/// Probabilities [tokens, heads x tokens] by the values of the same.
inline DotShape value_shape(int tokens, int inputs, int heads, int hidden) {
  return {DotKind::values, tokens,         inputs, heads,      tokens,
          hidden / heads,  heads * tokens, 0,      3 * hidden, 2 * hidden};
}

/// z[c] = scale[c] (x[c] - mean of x) + shift[c] for x = a + b: residual sum and layer norm without the
/// variance. Empty scale and shift: the sum alone.
template <class Span>
struct Normalisation {
  Span scale = {}, shift = {};
};

/// Flops and bytes of a launch by formulas (bench/trial.h, Work, says what counts).
struct BoundWork {
  double flops = 0, bytes = 0, special = 0;
  BoundWork& operator+=(const BoundWork& other) {
    flops += other.flops;
    bytes += other.bytes;
    special += other.special;
    return *this;
  }
};

}  // namespace remeasure::kernels
