// SPDX-License-Identifier: Apache-2.0
//
// The gradient of sliding-channel convolution with respect to its input (DSXplore, IPDPS 2021, arXiv
// 2101.00745, section IV): input-centric, and output-centric as the paper's counterexample.
//
//   input-centric:   for (b) for (i) for (p) dx[b, i, p] = sum over c with i in its window of
//                                                          w[c, (i - start(c)) mod inputs] * dy[b, c, p];
//   output-centric:  for (b) for (c) for (p) for (j) atomic: dx[b, channel(c, j), p] += w[c, j] * dy[b, c,
//   p];
//
// Optimisation: the outputs that read an input are neighbours in the order of windows, so the gather is the
// forward kernel's banded product with the roles of inputs and outputs exchanged: each sum stays in
// registers, nothing is added in memory. Launch and shared memory as the forward kernel's; output-centric: a
// thread per element of dy. Per launch: scc_backward_data_flops; bytes: dy, dx, w once. Output-centric:
// columns * outputs
// * window atomic additions, after dx is set to zero. Limits: f32, as forward.
#include <stdexcept>
#include <string>

#include "kernels/convolution/sliding_channel_band.h"
#include "kernels/device/counted_atomics.h"

namespace remeasure::kernels {
namespace {

__global__ void scatter_kernel(SlidingChannelShape shape, const float* __restrict__ dy,
                               const float* __restrict__ w, float* __restrict__ dx) {
  const long long i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
  const int pixels = shape.pixels();
  if (i >= static_cast<long long>(shape.outputs) * shape.columns()) return;
  const int pixel = static_cast<int>(i % pixels), output = static_cast<int>(i / pixels % shape.outputs);
  const long long image = i / pixels / shape.outputs;
  const float gradient = dy[i];
  int channel = shape.start(output);
  for (int j = 0; j < shape.window; ++j) {
    counted_atomic_add(dx + (image * shape.inputs + channel) * pixels + pixel,
                       w[static_cast<long long>(output) * shape.window + j] * gradient);
    channel = channel + 1 == shape.inputs ? 0 : channel + 1;
  }
}

}  // namespace

template <class Target>
void scc_backward_data(Stream<Target>& stream, const SlidingChannelShape& shape, SlidingProduct product,
                       SlidingChannelTables<Target> tables, DeviceSpan<Target, const float> dy,
                       DeviceSpan<Target, const float> w, DeviceSpan<Target, float> dx) {
  check_sliding_sizes("scc_backward_data", shape, dx.size(), w.size(), dy.size());
  check_sliding_tables("scc_backward_data", shape, tables.output.size(), tables.start.size(),
                       tables.first.size());
  const DataBand band{shape, tables.output.data(), tables.start.data(), tables.first.data()};
  if (product == SlidingProduct::fma) {
    launch_band<SlidingProduct::fma>("scc_backward_data", stream, band, dy.data(), w.data(), dx.data());
  } else if (product == SlidingProduct::tf32) {
    launch_band<SlidingProduct::tf32>("scc_backward_data", stream, band, dy.data(), w.data(), dx.data());
  } else {
    throw std::invalid_argument("scc_backward_data: float is multiplied by fma or in tf32");
  }
}

template <class Target>
void scc_backward_data_output_centric(Stream<Target>& stream, const SlidingChannelShape& shape,
                                      DeviceSpan<Target, const float> dy, DeviceSpan<Target, const float> w,
                                      DeviceSpan<Target, float> dx) {
  check_sliding_sizes("scc_backward_data_output_centric", shape, dx.size(), w.size(), dy.size());
  stream.fill_bytes(dx, 0);
  launch({.name = "scc_backward_data_output_centric",
          .grid = blocks_for(dy.size(), 256),
          .block = 256,
          .order_dependent = true},
         stream, scatter_kernel, shape, dy.data(), w.data(), dx.data());
}

template void scc_backward_data(Stream<CompiledTarget>&, const SlidingChannelShape&, SlidingProduct,
                                SlidingChannelTables<CompiledTarget>, DeviceSpan<CompiledTarget, const float>,
                                DeviceSpan<CompiledTarget, const float>, DeviceSpan<CompiledTarget, float>);
template void scc_backward_data_output_centric(Stream<CompiledTarget>&, const SlidingChannelShape&,
                                               DeviceSpan<CompiledTarget, const float>,
                                               DeviceSpan<CompiledTarget, const float>,
                                               DeviceSpan<CompiledTarget, float>);

}  // namespace remeasure::kernels
