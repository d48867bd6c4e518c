// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/device/device.h"
#include "kernels/device/float16.h"
#include "kernels/sequences/monarch_tables.h"

namespace remeasure::kernels {

/// DFT matrices and twiddles of one transform length on a device.
template <class Target, class Element>
class MonarchPlan {
 public:
  MonarchPlan(Stream<Target>& stream, const MonarchFactors& factors) : factors_(factors) {
    const MonarchTables<Element> tables = monarch_tables<Element>(factors);
    matrices_ = DeviceBuffer<Target, std::uint32_t>(stream.device(), tables.matrices.size(),
                                                    MemoryUse::workspace, "DFT matrices");
    twiddles_ = DeviceBuffer<Target, Element>(stream.device(), tables.twiddles.size(), MemoryUse::workspace,
                                              "twiddles");
    stream.upload(std::span<const std::uint32_t>(tables.matrices), matrices_.span());
    stream.upload(std::span<const Element>(tables.twiddles), twiddles_.span());
    stages_ = tables.stages;
  }
  const MonarchFactors& factors() const { return factors_; }
  const MonarchStageTables& stage(int i) const { return stages_[static_cast<std::size_t>(i)]; }
  const std::uint32_t* matrices() const { return matrices_.data(); }
  const Element* twiddles() const { return twiddles_.data(); }

 private:
  MonarchFactors factors_;
  std::vector<MonarchStageTables> stages_;
  DeviceBuffer<Target, std::uint32_t> matrices_;
  DeviceBuffer<Target, Element> twiddles_;
};

/// y = postgate * iDFT(DFT(u * pregate) . filter) in one launch (FlashFFTConv, algorithm 1): shapes in
/// ConvolutionShape, whose `points()` is the plan's size. `filter`: monarch_device_filters of the same
/// factors. Gates: shape of u, or empty; not for complex signals. `kept`: what of the spectrum is not
/// dropped, empty for all; multiples of 16, not for packed signals. Length and hop are multiples of 16;
/// overlap-save's transform - hop too. Factors: two or three of 16 and 32 (f16 and bf16: also {64, 64});
/// planes must fit: 2 sizeof(Element) points() <= 163 KB on sm_80. f16 and bf16: products in tensor cores
/// with f32 sums, rounded after each stage; float: three TF32 products. Bitwise deterministic. Throws
/// std::invalid_argument for what doesn't fit.
template <class Target, class Element>
void monarch_convolution(Stream<Target>& stream, const ConvolutionShape& shape,
                         const MonarchPlan<Target, Element>& plan, const MonarchKept& kept,
                         DeviceSpan<Target, const Element> u, DeviceSpan<Target, const Element> pregate,
                         DeviceSpan<Target, const Element> filter, DeviceSpan<Target, const Element> postgate,
                         DeviceSpan<Target, Element> y);

/// What one monarch_convolution executes, and the bytes of global memory that it must touch once.
struct MonarchCost {
  double flops = 0, bytes = 0;
};
template <class Element>
MonarchCost monarch_cost(const ConvolutionShape& shape, const MonarchFactors& factors,
                         const MonarchKept& kept, bool gated) {
  using Mma = MonarchMma<Element>;
  std::vector<double> rows;  // a, a b, a b c
  for (int i = 0; i < factors.order(); ++i) {
    const double each = kept.empty() ? factors.factor(i) : kept[static_cast<std::size_t>(i)];
    rows.push_back(each * (rows.empty() ? 1 : rows.back()));
  }
  const bool packed = shape.signal == Signal::packed;
  double per_sequence =
      Mma::kProducts * monarch_matmul_flops(factors, kept) + (packed ? 14 : 6) * rows.back();
  double splits = 2 * static_cast<double>(factors.size()), twiddles = 0;
  for (int i = 0; i + 1 < factors.order(); ++i) {
    const double after = rows[static_cast<std::size_t>(i)] * static_cast<double>(factors.inner(i));
    per_sequence += 12 * after;  // twiddles of both directions
    splits += 4 * after;         // read by the next stage, and on the way back
    twiddles += 2 * static_cast<double>(factors.inner(i)) *
                (kept.empty() ? factors.factor(i) : kept[static_cast<std::size_t>(i)]);
  }
  splits += 2 * rows[rows.size() - 2] *
            factors.factor(factors.order() - 1);  // the spectrum as an operand, or stored and read again
  if (Mma::kParts == 2) per_sequence += splits;
  const double sequences = static_cast<double>(shape.batch) * shape.channels * shape.windows();
  const double values = static_cast<double>(shape.values());
  double matrices = 0;
  for (int i = 0; i < factors.order(); ++i) {
    matrices += 4.0 * factors.factor(i) *
                (kept.empty() ? factors.factor(i) : kept[static_cast<std::size_t>(i)]) * Mma::kParts;
  }
  const double filter = shape.channels * rows.back() * (packed ? 4 : 2);
  const double element = sizeof(Element);
  return {sequences * per_sequence + (gated ? 2 * values : 0),
          element * ((gated ? 4 : 2) * values + filter + twiddles + matrices)};
}

}  // namespace remeasure::kernels
