// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "kernels/attention/attention_shape.h"
#include "kernels/device/device.h"
#include "kernels/device/float16.h"

namespace remeasure::baselines {

/// softmax(scale * q k^T) v in one operation of cuDNN (scaled dot-product attention, a flash-attention kernel): what a
/// user would call today. bf16 in and out; scores never reach memory. Only where the CUDA toolkit is.
class FusedAttentionCudnn {
 public:
  /// Why it can't be used in this build or with the cuDNN found at run time; empty if it can.
  static std::string why_not();

  /// Asks cuDNN's heuristics for an engine and takes the first that accepts the shape; throws DeviceError if none does.
  FusedAttentionCudnn(Stream<Cuda>& stream, const kernels::AttentionShape& shape, float scale);
  ~FusedAttentionCudnn();
  FusedAttentionCudnn(const FusedAttentionCudnn&) = delete;
  FusedAttentionCudnn& operator=(const FusedAttentionCudnn&) = delete;

  void run(DeviceSpan<Cuda, const bfloat16> query, DeviceSpan<Cuda, const bfloat16> key,
           DeviceSpan<Cuda, const bfloat16> value, DeviceSpan<Cuda, bfloat16> out);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace remeasure::baselines
