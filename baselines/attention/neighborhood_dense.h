// SPDX-License-Identifier: Apache-2.0
//
// Neighborhood attention by standard means: the neighbours of each query gathered, or dense attention under a
// mask.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "kernels/attention/neighborhood.h"

namespace remeasure::baselines {

using kernels::NeighborhoodShape;

/// Eigen: per query its keys are gathered into a block, then two products of a vector with it. Layout of
/// NeighborhoodShape. Throws std::invalid_argument for sizes that don't fit.
void neighborhood_gathered_eigen(const NeighborhoodShape& shape, float scale, std::span<const float> query,
                                 std::span<const float> key, std::span<const float> value,
                                 std::span<float> output, int threads = 0);

/// Eigen: the whole score matrix of each head, everything but the neighbours masked: O(tokens^2).
void neighborhood_masked_eigen(const NeighborhoodShape& shape, float scale, std::span<const float> query,
                               std::span<const float> key, std::span<const float> value,
                               std::span<float> output, int threads = 0);

/// cuBLAS: dense scores, a mask, softmax, the second product, in bf16 with sums in fp32. All arrays [batch,
/// heads, tokens, dim], the layout that suits the library. Only where the CUDA toolkit is.
class NeighborhoodMaskedCublas {
 public:
  NeighborhoodMaskedCublas(Stream<Cuda>& stream, const NeighborhoodShape& shape, float scale);
  ~NeighborhoodMaskedCublas();
  void operator()(DeviceSpan<Cuda, const bfloat16> query, DeviceSpan<Cuda, const bfloat16> key,
                  DeviceSpan<Cuda, const bfloat16> value, DeviceSpan<Cuda, bfloat16> output);
  std::string setting() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace remeasure::baselines
