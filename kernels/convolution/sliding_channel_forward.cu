// SPDX-License-Identifier: Apache-2.0
//
// Sliding-channel convolution forward (DSXplore, IPDPS 2021, arXiv 2101.00745, section IV).
//
//   for (b) for (c) for (p) y[b, c, p] = sum_j w[c, j] * x[b, (c * step + j) mod inputs, p];
//
// Optimisation: outputs are taken in the order of their windows' starts, so that 64 of them read a narrow
// union of channels, and any 16 a band with few zeros: full tensor-core tiles even where no two outputs share
// a window. Channels and weights go through two buffers of shared memory by cp.async; steps of the inner
// dimension that a warp's band doesn't meet are left out. Columns count through the images: small maps fill
// tiles too.
// Launch: (outputs / 64) * (columns / 64) blocks of 128 threads, a warp per 16 outputs and 64 columns; 36 KiB
// of shared memory (f32). Per launch: 2 columns outputs window flops and the padding of bands
// (scc_forward_flops); bytes: x, y, w once if x's rows stay in L2 between the blocks that share them.
// Limits: f32 or bf16, at most 2^30 pixels; pixels % 4 (f32) or 8 (bf16) other than 0 are copied singly.
#include <stdexcept>
#include <string>

#include "kernels/convolution/sliding_channel_band.h"

namespace remeasure::kernels {

template <class Target, class Element>
void scc_forward(Stream<Target>& stream, const SlidingChannelShape& shape, SlidingProduct product,
                 SlidingChannelTables<Target> tables, DeviceSpan<Target, const Element> x,
                 DeviceSpan<Target, const Element> w, DeviceSpan<Target, Element> y) {
  check_sliding_sizes("scc_forward", shape, x.size(), w.size(), y.size());
  check_sliding_tables("scc_forward", shape, tables.output.size(), tables.start.size(), tables.first.size());
  const ForwardBand<Element> band{shape, tables.output.data(), tables.start.data()};
  const auto run = [&]<SlidingProduct kProduct>() {
    launch_band<kProduct>("scc_forward", stream, band, x.data(), w.data(), y.data());
  };
  if constexpr (sizeof(Element) == 2) {
    if (product != SlidingProduct::bf16)
      throw std::invalid_argument("scc_forward: bfloat16 is multiplied in bf16");
    run.template operator()<SlidingProduct::bf16>();
  } else if (product == SlidingProduct::fma) {
    run.template operator()<SlidingProduct::fma>();
  } else if (product == SlidingProduct::tf32) {
    run.template operator()<SlidingProduct::tf32>();
  } else {
    throw std::invalid_argument("scc_forward: float is multiplied by fma or in tf32");
  }
}

#define RM_INSTANTIATE(Element)                                                                              \
  template void scc_forward(Stream<CompiledTarget>&, const SlidingChannelShape&, SlidingProduct,             \
                            SlidingChannelTables<CompiledTarget>, DeviceSpan<CompiledTarget, const Element>, \
                            DeviceSpan<CompiledTarget, const Element>, DeviceSpan<CompiledTarget, Element>)
RM_INSTANTIATE(float);
RM_INSTANTIATE(bfloat16);
#undef RM_INSTANTIATE

}  // namespace remeasure::kernels
