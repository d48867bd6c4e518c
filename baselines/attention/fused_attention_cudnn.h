// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "baselines/matmul/without_cudnn.h"
#include "kernels/attention/attention_shape.h"
#include "kernels/device/device.h"
#include "kernels/device/float16.h"

namespace remeasure::baselines {

/// softmax(scale * q k^T) v in one operation of cuDNN (scaled dot-product attention, a flash-attention
/// kernel): what a user would call today. bf16 in and out; scores never reach memory. Only where the CUDA
/// toolkit is.
class FusedAttentionCudnn {
 public:
  /// Why it can't be used here, see baselines/matmul/without_cudnn.h; empty if it can.
  static std::string why_not() { return without_cudnn(91301, "attention operation"); }

  /// Makes a plan of every engine that cuDNN's heuristics propose (modes A and B); throws DeviceError if none
  /// takes the shape. The first run() tries them all and keeps the fastest: to be made before anything is
  /// timed.
  FusedAttentionCudnn(Stream<Cuda>& stream, const kernels::AttentionShape& shape, float scale);
  ~FusedAttentionCudnn();
  FusedAttentionCudnn(const FusedAttentionCudnn&) = delete;
  FusedAttentionCudnn& operator=(const FusedAttentionCudnn&) = delete;

  void run(DeviceSpan<Cuda, const bfloat16> query, DeviceSpan<Cuda, const bfloat16> key,
           DeviceSpan<Cuda, const bfloat16> value, DeviceSpan<Cuda, bfloat16> out);
  /// The plan in use; empty before the first run().
  std::string setting() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace remeasure::baselines
