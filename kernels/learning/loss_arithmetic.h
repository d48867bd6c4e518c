// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/device/float16.h"
#include "kernels/device/qualifiers.h"

namespace remeasure::kernels {

/// Arithmetic in the precision Q of a loss: a value is held in `Compute` and rounded to Q after each
/// operation. For half that is what half arithmetic gives: float has more than twice its digits, so that
/// rounding a sum, difference or quotient twice is rounding it once.
template <class Q>
struct LossArithmetic {
  using Compute = Q;
  RM_HOST_DEVICE static Q round(Q x) { return x; }
};
template <>
struct LossArithmetic<half> {
  using Compute = float;
  RM_HOST_DEVICE static float round(float x) { return static_cast<float>(half(x)); }
};

}  // namespace remeasure::kernels
