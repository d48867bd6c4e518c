// SPDX-License-Identifier: Apache-2.0
//
// Convolution, forward and backward data, as a matrix product whose patches are gathered on their way into
// shared memory (implicit GEMM: Chetlur et al., "cuDNN: Efficient Primitives for Deep Learning", arXiv
// 1410.0759, section 3.2).
//
//   for (pixel m) for (channel n) {
//     for (tap t) for (channel c) sum += source[gather(m, t), c] * weights[n, t, c];   // [c, t, n] backward
//     result[place(m), n] = activation(sum + bias[n] + residual[place(m), n]);
//   }
//
// Optimisation: tiles of 128 pixels by 128 (or 64) channels on tensor cores, a warp 32 x 64; operands come by
// cp.async through a ring of four stages of 64 bytes of the inner dimension, swizzled so that ldmatrix has no
// bank conflict; zeros beside the picture are the copies' own. The tap of a thread's chunk moves by counting,
// so the loop divides nothing; one tap (1 x 1) is an instantiation without it. Backward data reads the
// weights as they lie and transposes by ldmatrix; with stride s it is s * s products, one for each phase of
// the input, so no product is with a zero between pixels. Sums go through shared memory and are stored 16
// bytes a thread, after the epilogue. Launch: (tiles, groups, phases) blocks of 256 threads; neighbouring
// blocks have the same pixels. Per launch: 2 rows columns inner flops on tiles (implicit_gemm.cpp); bytes:
// source, weights and result once.
#include "kernels/convolution/implicit_gemm.h"

#include "kernels/convolution/epilogue_device.h"
#include "kernels/convolution/gemm_tile.h"

namespace remeasure::kernels {
namespace {

/// The chunks of source rows that a thread copies: one column of chunks, two rows.
template <class Element, bool kOneTap>
struct SourceRows {
  static constexpr int kRows = 2;
  int channel;  // of this thread's chunk, in the group
  int tap_y = 0, tap_x = 0;
  int picture[kRows];      // first pixel of the row's picture; kOneTap: its pixel, or -1
  int y[kRows], x[kRows];  // source position of tap 0

  RM_DEVICE SourceRows(const GemmPlan& plan, int first_row)
      : channel(static_cast<int>(threadIdx.x) % 4 * kChunkElements<Element>) {
    const int area = plan.vertical.positions * plan.horizontal.positions;
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
      const int row = first_row + static_cast<int>(threadIdx.x) / 4 + 64 * i;
      const int image = row / area, rest = row - image * area;
      const int up = rest / plan.horizontal.positions, left = rest - up * plan.horizontal.positions;
      picture[i] = image * plan.source_height * plan.source_width;
      y[i] = plan.vertical.source(up, 0);
      x[i] = plan.horizontal.source(left, 0);
      if (row >= plan.rows) y[i] = -(1 << 30);  // beside every picture, whatever the tap
      if constexpr (kOneTap) {
        picture[i] = inside(plan, y[i], x[i]) ? picture[i] + y[i] * plan.source_width + x[i] : -1;
      }
    }
    carry(plan);
  }
  /// Channels beyond the group's are the next tap's.
  RM_DEVICE void carry(const GemmPlan& plan) {
    if constexpr (!kOneTap) {
      while (channel >= plan.inner_channels) {
        channel -= plan.inner_channels;
        if (++tap_x == plan.horizontal.taps) tap_x = 0, ++tap_y;
      }
    }
  }
  RM_DEVICE static bool inside(const GemmPlan& plan, int row, int column) {
    return static_cast<unsigned>(row) < static_cast<unsigned>(plan.source_height) &&
           static_cast<unsigned>(column) < static_cast<unsigned>(plan.source_width);
  }
  /// Begins to copy this thread's chunks of a step, and moves on to the next step.
  RM_DEVICE void load(const GemmPlan& plan, unsigned char* tile, const Element* source) {
    using Layout = typename InnerLast<Element, kGemmRows>::Layout;
    const int chunk = static_cast<int>(threadIdx.x) % 4;
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
      int pixel = picture[i];
      bool exists;
      if constexpr (kOneTap) {
        exists = pixel >= 0 && channel < plan.inner_channels;
      } else {
        const int row = y[i] + tap_y * plan.vertical.tap_step,
                  column = x[i] + tap_x * plan.horizontal.tap_step;
        exists = tap_y < plan.vertical.taps && inside(plan, row, column);
        if (exists) pixel += row * plan.source_width + column;
      }
      const Element* from =
          source + (exists ? static_cast<long long>(pixel) * plan.source_channels + channel : 0);
      copy_async<kChunkBytes>(tile + Layout::offset(static_cast<int>(threadIdx.x) / 4 + 64 * i, chunk), from,
                              exists ? kChunkBytes : 0);
    }
    channel += kGemmInner<Element>;
    carry(plan);
  }
};

/// Forward: the tile of weights is [columns][inner], as they lie in memory.
template <class Element, int kColumns>
struct ForwardWeights {
  using Tile = InnerLast<Element, kColumns>;
  int inner;           // of this thread's chunk
  const Element* row;  // of this thread's first chunk
  int column;

  RM_DEVICE ForwardWeights(const GemmPlan& plan, const Element* weights, int first_column)
      : inner(static_cast<int>(threadIdx.x) % 4 * kChunkElements<Element>),
        row(weights),
        column(first_column + static_cast<int>(threadIdx.x) / 4) {
    row += static_cast<long long>(blockIdx.y) * plan.columns * plan.inner();
  }
  RM_DEVICE void load(const GemmPlan& plan, unsigned char* tile) {
#pragma unroll
    for (int i = 0; i < kColumns / 64; ++i) {
      const int at = column + 64 * i;
      const bool exists = at < plan.columns && inner < plan.inner();
      const Element* from = row + (exists ? static_cast<long long>(at) * plan.inner() + inner : 0);
      copy_async<kChunkBytes>(tile + Tile::Layout::offset(static_cast<int>(threadIdx.x) / 4 + 64 * i,
                                                          static_cast<int>(threadIdx.x) % 4),
                              from, exists ? kChunkBytes : 0);
    }
    inner += kGemmInner<Element>;
  }
};

/// Backward data: the tile is [inner][columns]; a row of it is an output channel at a tap.
template <class Element, int kColumns, bool kOneTap>
struct BackwardWeights {
  using Tile = InnerFirst<Element, kColumns>;
  static constexpr int kRowsAtOnce = kGemmThreads / Tile::kChunks;
  static constexpr int kRows = kGemmInner<Element> / kRowsAtOnce;
  static_assert(kRows >= 1 && kRows * kRowsAtOnce == kGemmInner<Element>);
  int channel[kRows], tap_y[kRows], tap_x[kRows];
  const Element* group;
  int column;
  int kernel;

  RM_DEVICE BackwardWeights(const GemmPlan& plan, const Element* weights, int first_column, int kernel_extent)
      : group(weights),
        column(first_column + static_cast<int>(threadIdx.x) % Tile::kChunks * kChunkElements<Element>),
        kernel(kernel_extent) {
    group += static_cast<long long>(blockIdx.y) * plan.inner_channels * kernel * kernel * plan.columns;
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
      channel[i] = static_cast<int>(threadIdx.x) / Tile::kChunks + kRowsAtOnce * i;
      tap_y[i] = tap_x[i] = 0;
      carry(plan, i);
    }
  }
  RM_DEVICE void carry(const GemmPlan& plan, int i) {
    if constexpr (!kOneTap) {
      while (channel[i] >= plan.inner_channels) {
        channel[i] -= plan.inner_channels;
        if (++tap_x[i] == plan.horizontal.taps) tap_x[i] = 0, ++tap_y[i];
      }
    }
  }
  RM_DEVICE void load(const GemmPlan& plan, unsigned char* tile) {
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
      bool exists = column < plan.columns;
      long long row = channel[i];
      if constexpr (kOneTap) {
        exists = exists && channel[i] < plan.inner_channels;
      } else {
        exists = exists && tap_y[i] < plan.vertical.taps;
        row = row * kernel * kernel +
              (plan.vertical.kernel_first + plan.vertical.kernel_step * tap_y[i]) * kernel +
              plan.horizontal.kernel_first + plan.horizontal.kernel_step * tap_x[i];
      }
      copy_async<kChunkBytes>(
          tile + Tile::Layout::offset(static_cast<int>(threadIdx.x) / Tile::kChunks + kRowsAtOnce * i,
                                      static_cast<int>(threadIdx.x) % Tile::kChunks),
          group + (exists ? row * plan.columns + column : 0), exists ? kChunkBytes : 0);
      channel[i] += kGemmInner<Element>;
      carry(plan, i);
    }
  }
};

/// Row of floats of the tile of sums: eight more than the columns, so that the four rows that half a warp
/// stores lie in different banks.
template <int kColumns>
inline constexpr int kSumsRow = kColumns + 8;

template <int kColumns>
constexpr std::size_t shared_bytes() {
  const std::size_t ring = kGemmStages * (kGemmRows + kColumns) * kGemmInnerBytes,
                    sums = kGemmRows * kSumsRow<kColumns> * sizeof(float);
  return ring > sums ? ring : sums;
}

template <class Element, int kColumns, GemmPass kPass, bool kOneTap>
__global__ void __launch_bounds__(kGemmThreads, 2)
    implicit_gemm_kernel(ConvolutionShape shape, GemmPlan first_phase, const Element* __restrict__ source,
                         const Element* __restrict__ weights, Element* __restrict__ result,
                         EpilogueArguments<Element> epilogue) {
  using TileA = InnerLast<Element, kGemmRows>;
  constexpr bool kForward = kPass == GemmPass::forward;
  using Weights = std::conditional_t<kForward, ForwardWeights<Element, kColumns>,
                                     BackwardWeights<Element, kColumns, kOneTap>>;
  constexpr int kStage = TileA::kBytes + Weights::Tile::kBytes;
  RM_DYNAMIC_SHARED(unsigned char, shared);
  // What the phases share stays where parameters are, and takes no registers.
  GemmPlan plan = first_phase;
  if constexpr (!kForward) {
    const int phase = static_cast<int>(blockIdx.z);
    if (phase > 0) {
      plan.vertical = gather_axis(kPass, shape, shape.height, phase / shape.stride);
      plan.horizontal = gather_axis(kPass, shape, shape.width, phase % shape.stride);
      plan.rows = shape.batch * plan.vertical.positions * plan.horizontal.positions;
    }
  }
  const int column_tiles = divide_up(plan.columns, kColumns);
  const int first_row = static_cast<int>(blockIdx.x) / column_tiles * kGemmRows,
            first_column = static_cast<int>(blockIdx.x) % column_tiles * kColumns;
  if (first_row >= plan.rows) return;  // a phase with fewer pixels than the first
  source += static_cast<int>(blockIdx.y) * plan.inner_channels;

  SourceRows<Element, kOneTap> rows(plan, first_row);
  Weights columns = [&] {
    if constexpr (kForward)
      return Weights(plan, weights, first_column);
    else
      return Weights(plan, weights, first_column, shape.kernel);
  }();
  WarpSums<kColumns> sums = {};
  const bool live = warp_is_live<kColumns>(first_row, plan.rows, first_column, plan.columns);
  run_ring(
      divide_up(plan.inner(), kGemmInner<Element>),
      [&](int stage) {
        rows.load(plan, shared + stage * kStage, source);
        columns.load(plan, shared + stage * kStage + TileA::kBytes);
      },
      [&](int stage) {
        const unsigned char* tile = shared + stage * kStage;
        if (live)
          multiply_stage<Element, kColumns, TileA, typename Weights::Tile>(sums, tile, tile + TileA::kBytes);
      });
  __syncthreads();  // all are done with the ring: it becomes the tile of sums

  float* tile = reinterpret_cast<float*>(shared);
#pragma unroll
  for (int m = 0; m < 2; ++m) {
#pragma unroll
    for (int n = 0; n < kColumns / 16; ++n) {
#pragma unroll
      for (int r = 0; r < 4; r += 2) {
        const int row = warp_row() + 16 * m + lane_id() / 4 + 4 * r,
                  column = warp_column<kColumns>() + 8 * n + 2 * (lane_id() % 4);
        *reinterpret_cast<float2*>(tile + row * kSumsRow<kColumns> + column) =
            make_float2(sums[m][n][r], sums[m][n][r + 1]);
      }
    }
  }
  __syncthreads();  // the sums are complete

  constexpr int kChunks = kColumns / kChunkElements<Element>;
  const int column = static_cast<int>(threadIdx.x) % kChunks * kChunkElements<Element>;
  if (first_column + column >= plan.columns) return;
  const int channel = static_cast<int>(blockIdx.y) * plan.columns + first_column + column;
  for (int i = static_cast<int>(threadIdx.x) / kChunks; i < kGemmRows && first_row + i < plan.rows;
       i += kGemmThreads / kChunks) {
    int pixel = first_row + i;
    if (!kForward && shape.stride > 1) {
      const int area = plan.vertical.positions * plan.horizontal.positions;
      const int image = pixel / area, rest = pixel - image * area;
      const int up = rest / plan.horizontal.positions, left = rest - up * plan.horizontal.positions;
      pixel = (image * plan.to_height + up * plan.vertical.to_step + plan.vertical.to_first) * plan.to_width +
              left * plan.horizontal.to_step + plan.horizontal.to_first;
    }
    store_chunk<kForward>(result, static_cast<long long>(pixel) * plan.to_channels + channel, channel,
                          tile + i * kSumsRow<kColumns> + column, epilogue);
  }
}

template <class Target, class Element, GemmPass kPass>
void launch_gemm(const char* name, Stream<Target>& stream, const ConvolutionShape& shape,
                 const Element* source, const Element* weights, Element* result,
                 const EpilogueArguments<Element>& epilogue) {
  const GemmPlan plan = gemm_plan(kPass, shape, 0);  // no phase has more rows than the first
  const auto run = [&]<int kColumns, bool kOneTap>() {
    launch({.name = name,
            .grid = dim3(
                static_cast<unsigned>(divide_up(plan.rows, kGemmRows) * divide_up(plan.columns, kColumns)),
                static_cast<unsigned>(shape.groups), static_cast<unsigned>(gemm_phases(kPass, shape))),
            .block = kGemmThreads,
            .shared_bytes = shared_bytes<kColumns>()},
           stream, implicit_gemm_kernel<Element, kColumns, kPass, kOneTap>, shape, plan, source, weights,
           result, epilogue);
  };
  const auto run_taps = [&]<int kColumns>() {
    if (shape.kernel == 1) return run.template operator()<kColumns, true>();
    run.template operator()<kColumns, false>();
  };
  if constexpr (kPass == GemmPass::forward || sizeof(Element) == 2) {
    if (gemm_columns(plan.columns) == 128) return run_taps.template operator()<128>();
  }
  run_taps.template operator()<64>();
}

}  // namespace

template <class Target, class Element>
void implicit_gemm_forward(Stream<Target>& stream, const ConvolutionShape& shape,
                           DeviceSpan<Target, const Element> input, DeviceSpan<Target, const Element> weights,
                           DeviceSpan<Target, Element> output,
                           const DeviceEpilogue<Target, Element>& epilogue) {
  const char* what = "implicit_gemm_forward";
  check_implicit_gemm(what, shape, sizeof(Element));
  const std::size_t outputs = static_cast<std::size_t>(shape.out_channels);
  check_sizes(what, {{"input", input.size(), shape.input(Layout::nhwc).size()},
                     {"weights", weights.size(), shape.weights(Layout::nhwc).size()},
                     {"output", output.size(), shape.output(Layout::nhwc).size()},
                     {"bias", epilogue.bias.size(), epilogue.bias.empty() ? 0 : outputs},
                     {"residual", epilogue.residual.size(), epilogue.residual.empty() ? 0 : output.size()}});
  launch_gemm<Target, Element, GemmPass::forward>(
      what, stream, shape, input.data(), weights.data(), output.data(),
      {epilogue.bias.data(), epilogue.residual.data(), epilogue.activation});
}

template <class Target, class Element>
void implicit_gemm_backward_data(Stream<Target>& stream, const ConvolutionShape& shape,
                                 DeviceSpan<Target, const Element> output_gradient,
                                 DeviceSpan<Target, const Element> weights,
                                 DeviceSpan<Target, Element> input_gradient) {
  const char* what = "implicit_gemm_backward_data";
  check_implicit_gemm(what, shape, sizeof(Element));
  check_sizes(what, {{"output_gradient", output_gradient.size(), shape.output(Layout::nhwc).size()},
                     {"weights", weights.size(), shape.weights(Layout::nhwc).size()},
                     {"input_gradient", input_gradient.size(), shape.input(Layout::nhwc).size()}});
  launch_gemm<Target, Element, GemmPass::backward_data>(what, stream, shape, output_gradient.data(),
                                                        weights.data(), input_gradient.data(), {});
}

#define RM_INSTANTIATE(Element)                                                                    \
  template void implicit_gemm_forward(                                                             \
      Stream<CompiledTarget>&, const ConvolutionShape&, DeviceSpan<CompiledTarget, const Element>, \
      DeviceSpan<CompiledTarget, const Element>, DeviceSpan<CompiledTarget, Element>,              \
      const DeviceEpilogue<CompiledTarget, Element>&);                                             \
  template void implicit_gemm_backward_data(                                                       \
      Stream<CompiledTarget>&, const ConvolutionShape&, DeviceSpan<CompiledTarget, const Element>, \
      DeviceSpan<CompiledTarget, const Element>, DeviceSpan<CompiledTarget, Element>)
RM_INSTANTIATE(half);
RM_INSTANTIATE(bfloat16);
RM_INSTANTIATE(float);
#undef RM_INSTANTIATE

}  // namespace remeasure::kernels
