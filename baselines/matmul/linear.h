// SPDX-License-Identifier: Apache-2.0
//
// A dense layer as cublasLt fuses it: y = activation(x W^T + bias) + residual in one call, by the fastest of
// the algorithms that the heuristics propose, timed once on the problem itself. Row-major. Only where the
// CUDA toolkit is.
#pragma once

#include <memory>
#include <string>

#include "kernels/device/device.h"
#include "kernels/device/float16.h"

namespace remeasure::baselines {

struct LinearShape {
  int rows = 1, inputs = 1, outputs = 1;
  bool gelu = false;      ///< its tanh form, CUBLASLT_EPILOGUE_GELU_BIAS
  bool residual = false;  ///< added after the bias; not together with gelu
};

/// Throws std::invalid_argument for extents below 1, or gelu with a residual.
void check_linear(const LinearShape& shape);

/// Element: half, bfloat16 or float (as TF32); sums in fp32, bias in Element.
template <class Element>
class LinearCublasLt {
 public:
  LinearCublasLt(Stream<Cuda>& stream, const LinearShape& shape);
  ~LinearCublasLt();
  LinearCublasLt(const LinearCublasLt&) = delete;
  LinearCublasLt& operator=(const LinearCublasLt&) = delete;

  /// x: [rows, inputs], weights: [outputs, inputs], bias: [outputs], residual, y: [rows, outputs]. The first
  /// call tries all algorithms: to be made before anything is timed.
  void operator()(DeviceSpan<Cuda, const Element> x, DeviceSpan<Cuda, const Element> weights,
                  DeviceSpan<Cuda, const Element> bias, DeviceSpan<Cuda, const Element> residual,
                  DeviceSpan<Cuda, Element> y);
  /// The algorithm in use; empty before the first call.
  std::string setting() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace remeasure::baselines
