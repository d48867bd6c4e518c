// SPDX-License-Identifier: Apache-2.0
//
// Full attention, unfused, as papers about cheaper attention compare with: scores = scale * q k^T, softmax of
// each row, out = weights * v, the scores written out in between.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "kernels/attention/attention_shape.h"
#include "kernels/device/device.h"
#include "kernels/device/float16.h"

namespace remeasure::baselines {

using kernels::AttentionShape;

/// Eigen, in float or double: one thread per head, or several where there are fewer heads than threads (0 =
/// all).
template <class Scalar>
void full_attention_eigen(const AttentionShape& shape, double scale, std::span<const float> query,
                          std::span<const float> key, std::span<const float> value, std::span<Scalar> out,
                          int threads = 0);

/// The products of baselines/matmul (cuBLAS's fastest algorithm, sums in fp32) with
/// kernels/attention/row_softmax.h between them. Element is bfloat16, or float (multiplied in TF32). The
/// three stages can be run alone, so that each can be timed. The first call of a product chooses its
/// algorithm: to be made before anything is timed. Only where the CUDA toolkit is.
template <class Element>
class FullAttentionCublas {
 public:
  FullAttentionCublas(Stream<Cuda>& stream, const AttentionShape& shape, float scale);
  ~FullAttentionCublas();
  FullAttentionCublas(const FullAttentionCublas&) = delete;
  FullAttentionCublas& operator=(const FullAttentionCublas&) = delete;

  /// scores: [batch, heads, tokens, tokens]
  void scores(DeviceSpan<Cuda, const Element> query, DeviceSpan<Cuda, const Element> key,
              DeviceSpan<Cuda, Element> scores);
  /// `weights` may be `scores`.
  void softmax(DeviceSpan<Cuda, const Element> scores, DeviceSpan<Cuda, Element> weights);
  void product(DeviceSpan<Cuda, const Element> weights, DeviceSpan<Cuda, const Element> value,
               DeviceSpan<Cuda, Element> out);

  /// The algorithms of the products that were called.
  std::string setting() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace remeasure::baselines
