// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "baselines/matmul/without_cudnn.h"
#include "kernels/device/device.h"
#include "kernels/device/float16.h"
#include "kernels/precision/low_bit_layer.h"

namespace remeasure::baselines {

using kernels::LowBitShape;

/// Values of codes in NHWC and KRSC as cuDNN reads them. Element: std::int8_t or half.
template <class Element>
std::vector<Element> activation_elements(const LowBitShape& shape, std::span<const std::uint8_t> codes);
template <class Element>
std::vector<Element> weight_elements(const LowBitShape& shape, std::span<const std::uint8_t> codes);

/// What cuDNN's convolution of Elements gives: float of int8 (its sums are int32, and are stored as float),
/// half of half.
template <class Element>
struct CudnnSumOf {
  using Type = half;
};
template <>
struct CudnnSumOf<std::int8_t> {
  using Type = float;
};

/// cuDNN's convolution on tensor cores, channels last, nothing gathered by hand: the fastest of all its
/// algorithms. Only where the CUDA toolkit is.
template <class Element>
class LowBitConvolutionCudnn {
 public:
  using Sum = typename CudnnSumOf<Element>::Type;
  /// Why it can't do this, here or at all; empty if it can. See baselines/matmul/without_cudnn.h.
  static std::string why_not(const LowBitShape& shape) {
    if constexpr (kBuiltWithCuda)
      return reason(shape);
    else
      return {};
  }

  LowBitConvolutionCudnn(Stream<Cuda>& stream, const LowBitShape& shape);
  ~LowBitConvolutionCudnn();
  LowBitConvolutionCudnn(const LowBitConvolutionCudnn&) = delete;
  LowBitConvolutionCudnn& operator=(const LowBitConvolutionCudnn&) = delete;

  /// The first call tries all algorithms: to be made before anything is timed.
  void operator()(DeviceSpan<Cuda, const Element> activations, DeviceSpan<Cuda, const Element> weights,
                  DeviceSpan<Cuda, Sum> sums);
  std::string setting() const;

 private:
  static std::string reason(const LowBitShape& shape);
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace remeasure::baselines
