// SPDX-License-Identifier: Apache-2.0
//
// Depthwise convolution, forward and backward data (Sifre, "Rigid-Motion Scattering for Image
// Classification", 2014; Howard et al., "MobileNets", arXiv 1704.04861, section 3.1).
//
//   for (picture n) for (result y, x) for (channel c)
//     result[n, y, x, c] = activation(sum over taps r, s of weights[c, r, s] * source[n, y s - p + r, ...]
//     ...)
//
// A tap has two flops for the bytes that it shares with its neighbours: what counts is to load each source
// once. nhwc: a lane has two channels, so a warp reads 128 bytes (256 of float) of neighbours; a thread has 2
// x 4 results in registers and meets each source of theirs once, weights stand in shared memory as floats.
// nchw: lanes lie along a row, a thread has eight results of a column and all weights in registers. Backward
// data is forward with the taps reversed; with stride 2 a thread's results begin at an even place, so that
// the compiler knows which taps reach which of them and none is multiplied with a zero between pixels.
// Launch: (runs of results, tiles of 64 channels) or (runs) blocks of 256 threads. Per launch: 2 kernel^2
// flops a result, rows of padding left out; bytes: source, weights and result once.
#include "kernels/convolution/depthwise.h"

#include "kernels/convolution/depthwise_tile.h"

namespace remeasure::kernels {
namespace {

/// Where run `run` begins: its first result in the picture.
struct RunPlace {
  int image, row, column;
  RM_DEVICE RunPlace(const DepthwisePlan& plan, int run, int rows, int columns) {
    const int line = run / plan.column_runs;
    column = (run - line * plan.column_runs) * columns - plan.shift;
    image = line / plan.row_runs;
    row = (line - image * plan.row_runs) * rows - plan.shift;
  }
};

RM_DEVICE bool inside(int at, int extent) {
  return static_cast<unsigned>(at) < static_cast<unsigned>(extent);
}

template <class Element, int kKernel, int kStride, bool kTransposed>
__global__ void __launch_bounds__(kDepthwiseThreads, 3)
    nhwc_kernel(DepthwisePlan plan, const Element* __restrict__ source, const Element* __restrict__ weights,
                Element* __restrict__ result, EpilogueArguments<Element> epilogue) {
  using Taps = DepthwiseTaps<kKernel, kStride, kTransposed>;
  constexpr int kTaps = kKernel * kKernel;
  // A row for each tap. Two floats more than the channels: threads that load taps of one channel, which lie
  // side by side in memory, then write to different banks.
  constexpr int kRow = 2 * 32 + 2;
  RM_SHARED(float, taps, [kTaps * kRow]);
  const int first_channel = static_cast<int>(blockIdx.y) * 2 * plan.lanes;
  for (int i = static_cast<int>(threadIdx.x); i < kTaps * 2 * plan.lanes; i += kDepthwiseThreads) {
    const int channel = i / kTaps, tap = i - channel * kTaps;
    if (first_channel + channel >= plan.channels) break;
    const int from = plan.flipped ? kTaps - 1 - tap : tap;
    taps[tap * kRow + channel] = static_cast<float>(weights[(first_channel + channel) * kTaps + from]);
  }
  __syncthreads();  // the weights are there

  const int pair = static_cast<int>(threadIdx.x) % plan.lanes, channel = first_channel + 2 * pair;
  if (channel >= plan.channels) return;
  const int at_once = kDepthwiseThreads / plan.lanes;
  for (int run = static_cast<int>(blockIdx.x) * at_once + static_cast<int>(threadIdx.x) / plan.lanes;
       run < plan.runs(); run += static_cast<int>(gridDim.x) * at_once) {
    const RunPlace place(plan, run, kNhwcRows, kNhwcColumns);
    const int source_row = Taps::first_source(place.row, plan.pad),
              source_column = Taps::first_source(place.column, plan.pad);
    const Element* from =
        source +
        static_cast<long long>(place.image) * plan.source_height * plan.source_width * plan.channels +
        channel;
    float2 sums[kNhwcRows][kNhwcColumns] = {};
    add_taps<Taps, kKernel>(
        sums, [&](int i) { return inside(source_row + i, plan.seen_height); },
        [&](int i, int j) {
          if (!inside(source_column + j, plan.seen_width)) return make_float2(0.0f, 0.0f);
          return load_pair(from + ((source_row + i) * plan.source_width + source_column + j) * plan.channels);
        },
        [&](int tap_y, int tap_x) {
          return *reinterpret_cast<const float2*>(taps + (tap_y * kKernel + tap_x) * kRow + 2 * pair);
        });
#pragma unroll
    for (int r = 0; r < kNhwcRows; ++r) {
#pragma unroll
      for (int c = 0; c < kNhwcColumns; ++c) {
        const int row = place.row + r, column = place.column + c;
        if (!inside(row, plan.result_height) || !inside(column, plan.result_width)) continue;
        const long long at =
            ((static_cast<long long>(place.image) * plan.result_height + row) * plan.result_width + column) *
                plan.channels +
            channel;
        float2 sum = sums[r][c];
        if constexpr (!kTransposed) {  // backward data has no epilogue; reversed taps come with an empty one
          if (epilogue.bias != nullptr) sum.x += epilogue.bias[channel], sum.y += epilogue.bias[channel + 1];
          if (epilogue.residual != nullptr) {
            const float2 residual = load_pair(epilogue.residual + at);
            sum.x += residual.x, sum.y += residual.y;
          }
          sum.x = activated_value(epilogue.activation, sum.x);
          sum.y = activated_value(epilogue.activation, sum.y);
        }
        store_pair(result + at, sum.x, sum.y);
      }
    }
  }
}

template <int kKernel, int kStride, bool kTransposed>
__global__ void __launch_bounds__(kDepthwiseThreads)
    nchw_kernel(DepthwisePlan plan, const float* __restrict__ source, const float* __restrict__ weights,
                float* __restrict__ result, EpilogueArguments<float> epilogue) {
  using Taps = DepthwiseTaps<kKernel, kStride, kTransposed>;
  constexpr int kTaps = kKernel * kKernel, kColumns = nchw_columns(kStride, kTransposed);
  // Runs of one plane lie side by side, planes behind one another.
  const long long run = static_cast<long long>(blockIdx.x) * kDepthwiseThreads + threadIdx.x;
  const int of_plane = plan.row_runs * plan.column_runs;
  const int plane = static_cast<int>(run / of_plane);
  if (plane >= plan.batch * plan.channels) return;
  const RunPlace place(plan, static_cast<int>(run - static_cast<long long>(plane) * of_plane), kNchwRows,
                       kColumns);
  const int channel = plane % plan.channels;
  float taps[kTaps];
#pragma unroll
  for (int tap = 0; tap < kTaps; ++tap)
    taps[tap] = weights[channel * kTaps + (plan.flipped ? kTaps - 1 - tap : tap)];

  const int source_row = Taps::first_source(place.row, plan.pad),
            source_column = Taps::first_source(place.column, plan.pad);
  const float* from = source + static_cast<long long>(plane) * plan.source_height * plan.source_width;
  float sums[kNchwRows][kColumns] = {};
  add_taps<Taps, kKernel>(
      sums, [&](int i) { return inside(source_row + i, plan.seen_height); },
      [&](int i, int j) {
        if (!inside(source_column + j, plan.seen_width)) return 0.0f;
        return from[(source_row + i) * plan.source_width + source_column + j];
      },
      [&](int tap_y, int tap_x) { return taps[tap_y * kKernel + tap_x]; });
#pragma unroll
  for (int r = 0; r < kNchwRows; ++r) {
#pragma unroll
    for (int c = 0; c < kColumns; ++c) {
      const int row = place.row + r, column = place.column + c;
      if (!inside(row, plan.result_height) || !inside(column, plan.result_width)) continue;
      const long long at =
          (static_cast<long long>(plane) * plan.result_height + row) * plan.result_width + column;
      result[at] = kTransposed ? sums[r][c] : finished_value(sums[r][c], at, channel, epilogue);
    }
  }
}

/// run.operator()<kernel, stride, transposed>() for the shapes that there are.
template <class Run>
void for_shape(const ConvolutionShape& shape, const DepthwisePlan& plan, const Run& run) {
  const auto with_kernel = [&]<int kKernel>() {
    if (plan.flipped || shape.stride == 1) return run.template operator()<kKernel, 1, false>();
    if (plan.transposed) return run.template operator()<kKernel, 2, true>();
    return run.template operator()<kKernel, 2, false>();
  };
  if (shape.kernel == 3) return with_kernel.template operator()<3>();
  if (shape.kernel == 5) return with_kernel.template operator()<5>();
  return with_kernel.template operator()<7>();
}

template <class Target, class Element>
void run_pass(const char* name, Stream<Target>& stream, GemmPass pass, const ConvolutionShape& shape,
              Layout layout, const Element* source, const Element* weights, Element* result,
              const EpilogueArguments<Element>& epilogue) {
  const DepthwisePlan plan = depthwise_plan(pass, shape, layout);
  for_shape(shape, plan, [&]<int kKernel, int kStride, bool kTransposed>() {
    if (layout == Layout::nhwc) {
      const unsigned needed = blocks_for(plan.runs(), kDepthwiseThreads / plan.lanes);
      launch({.name = name,
              .grid = dim3(needed < kDepthwiseBlocks ? needed : kDepthwiseBlocks,
                           blocks_for(plan.channels, 2 * plan.lanes)),
              .block = kDepthwiseThreads},
             stream, nhwc_kernel<Element, kKernel, kStride, kTransposed>, plan, source, weights, result,
             epilogue);
    } else if constexpr (sizeof(Element) == 4) {
      launch({.name = name,
              .grid = blocks_for(static_cast<long long>(plan.runs()) * plan.channels, kDepthwiseThreads),
              .block = kDepthwiseThreads},
             stream, nchw_kernel<kKernel, kStride, kTransposed>, plan, source, weights, result, epilogue);
    }
  });
}

}  // namespace

template <class Target, class Element>
void depthwise_forward(Stream<Target>& stream, const ConvolutionShape& shape, Layout layout,
                       DeviceSpan<Target, const Element> input, DeviceSpan<Target, const Element> weights,
                       DeviceSpan<Target, Element> output, const DeviceEpilogue<Target, Element>& epilogue) {
  const char* what = "depthwise_forward";
  check_depthwise(what, shape, layout, sizeof(Element));
  const std::size_t outputs = static_cast<std::size_t>(shape.out_channels);
  check_sizes(what, {{"input", input.size(), shape.input(layout).size()},
                     {"weights", weights.size(), shape.weights(layout).size()},
                     {"output", output.size(), shape.output(layout).size()},
                     {"bias", epilogue.bias.size(), epilogue.bias.empty() ? 0 : outputs},
                     {"residual", epilogue.residual.size(), epilogue.residual.empty() ? 0 : output.size()}});
  run_pass<Target, Element>(what, stream, GemmPass::forward, shape, layout, input.data(), weights.data(),
                            output.data(),
                            {epilogue.bias.data(), epilogue.residual.data(), epilogue.activation});
}

template <class Target, class Element>
void depthwise_backward_data(Stream<Target>& stream, const ConvolutionShape& shape, Layout layout,
                             DeviceSpan<Target, const Element> output_gradient,
                             DeviceSpan<Target, const Element> weights,
                             DeviceSpan<Target, Element> input_gradient) {
  const char* what = "depthwise_backward_data";
  check_depthwise(what, shape, layout, sizeof(Element));
  check_sizes(what, {{"output_gradient", output_gradient.size(), shape.output(layout).size()},
                     {"weights", weights.size(), shape.weights(layout).size()},
                     {"input_gradient", input_gradient.size(), shape.input(layout).size()}});
  run_pass<Target, Element>(what, stream, GemmPass::backward_data, shape, layout, output_gradient.data(),
                            weights.data(), input_gradient.data(), {});
}

#define RM_INSTANTIATE(Element)                                                                            \
  template void depthwise_forward(                                                                         \
      Stream<CompiledTarget>&, const ConvolutionShape&, Layout, DeviceSpan<CompiledTarget, const Element>, \
      DeviceSpan<CompiledTarget, const Element>, DeviceSpan<CompiledTarget, Element>,                      \
      const DeviceEpilogue<CompiledTarget, Element>&);                                                     \
  template void depthwise_backward_data(                                                                   \
      Stream<CompiledTarget>&, const ConvolutionShape&, Layout, DeviceSpan<CompiledTarget, const Element>, \
      DeviceSpan<CompiledTarget, const Element>, DeviceSpan<CompiledTarget, Element>)
RM_INSTANTIATE(half);
RM_INSTANTIATE(bfloat16);
RM_INSTANTIATE(float);
#undef RM_INSTANTIATE

}  // namespace remeasure::kernels
