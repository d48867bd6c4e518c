// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/sequences/monarch_conv.h"

namespace remeasure::kernels {

/// Tables of a transform {outer, inner ...}. The outer twiddles are computed where they are needed: a table
/// would be as long as the sequence.
template <class Target, class Element>
class MonarchOuterPlan {
 public:
  MonarchOuterPlan(Stream<Target>& stream, const MonarchFactors& factors)
      : factors_(factors), outer_(stream, {factors.factor(0), 16}), inner_(stream, inner_of(factors)) {}
  const MonarchFactors& factors() const { return factors_; }
  const MonarchPlan<Target, Element>& outer() const { return outer_; }
  const MonarchPlan<Target, Element>& inner() const { return inner_; }

 private:
  static MonarchFactors inner_of(const MonarchFactors& factors) {
    std::vector<int> rest;
    for (int i = 1; i < factors.order(); ++i) rest.push_back(factors.factor(i));
    return MonarchFactors(rest);
  }
  MonarchFactors factors_;
  MonarchPlan<Target, Element> outer_, inner_;
};

/// monarch_convolution for real signals in transforms longer than shared memory (FlashFFTConv, section 3.1):
/// three launches. `filter`: monarch_device_filters of the plan's factors. `planes`: workspace, [batch,
/// channels, outer, 2, inner], 2 batch channels transform elements. Gates as there; length a multiple of 16;
/// hop must be 0. Outer factor 16, 32, 64 or 128 (float: 16 or 32).
template <class Target, class Element>
void monarch_outer_convolution(Stream<Target>& stream, const ConvolutionShape& shape,
                               const MonarchOuterPlan<Target, Element>& plan,
                               DeviceSpan<Target, const Element> u, DeviceSpan<Target, const Element> pregate,
                               DeviceSpan<Target, const Element> filter,
                               DeviceSpan<Target, const Element> postgate, DeviceSpan<Target, Element> planes,
                               DeviceSpan<Target, Element> y);

/// What its three launches execute and touch; `special` are the sines and cosines of the outer twiddles. For
/// 16-bit elements.
struct MonarchOuterCost {
  double flops = 0, bytes = 0, special = 0;
};
template <class Element>
MonarchOuterCost monarch_outer_cost(const ConvolutionShape& shape, const MonarchFactors& factors,
                                    bool gated) {
  static_assert(sizeof(Element) == 2);
  std::vector<int> rest;
  for (int i = 1; i < factors.order(); ++i) rest.push_back(factors.factor(i));
  const double outer = factors.factor(0), element = sizeof(Element),
               values = static_cast<double>(shape.values());
  const double points =
      static_cast<double>(shape.batch) * shape.channels * static_cast<double>(factors.size());
  const int inner = static_cast<int>(factors.inner(0));
  const MonarchCost rows = monarch_cost<Element>(
      {shape.batch, shape.channels * factors.factor(0), inner, inner, 0, Signal::complex},
      MonarchFactors(rest), {}, false);
  // An angle is one product; 64 columns at a time, of all rows.
  return {.flops = rows.flops + 2 * points * (8 * outer + 6 + 1) + (gated ? 2 * values : 0),
          .bytes = rows.bytes + element * (4 * points + (gated ? 4 : 2) * values + 4 * outer * outer),
          .special = 2 * points};  // a sine and its cosine are one
}

}  // namespace remeasure::kernels
