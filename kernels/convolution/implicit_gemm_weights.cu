// SPDX-License-Identifier: Apache-2.0
//
// Backward weights of a convolution as a matrix product over pixels (implicit GEMM: Chetlur et al., arXiv
// 1410.0759).
//
//   for (output channel m) for (tap t, input channel c)
//     weights_gradient[m, t, c] = sum over pixels p: output_gradient[p, m] * input[gather(p, t), c];
//
// Optimisation: tiles as in implicit_gemm.cu; both operands have the channels contiguous and pixels as the
// inner dimension, so ldmatrix transposes both. A thread's chunk keeps its tap; its pixel moves by counting.
// A weight tensor has few tiles, so pixels are split into slices until the grid fills the device; their sums
// are floats in memory and added in order by a second kernel: no atomics, the same bits each time. Launch:
// (tiles, groups, slices) blocks of 256 threads, then one for each 32 weights. Per launch: 2 rows columns
// pixels flops on tiles; bytes: input, output gradient, and slices of the weights in floats, written and
// read.
#include "kernels/convolution/gemm_tile.h"
#include "kernels/convolution/implicit_gemm.h"

namespace remeasure::kernels {
namespace {

/// The chunks of a tile [pixels][kExtent] that a thread copies: one column of chunks, every kStep-th pixel.
template <class Element, int kExtent>
struct PixelRows {
  using Tile = InnerFirst<Element, kExtent>;
  static constexpr int kStep = kGemmThreads / Tile::kChunks;
  static constexpr int kRows = kGemmInner<Element> / kStep;
  static_assert(kRows >= 1 && kRows * kStep == kGemmInner<Element>);
  RM_DEVICE static int chunk() { return static_cast<int>(threadIdx.x) % Tile::kChunks; }
  RM_DEVICE static int row(int i) { return static_cast<int>(threadIdx.x) / Tile::kChunks + kStep * i; }
};

/// Input pixels under a tap: the tap is the thread's column's, the output pixel moves on.
template <class Element, int kColumns>
struct InputRows : PixelRows<Element, kColumns> {
  using Base = PixelRows<Element, kColumns>;
  const Element* channel;  // of this thread's column, in pixel 0
  int up, left;            // of the tap's pixel, less stride times the output's
  int pixel[Base::kRows], image[Base::kRows], y[Base::kRows], x[Base::kRows];
  bool exists;

  RM_DEVICE InputRows(const ConvolutionShape& shape, const Element* input, int first_column,
                      int first_pixel) {
    const int column = first_column + Base::chunk() * kChunkElements<Element>;
    const int tap = column / shape.group_in();
    exists = column < shape.inner();
    channel = input + static_cast<int>(blockIdx.y) * shape.group_in() + column - tap * shape.group_in();
    up = tap / shape.kernel - shape.pad;
    left = tap % shape.kernel - shape.pad;
    const int width = shape.out_width(), height = shape.out_height();
#pragma unroll
    for (int i = 0; i < Base::kRows; ++i) {
      pixel[i] = first_pixel + Base::row(i);
      const int line = pixel[i] / width;
      x[i] = pixel[i] - line * width;
      image[i] = line / height;
      y[i] = line - image[i] * height;
    }
  }
  RM_DEVICE void load(const ConvolutionShape& shape, unsigned char* tile, int end_pixel) {
    const int width = shape.out_width(), height = shape.out_height();
#pragma unroll
    for (int i = 0; i < Base::kRows; ++i) {
      const int row = y[i] * shape.stride + up, column = x[i] * shape.stride + left;
      const bool there = exists && pixel[i] < end_pixel &&
                         static_cast<unsigned>(row) < static_cast<unsigned>(shape.height) &&
                         static_cast<unsigned>(column) < static_cast<unsigned>(shape.width);
      const long long from =
          there ? (static_cast<long long>(image[i]) * shape.height + row) * shape.width + column : 0;
      copy_async<kChunkBytes>(tile + Base::Tile::Layout::offset(Base::row(i), Base::chunk()),
                              there ? channel + from * shape.in_channels : channel, there ? kChunkBytes : 0);
      pixel[i] += kGemmInner<Element>;
      x[i] += kGemmInner<Element>;
      while (x[i] >= width) {
        x[i] -= width;
        if (++y[i] == height) y[i] = 0, ++image[i];
      }
    }
  }
};

/// The gradient of the output, pixel by pixel.
template <class Element>
struct GradientRows : PixelRows<Element, kGemmRows> {
  using Base = PixelRows<Element, kGemmRows>;
  const Element* channel;
  int pixel;
  bool exists;

  RM_DEVICE GradientRows(const ConvolutionShape& shape, const Element* gradient, int first_row,
                         int first_pixel)
      : pixel(first_pixel) {
    const int row = first_row + Base::chunk() * kChunkElements<Element>;
    exists = row < shape.group_out();
    channel = gradient + static_cast<int>(blockIdx.y) * shape.group_out() + row;
  }
  RM_DEVICE void load(const ConvolutionShape& shape, unsigned char* tile, int end_pixel) {
#pragma unroll
    for (int i = 0; i < Base::kRows; ++i) {
      const int at = pixel + Base::row(i);
      const bool there = exists && at < end_pixel;
      copy_async<kChunkBytes>(tile + Base::Tile::Layout::offset(Base::row(i), Base::chunk()),
                              there ? channel + static_cast<long long>(at) * shape.out_channels : channel,
                              there ? kChunkBytes : 0);
    }
    pixel += kGemmInner<Element>;
  }
};

template <int kColumns>
constexpr std::size_t shared_bytes() {
  return kGemmStages * (kGemmRows + kColumns) * kGemmInnerBytes;
}

/// Out: float for slices, Element where there is only one.
template <class Element, class Out, int kColumns>
__global__ void __launch_bounds__(kGemmThreads, 2)
    weights_kernel(ConvolutionShape shape, int slice_pixels, const Element* __restrict__ input,
                   const Element* __restrict__ output_gradient, Out* __restrict__ sums_out) {
  using TileA = InnerFirst<Element, kGemmRows>;
  using TileB = InnerFirst<Element, kColumns>;
  constexpr int kStage = TileA::kBytes + TileB::kBytes;
  RM_DYNAMIC_SHARED(unsigned char, shared);
  const int rows = shape.group_out(), columns = shape.inner();
  const int column_tiles = divide_up(columns, kColumns);
  const int first_row = static_cast<int>(blockIdx.x) / column_tiles * kGemmRows,
            first_column = static_cast<int>(blockIdx.x) % column_tiles * kColumns;
  const int pixels = static_cast<int>(shape.out_pixels());
  const int first_pixel = static_cast<int>(blockIdx.z) * slice_pixels,
            end_pixel = min(pixels, first_pixel + slice_pixels);
  GradientRows<Element> gradients(shape, output_gradient, first_row, first_pixel);
  InputRows<Element, kColumns> inputs(shape, input, first_column, first_pixel);
  WarpSums<kColumns> sums = {};
  const bool live = warp_is_live<kColumns>(first_row, rows, first_column, columns);
  run_ring(
      divide_up(end_pixel - first_pixel, kGemmInner<Element>),
      [&](int stage) {
        gradients.load(shape, shared + stage * kStage, end_pixel);
        inputs.load(shape, shared + stage * kStage + TileA::kBytes, end_pixel);
      },
      [&](int stage) {
        const unsigned char* tile = shared + stage * kStage;
        if (live) multiply_stage<Element, kColumns, TileA, TileB>(sums, tile, tile + TileA::kBytes);
      });

  // Four lanes store 32 bytes of floats in a row: whole sectors, so nothing is staged.
  sums_out +=
      (static_cast<long long>(blockIdx.z) * shape.out_channels + static_cast<int>(blockIdx.y) * rows) *
      columns;
#pragma unroll
  for (int m = 0; m < 2; ++m) {
#pragma unroll
    for (int r = 0; r < 4; r += 2) {
      const int row = first_row + warp_row() + 16 * m + lane_id() / 4 + 4 * r;
      if (row >= rows) continue;
#pragma unroll
      for (int n = 0; n < kColumns / 16; ++n) {
        const int column = first_column + warp_column<kColumns>() + 8 * n + 2 * (lane_id() % 4);
        if (column >= columns) continue;
        Out* to = sums_out + static_cast<long long>(row) * columns + column;
        if constexpr (sizeof(Out) == 4) {
          *reinterpret_cast<float2*>(to) = make_float2(sums[m][n][r], sums[m][n][r + 1]);
        } else {
          *reinterpret_cast<std::uint32_t*>(to) = pack2(Out(sums[m][n][r]), Out(sums[m][n][r + 1]));
        }
      }
    }
  }
}

/// A warp's width of weights; eight threads share the slices of each.
template <class Element>
__global__ void __launch_bounds__(32 * kSumParts)
    sum_slices_kernel(int slices, int weights, const float* __restrict__ sums, Element* __restrict__ result) {
  RM_SHARED(float, parts, [kSumParts][32]);
  const int weight = static_cast<int>(blockIdx.x) * 32 + lane_id(), part = warp_id();
  float sum = 0;
  if (weight < weights) {
#pragma unroll 4
    for (int slice = part; slice < slices; slice += kSumParts)
      sum += sums[static_cast<long long>(slice) * weights + weight];
  }
  parts[part][lane_id()] = sum;
  __syncthreads();  // all parts are there
  if (part != 0 || weight >= weights) return;
  float total = 0;
#pragma unroll
  for (int i = 0; i < kSumParts; ++i) total += parts[i][lane_id()];
  result[weight] = static_cast<Element>(total);
}

}  // namespace

template <class Target, class Element>
void sum_weight_slices(Stream<Target>& stream, int slices, DeviceSpan<Target, const float> sums,
                       DeviceSpan<Target, Element> result) {
  check_sizes("sum_weight_slices", {{"sums", sums.size(), static_cast<std::size_t>(slices) * result.size()}});
  const int weights = static_cast<int>(result.size());
  launch({.name = "sum_weight_slices", .grid = blocks_for(weights, 32), .block = 32 * kSumParts}, stream,
         sum_slices_kernel<Element>, slices, weights, sums.data(), result.data());
}

template <class Target, class Element>
void implicit_gemm_backward_weights(Stream<Target>& stream, const ConvolutionShape& shape,
                                    DeviceSpan<Target, const Element> input,
                                    DeviceSpan<Target, const Element> output_gradient,
                                    DeviceSpan<Target, Element> weights_gradient,
                                    DeviceSpan<Target, float> workspace) {
  const char* what = "implicit_gemm_backward_weights";
  check_implicit_gemm(what, shape, sizeof(Element));
  const std::size_t needed = implicit_gemm_workspace(shape, sizeof(Element));
  check_sizes(what,
              {{"input", input.size(), shape.input(Layout::nhwc).size()},
               {"output_gradient", output_gradient.size(), shape.output(Layout::nhwc).size()},
               {"weights_gradient", weights_gradient.size(), shape.weights(Layout::nhwc).size()},
               {"workspace (at least)", workspace.size() < needed ? workspace.size() : needed, needed}});
  const WeightsPlan plan = weights_plan(shape, sizeof(Element));
  const auto run = [&]<class Out, int kColumns>(Out* to) {
    launch({.name = what,
            .grid = dim3(
                static_cast<unsigned>(divide_up(plan.rows, kGemmRows) * divide_up(plan.columns, kColumns)),
                static_cast<unsigned>(shape.groups), static_cast<unsigned>(plan.slices)),
            .block = kGemmThreads,
            .shared_bytes = shared_bytes<kColumns>()},
           stream, weights_kernel<Element, Out, kColumns>, shape, plan.slice_pixels, input.data(),
           output_gradient.data(), to);
  };
  const auto run_wide = [&]<class Out>(Out* to) {
    if constexpr (sizeof(Element) == 2) {
      if (gemm_columns_inner_first(plan.columns, sizeof(Element)) == 128)
        return run.template operator()<Out, 128>(to);
    }
    run.template operator()<Out, 64>(to);
  };
  if (plan.slices == 1) return run_wide(weights_gradient.data());
  run_wide(workspace.data());
  sum_weight_slices<Target, Element>(stream, plan.slices, workspace.subspan(0, needed), weights_gradient);
}

#define RM_INSTANTIATE(Element)                                                                          \
  template void sum_weight_slices(Stream<CompiledTarget>&, int, DeviceSpan<CompiledTarget, const float>, \
                                  DeviceSpan<CompiledTarget, Element>);                                  \
  template void implicit_gemm_backward_weights(                                                          \
      Stream<CompiledTarget>&, const ConvolutionShape&, DeviceSpan<CompiledTarget, const Element>,       \
      DeviceSpan<CompiledTarget, const Element>, DeviceSpan<CompiledTarget, Element>,                    \
      DeviceSpan<CompiledTarget, float>)
RM_INSTANTIATE(half);
RM_INSTANTIATE(bfloat16);
RM_INSTANTIATE(float);
#undef RM_INSTANTIATE

}  // namespace remeasure::kernels
