// SPDX-License-Identifier: Apache-2.0
//
// Backward weights of a depthwise convolution.
//
//   for (channel c) for (tap r, s)
//     weights_gradient[c, r, s] = sum over n, y, x: output_gradient[n, c, y, x] * input[n, c, y t - p + r,
//     ...];
//
// A long sum for few results: pixels are split among threads, blocks and slices, each split added in a fixed
// order (no atomics, the same bits each time). nhwc: a lane has two channels and one row of taps, and takes
// runs of four outputs of one row, so an input is loaded once for its row of taps; parts of a block meet in
// shared memory. nchw: a block has a channel and some pictures, a thread all taps and runs of four outputs of
// a column; threads meet by shuffles. Launch: (slices, tiles of 64 channels) blocks of 32 kernel parts
// threads, or (channels, slices) of 256; then the sum of slices. Per launch: 2 kernel^2 flops an output;
// bytes: input, output gradient, and slices of the weights in floats, written and read.
#include "kernels/convolution/depthwise.h"

#include "kernels/convolution/depthwise_tile.h"
#include "kernels/convolution/implicit_gemm.h"

namespace remeasure::kernels {
namespace {

template <int kKernel>
constexpr int kWeightsThreads = 32 * kKernel* weights_parts(kKernel);

template <class Element, int kKernel, int kStride>
__global__ void __launch_bounds__(kWeightsThreads<kKernel>)
    nhwc_weights_kernel(ConvolutionShape shape, int lanes, const Element* __restrict__ input,
                        const Element* __restrict__ output_gradient, float* __restrict__ sums_out) {
  constexpr int kTaps = kKernel * kKernel, kInputs = (kWeightsRun - 1) * kStride + kKernel;
  RM_DYNAMIC_SHARED(float, parts);  // [part][tap][channel]
  const int tid = static_cast<int>(threadIdx.x), tile = 2 * lanes;
  const int all_parts = kWeightsThreads<kKernel> / (lanes * kKernel);
  const int pair = tid % lanes, tap_y = tid / lanes % kKernel, part = tid / lanes / kKernel;
  const int first_channel = static_cast<int>(blockIdx.y) * tile, channel = first_channel + 2 * pair;
  const int height = shape.out_height(), width = shape.out_width(), channels = shape.in_channels;
  const int line_runs = divide_up(width, kWeightsRun), runs = shape.batch * height * line_runs;
  const int seen_width = seen_extent(shape.width, width, kKernel, kStride, shape.pad);
  float2 sums[kKernel] = {};
  const int step = static_cast<int>(gridDim.x) * all_parts;
  for (int run = static_cast<int>(blockIdx.x) * all_parts + part; channel < channels && run < runs;
       run += step) {
    const int line = run / line_runs, first = (run - line * line_runs) * kWeightsRun;
    const int image = line / height, row = (line - image * height) * shape.stride - shape.pad + tap_y;
    if (static_cast<unsigned>(row) >= static_cast<unsigned>(shape.height)) continue;
    float2 gradient[kWeightsRun], source[kInputs];
    const Element* gradients =
        output_gradient + (static_cast<long long>(line) * width + first) * channels + channel;
#pragma unroll
    for (int i = 0; i < kWeightsRun; ++i)
      gradient[i] = first + i < width ? load_pair(gradients + i * channels) : make_float2(0.0f, 0.0f);
    const Element* sources =
        input + (static_cast<long long>(image) * shape.height + row) * shape.width * channels + channel;
    const int first_source = first * kStride - shape.pad;
#pragma unroll
    for (int j = 0; j < kInputs; ++j) {
      const bool there = static_cast<unsigned>(first_source + j) < static_cast<unsigned>(seen_width);
      source[j] = there ? load_pair(sources + (first_source + j) * channels) : make_float2(0.0f, 0.0f);
    }
#pragma unroll
    for (int tap_x = 0; tap_x < kKernel; ++tap_x) {
#pragma unroll
      for (int i = 0; i < kWeightsRun; ++i)
        add_product(sums[tap_x], gradient[i], source[i * kStride + tap_x]);
    }
  }
#pragma unroll
  for (int tap_x = 0; tap_x < kKernel; ++tap_x) {
    *reinterpret_cast<float2*>(parts + (part * kTaps + tap_y * kKernel + tap_x) * tile + 2 * pair) =
        sums[tap_x];
  }
  __syncthreads();  // all parts are there
  for (int i = tid; i < kTaps * tile; i += kWeightsThreads<kKernel>) {
    const int in_tile = i / kTaps, tap = i - in_tile * kTaps;
    if (first_channel + in_tile >= channels) break;
    float sum = 0;
    for (int p = 0; p < all_parts; ++p) sum += parts[(p * kTaps + tap) * tile + in_tile];
    sums_out[(static_cast<long long>(blockIdx.x) * channels + first_channel + in_tile) * kTaps + tap] = sum;
  }
}

template <int kKernel, int kStride>
__global__ void __launch_bounds__(kDepthwiseThreads)
    nchw_weights_kernel(ConvolutionShape shape, int slice_images, const float* __restrict__ input,
                        const float* __restrict__ output_gradient, float* __restrict__ sums_out) {
  using Taps = DepthwiseTaps<kKernel, kStride, false>;
  constexpr int kTaps = kKernel * kKernel, kWarps = kDepthwiseThreads / 32;
  RM_SHARED(float, of_warps, [kWarps][kTaps]);
  const int channel = static_cast<int>(blockIdx.x), slice = static_cast<int>(blockIdx.y);
  const int height = shape.out_height(), width = shape.out_width();
  const int row_runs = divide_up(height, kNchwWeightsRows);
  const int first_image = slice * slice_images, images = min(slice_images, shape.batch - first_image);
  const int seen_height = seen_extent(shape.height, height, kKernel, kStride, shape.pad);
  float sums[kTaps] = {};
  for (int run = static_cast<int>(threadIdx.x); run < images * row_runs * width; run += kDepthwiseThreads) {
    const int line = run / width, column = run - line * width;
    const int image = line / row_runs, first = (line - image * row_runs) * kNchwWeightsRows;
    const long long plane = static_cast<long long>(first_image + image) * shape.in_channels + channel;
    const float* gradients = output_gradient + plane * height * width + column;
    const float* sources = input + plane * shape.height * shape.width;
    float gradient[kNchwWeightsRows];
#pragma unroll
    for (int r = 0; r < kNchwWeightsRows; ++r)
      gradient[r] = first + r < height ? gradients[(first + r) * width] : 0.0f;
    const int source_row = first * kStride - shape.pad, source_column = column * kStride - shape.pad;
#pragma unroll
    for (int i = 0; i < Taps::sources(kNchwWeightsRows); ++i) {
      if (static_cast<unsigned>(source_row + i) >= static_cast<unsigned>(seen_height)) continue;
      float source[kKernel];
#pragma unroll
      for (int tap_x = 0; tap_x < kKernel; ++tap_x) {
        const bool there = static_cast<unsigned>(source_column + tap_x) < static_cast<unsigned>(shape.width);
        source[tap_x] = there ? sources[(source_row + i) * shape.width + source_column + tap_x] : 0.0f;
      }
#pragma unroll
      for (int r = 0; r < kNchwWeightsRows; ++r) {
        const int tap_y = Taps::tap(i, r);
        if (tap_y < 0 || tap_y >= kKernel) continue;
#pragma unroll
        for (int tap_x = 0; tap_x < kKernel; ++tap_x)
          add_product(sums[tap_y * kKernel + tap_x], gradient[r], source[tap_x]);
      }
    }
  }
#pragma unroll
  for (int tap = 0; tap < kTaps; ++tap) {
    const float sum = warp_sum(sums[tap]);
    if (lane_id() == 0) of_warps[warp_id()][tap] = sum;
  }
  __syncthreads();  // the warps' sums are there
  for (int tap = static_cast<int>(threadIdx.x); tap < kTaps; tap += kDepthwiseThreads) {
    float sum = 0;
#pragma unroll
    for (int warp = 0; warp < kWarps; ++warp) sum += of_warps[warp][tap];
    sums_out[(static_cast<long long>(slice) * shape.in_channels + channel) * kTaps + tap] = sum;
  }
}

/// run.operator()<kernel, stride>() for the shapes that there are.
template <class Run>
void for_shape(const ConvolutionShape& shape, const Run& run) {
  const auto with_kernel = [&]<int kKernel>() {
    if (shape.stride == 1) return run.template operator()<kKernel, 1>();
    return run.template operator()<kKernel, 2>();
  };
  if (shape.kernel == 3) return with_kernel.template operator()<3>();
  if (shape.kernel == 5) return with_kernel.template operator()<5>();
  return with_kernel.template operator()<7>();
}

}  // namespace

template <class Target, class Element>
void depthwise_backward_weights(Stream<Target>& stream, const ConvolutionShape& shape, Layout layout,
                                DeviceSpan<Target, const Element> input,
                                DeviceSpan<Target, const Element> output_gradient,
                                DeviceSpan<Target, Element> weights_gradient,
                                DeviceSpan<Target, float> workspace) {
  const char* what = "depthwise_backward_weights";
  check_depthwise(what, shape, layout, sizeof(Element));
  const std::size_t needed = depthwise_workspace(shape, layout);
  check_sizes(what,
              {{"input", input.size(), shape.input(layout).size()},
               {"output_gradient", output_gradient.size(), shape.output(layout).size()},
               {"weights_gradient", weights_gradient.size(), shape.weights(layout).size()},
               {"workspace (at least)", workspace.size() < needed ? workspace.size() : needed, needed}});
  const DepthwiseWeightsPlan plan = depthwise_weights_plan(shape, layout);
  const auto slices = static_cast<unsigned>(plan.slices);
  for_shape(shape, [&]<int kKernel, int kStride>() {
    if (layout == Layout::nhwc) {
      launch({.name = what,
              .grid = dim3(slices, blocks_for(shape.in_channels, 2 * plan.lanes)),
              .block = kWeightsThreads<kKernel>,
              .shared_bytes = weights_parts(kKernel) * kKernel * kKernel * 64 * sizeof(float)},
             stream, nhwc_weights_kernel<Element, kKernel, kStride>, shape, plan.lanes, input.data(),
             output_gradient.data(), workspace.data());
    } else if constexpr (sizeof(Element) == 4) {
      launch({.name = what,
              .grid = dim3(static_cast<unsigned>(shape.in_channels), slices),
              .block = kDepthwiseThreads},
             stream, nchw_weights_kernel<kKernel, kStride>, shape, plan.slice_images, input.data(),
             output_gradient.data(), workspace.data());
    }
  });
  sum_weight_slices<Target, Element>(stream, plan.slices, workspace.subspan(0, needed), weights_gradient);
}

#define RM_INSTANTIATE(Element)                                                                            \
  template void depthwise_backward_weights(                                                                \
      Stream<CompiledTarget>&, const ConvolutionShape&, Layout, DeviceSpan<CompiledTarget, const Element>, \
      DeviceSpan<CompiledTarget, const Element>, DeviceSpan<CompiledTarget, Element>,                      \
      DeviceSpan<CompiledTarget, float>)
RM_INSTANTIATE(half);
RM_INSTANTIATE(bfloat16);
RM_INSTANTIATE(float);
#undef RM_INSTANTIATE

}  // namespace remeasure::kernels
