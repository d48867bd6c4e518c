// SPDX-License-Identifier: Apache-2.0
//
// The gradient of sliding-channel convolution with respect to its weights (DSXplore, IPDPS 2021, arXiv
// 2101.00745, section IV).
//
//   for (c) for (j) dw[c, j] = sum over b, p of dy[b, c, p] * x[b, (c * step + j) mod inputs, p];
//
// Optimisation: dy * x^T for 64 outputs in the order of their windows and 64 channels at a time, of which the
// band is kept: eights of channels that no window of a warp holds are left out. The sum runs over all pixels
// of all images, so it is divided into parts, each with its own blocks and its own place in `partial`; a
// second launch adds the parts in order. No atomics, the same bits in every run. Launch: (outputs / 64) *
// (channels of a union / 64) by parts blocks of 128 threads, 36 KiB of shared memory; then a thread per
// weight. Per call: scc_backward_weight_flops; bytes: x, dy, dw once, and partial twice. Limits: f32.
#include <stdexcept>
#include <string>

#include "kernels/convolution/sliding_channel_band.h"

namespace remeasure::kernels {
namespace {

constexpr int kRowsBytes = kSlidingRows * kWeightStride<float> * static_cast<int>(sizeof(float));

/// sums[tile] += rows * channels^T for 32 columns: row lane / 4 + 8 (r / 2), channel 8 tile + 2 (lane % 4) +
/// r % 2. Both are staged as [64][32 columns].
template <SlidingProduct kProduct>
struct ColumnProduct;

template <>
struct ColumnProduct<SlidingProduct::fma> {
  RM_DEVICE static void multiply(float (&sum)[4], const float* rows, const float* channels) {
    const int lane = lane_id();
    const auto at = [](const float* from, int row, int k) {
      return *reinterpret_cast<const float4*>(from + row * kWeightStride<float> + k);
    };
#pragma unroll
    for (int k = 0; k < kSlidingChunk; k += 4) {
      const float4 upper = at(rows, lane / 4, k), lower = at(rows, lane / 4 + 8, k);
#pragma unroll
      for (int r = 0; r < 2; ++r) {
        const float4 x = at(channels, 2 * (lane % 4) + r, k);
        sum[r] += upper.x * x.x;
        sum[r] += upper.y * x.y;
        sum[r] += upper.z * x.z;
        sum[r] += upper.w * x.w;
        sum[2 + r] += lower.x * x.x;
        sum[2 + r] += lower.y * x.y;
        sum[2 + r] += lower.z * x.z;
        sum[2 + r] += lower.w * x.w;
      }
    }
  }
};

template <>
struct ColumnProduct<SlidingProduct::tf32> {
  RM_DEVICE static void multiply(float (&sum)[4], const float* rows, const float* channels) {
    const float* channel = channels + lane_id() / 4 * kWeightStride<float> + lane_id() % 4;
#pragma unroll
    for (int k = 0; k < kSlidingChunk; k += 8) {
      std::uint32_t a[4];
      WarpProduct<SlidingProduct::tf32>::load_weights(a, rows + k);
      const std::uint32_t b[2] = {to_tf32(channel[k]), to_tf32(channel[k + 4])};
      Mma16x8x8Tf32::multiply(sum, a, b, sum);
    }
  }
};

template <SlidingProduct kProduct>
__global__ void __launch_bounds__(kSlidingThreads, 4)
    partial_kernel(ForwardBand<float> band, int channel_tiles, int chunks_per_part,
                   const float* __restrict__ x, const float* __restrict__ dy, float* __restrict__ partial) {
  constexpr int kPieces = kSlidingChunk / kPiece<float>, kStaged = kSlidingRows * kWeightStride<float>;
  RM_DYNAMIC_SHARED(float, shared);
  const SlidingChannelShape& shape = band.shape;
  const int first_row = static_cast<int>(blockIdx.x) / channel_tiles * kSlidingRows;
  const BandRange all = band_range(band, first_row, kSlidingRows);
  const BandRange mine = band_range(band, first_row + 16 * warp_id(), 16);
  const int first_place = all.begin + static_cast<int>(blockIdx.x) % channel_tiles * kSlidingRows;
  if (first_place >= all.end) return;
  const int first_chunk = static_cast<int>(blockIdx.y) * chunks_per_part;
  const int chunks =
      min((shape.columns() + kSlidingChunk - 1) / kSlidingChunk - first_chunk, chunks_per_part);
  const bool whole = whole_columns<float>(shape);

  float sums[kSlidingRows / 8][4] = {};
  two_buffers(
      chunks,
      [&](int chunk, int buffer) {
        const int column = (first_chunk + chunk) * kSlidingChunk;
        float* const to = shared + buffer * 2 * kStaged;
        for (int i = static_cast<int>(threadIdx.x); i < kSlidingRows * kPieces; i += kSlidingThreads) {
          const int row = i / kPieces, piece = i % kPieces * kPiece<float>;
          const int place = first_place + row, at = row * kWeightStride<float> + piece;
          copy_columns(to + at, dy, shape, shape.outputs, band.result_row(first_row + row), column + piece,
                       whole);
          copy_columns(to + kStaged + at, x, shape, shape.inputs,
                       place < all.end ? band.value_row(place) : -1, column + piece, whole);
        }
      },
      [&](int, int buffer) {
        const float* const rows = shared + buffer * 2 * kStaged;
#pragma unroll
        for (int tile = 0; tile < kSlidingRows / 8; ++tile) {
          const int place = first_place + 8 * tile;
          if (place >= mine.end || place + 8 <= mine.begin) continue;
          ColumnProduct<kProduct>::multiply(sums[tile], rows + 16 * warp_id() * kWeightStride<float>,
                                            rows + kStaged + 8 * tile * kWeightStride<float>);
        }
      });
  float* const to = partial + static_cast<long long>(blockIdx.y) * shape.outputs * shape.window;
#pragma unroll
  for (int side = 0; side < 2; ++side) {
    const int row = first_row + 16 * warp_id() + lane_id() / 4 + 8 * side;
    const int output = band.result_row(row);
    if (output < 0) continue;
#pragma unroll
    for (int tile = 0; tile < kSlidingRows / 8; ++tile) {
#pragma unroll
      for (int r = 0; r < 2; ++r) {
        const int j = first_place + 8 * tile + 2 * (lane_id() % 4) + r - band.begin(row);
        if (j >= 0 && j < shape.window)
          to[static_cast<long long>(output) * shape.window + j] = sums[tile][2 * side + r];
      }
    }
  }
}

__global__ void add_parts_kernel(int weights, int parts, const float* __restrict__ partial,
                                 float* __restrict__ dw) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i >= weights) return;
  float sum = partial[i];
  for (int part = 1; part < parts; ++part) sum += partial[static_cast<long long>(part) * weights + i];
  dw[i] = sum;
}

}  // namespace

template <class Target>
void scc_backward_weight(Stream<Target>& stream, const SlidingChannelShape& shape, SlidingProduct product,
                         SlidingChannelTables<Target> tables, DeviceSpan<Target, const float> x,
                         DeviceSpan<Target, const float> dy, DeviceSpan<Target, float> partial,
                         DeviceSpan<Target, float> dw) {
  check_sliding_sizes("scc_backward_weight", shape, x.size(), dw.size(), dy.size());
  check_sliding_tables("scc_backward_weight", shape, tables.output.size(), tables.start.size(),
                       tables.first.size());
  const int parts = scc_weight_parts(shape);
  if (partial.size() != static_cast<std::size_t>(parts) * shape.w_elements())
    throw std::invalid_argument("scc_backward_weight: partial has " + std::to_string(partial.size()) +
                                " elements; scc_weight_parts times those of w are needed");
  if (product == SlidingProduct::bf16)
    throw std::invalid_argument("scc_backward_weight: float is multiplied by fma or in tf32");
  const ForwardBand<float> band{shape, tables.output.data(), tables.start.data()};
  // A union is at most the window and all starts.
  const auto row_tiles = blocks_for(shape.outputs, kSlidingRows);
  const int channel_tiles = static_cast<int>(blocks_for(shape.window + shape.inputs - 1, kSlidingRows));
  const int chunks = static_cast<int>(blocks_for(shape.columns(), kSlidingChunk));
  const Launch what{
      .name = "scc_backward_weight",
      .grid = dim3(row_tiles * static_cast<unsigned>(channel_tiles), static_cast<unsigned>(parts)),
      .block = kSlidingThreads,
      .shared_bytes = 4 * kRowsBytes};
  float* const to = parts == 1 ? dw.data() : partial.data();
  launch(what, stream,
         product == SlidingProduct::fma ? partial_kernel<SlidingProduct::fma>
                                        : partial_kernel<SlidingProduct::tf32>,
         band, channel_tiles, static_cast<int>(blocks_for(chunks, parts)), x.data(), dy.data(), to);
  if (parts == 1) return;
  const int weights = static_cast<int>(dw.size());
  launch({.name = "scc_add_parts", .grid = blocks_for(weights, 256), .block = 256}, stream, add_parts_kernel,
         weights, parts, partial.data(), dw.data());
}

template void scc_backward_weight(Stream<CompiledTarget>&, const SlidingChannelShape&, SlidingProduct,
                                  SlidingChannelTables<CompiledTarget>,
                                  DeviceSpan<CompiledTarget, const float>,
                                  DeviceSpan<CompiledTarget, const float>, DeviceSpan<CompiledTarget, float>,
                                  DeviceSpan<CompiledTarget, float>);

}  // namespace remeasure::kernels
