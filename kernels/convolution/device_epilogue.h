// SPDX-License-Identifier: Apache-2.0
//
// The epilogue of the convolution kernels, and how their work is stated. Host code.
#pragma once

#include "kernels/convolution/epilogue.h"
#include "kernels/convolution/tensor4.h"
#include "kernels/device/device.h"

namespace remeasure::kernels {

/// output = activation(sum + bias + residual), in float; empty spans are left out. bias: [out_channels],
/// residual: as the output.
template <class Target, class Element>
struct DeviceEpilogue {
  DeviceSpan<Target, const float> bias = {};
  DeviceSpan<Target, const Element> residual = {};
  Activation activation = Activation::none;
};

/// Which parts of an epilogue there are, for formulas and for libraries.
struct EpilogueParts {
  bool bias = false;
  bool residual = false;
  Activation activation = Activation::none;
};

/// Work of one call, as bench::Work counts it: flops executed (padding of tiles included), compulsory bytes
/// summed over the call's launches, calls of special functions.
struct ConvolutionWork {
  double flops = 0;
  double bytes = 0;
  double special = 0;
};

/// Operations of the epilogue on one output.
double epilogue_flops(const EpilogueParts& parts);

}  // namespace remeasure::kernels
