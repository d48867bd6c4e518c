// SPDX-License-Identifier: Apache-2.0
//
// AdamW on all tensors of a network, with the gradient first made orthogonal to the weights ("perp grad",
// Prieto et al., ICLR 2025, section 5; OrthoGrad in their code). For each tensor:
//   g' = g - (w . g) / (w . w + 1e-30) w;   g = g' |g| / (|g'| + 1e-30);   then AdamW
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/device/device.h"

namespace remeasure::kernels {

/// Where each tensor begins in the flat arrays of weights, gradients and moments.
inline constexpr int kMostTensors = 8;
struct TensorList {
  int count = 0;
  int begin[kMostTensors + 1] = {};

  /// Throws std::invalid_argument for none, more than kMostTensors, or an empty one.
  explicit TensorList(std::span<const int> sizes);
  int size(int tensor) const { return begin[tensor + 1] - begin[tensor]; }
  int total() const { return begin[count]; }
  int largest() const;
};

struct PerpAdamW {
  double learning_rate = 0.01, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-25, weight_decay = 0;
  bool project = true;  ///< false: plain AdamW
};

/// Partial sums of w.w, w.g and g.g that the first pass leaves for the second.
inline constexpr int kPerpParts = 32;
inline std::size_t perp_partials(const TensorList& tensors) {
  return static_cast<std::size_t>(tensors.count) * kPerpParts * 3;
}

template <class Target>
struct AdamWState {
  DeviceSpan<Target, const float> weights, mean, square;
  DeviceSpan<Target, float> new_weights, new_mean, new_square;  ///< may be the same memory
};

/// Step `step`, from 1 on. `partials`: perp_partials(), not read before it is written; may be empty without
/// projection. Bitwise deterministic. Throws std::invalid_argument for sizes that don't fit.
template <class Target>
void perp_adamw(Stream<Target>& stream, const TensorList& tensors, const PerpAdamW& settings, int step,
                DeviceSpan<Target, const float> gradient, const AdamWState<Target>& state,
                DeviceSpan<Target, double> partials);

/// g of one tensor after the projection, in place; sums are in double whatever T is.
template <class T>
void project_gradient(std::span<const T> weights, std::span<T> gradient);

/// cos(-g, w): 1 where a descent step makes the weights longer and does nothing else.
template <class T>
double alignment(std::span<const T> weights, std::span<const T> gradient);

}  // namespace remeasure::kernels
