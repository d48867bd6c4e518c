// SPDX-License-Identifier: Apache-2.0
//
// Layer norm of each pixel's channels (Ba, Kiros, Hinton, "Layer Normalization", arXiv 1607.06450, as
// ConvNeXt uses it).
//
//   for (pixel p) {
//     mean = sum over c of x[p, c] / C;  variance = sum over c of (x[p, c] - mean)^2 / C;
//     for (channel c) y[p, c] = (x[p, c] - mean) / sqrt(variance + epsilon) * gain[c] + offset[c];
//   }
//
// Optimisation: a warp has a pixel in registers, pairs of channels a lane: read once, written once, two
// butterflies. Launch: a warp a pixel, 8 of them a block. Per launch: about 7 C flops a pixel; bytes: x and
// y. Limits: an even number of channels, at most 2048.
#include "kernels/convolution/layer_norm.h"

#include <stdexcept>
#include <string>

#include "kernels/convolution/block_tile.h"

namespace remeasure::kernels {
namespace {

template <class Element, int kPairs>
__global__ void __launch_bounds__(kBlockThreads)
    channel_norm_kernel(long long pixels, int channels, float epsilon, const Element* __restrict__ x,
                        const float* __restrict__ norm, Element* __restrict__ y) {
  const long long pixel = static_cast<long long>(blockIdx.x) * kBlockWarps + warp_id();
  if (pixel >= pixels) return;  // by whole warps
  const Element* row = x + pixel * channels;
  const float share = 1.0f / static_cast<float>(channels);
  float2 values[kPairs];
  float sum = 0;
#pragma unroll
  for (int i = 0; i < kPairs; ++i) {
    const int c = 2 * (lane_id() + 32 * i);
    values[i] = c < channels ? get_pair<Element>(row + c) : make_float2(0.0f, 0.0f);
    sum += values[i].x + values[i].y;
  }
  const float mean = warp_sum(sum) * share;
  float squares = 0;
#pragma unroll
  for (int i = 0; i < kPairs; ++i) {
    if (2 * (lane_id() + 32 * i) >= channels) continue;
    values[i].x -= mean, values[i].y -= mean;
    squares += values[i].x * values[i].x + values[i].y * values[i].y;
  }
  const float scale = rsqrtf(warp_sum(squares) * share + epsilon);
#pragma unroll
  for (int i = 0; i < kPairs; ++i) {
    const int c = 2 * (lane_id() + 32 * i);
    if (c >= channels) continue;
    put_pair(y + pixel * channels + c, values[i].x * scale * norm[c] + norm[channels + c],
             values[i].y * scale * norm[c + 1] + norm[channels + c + 1]);
  }
}

}  // namespace

template <class Target, class Element>
void channel_norm(Stream<Target>& stream, int channels, float epsilon, DeviceSpan<Target, const Element> x,
                  DeviceSpan<Target, const float> norm, DeviceSpan<Target, Element> y) {
  const auto row = static_cast<std::size_t>(channels);
  if (channels < 2 || channels > 2048 || channels % 2 != 0)
    throw std::invalid_argument("channel_norm: " + std::to_string(channels) +
                                " channels; an even number up to 2048");
  if (x.size() % row != 0 || y.size() != x.size() || norm.size() != 2 * row)
    throw std::invalid_argument("channel_norm: x of " + std::to_string(x.size()) + ", y of " +
                                std::to_string(y.size()) + ", norm of " + std::to_string(norm.size()) +
                                " elements; x and y have whole rows of " + std::to_string(channels) +
                                ", norm two");
  const auto pixels = static_cast<long long>(x.size() / row);
  const auto go = [&]<int kPairs>() {
    launch({.name = "channel_norm", .grid = blocks_for(pixels, kBlockWarps), .block = kBlockThreads}, stream,
           channel_norm_kernel<Element, kPairs>, pixels, channels, epsilon, x.data(), norm.data(), y.data());
  };
  const int pairs = (channels + 63) / 64;
  if (pairs <= 2)
    go.template operator()<2>();
  else if (pairs <= 4)
    go.template operator()<4>();
  else if (pairs <= 8)
    go.template operator()<8>();
  else if (pairs <= 16)
    go.template operator()<16>();
  else
    go.template operator()<32>();
}

#define RM_INSTANTIATE(Element)                                                                              \
  template void channel_norm(Stream<CompiledTarget>&, int, float, DeviceSpan<CompiledTarget, const Element>, \
                             DeviceSpan<CompiledTarget, const float>, DeviceSpan<CompiledTarget, Element>)
RM_INSTANTIATE(half);
RM_INSTANTIATE(bfloat16);
RM_INSTANTIATE(float);
#undef RM_INSTANTIATE

}  // namespace remeasure::kernels
