// SPDX-License-Identifier: Apache-2.0
//
// The block that DSXplore (IPDPS 2021, arXiv 2101.00745, section III) puts in the place of a 3x3 convolution,
// in one launch: depthwise 3x3 and sliding-channel convolution, batch normalisation folded, ReLU after both.
//
//   for (b) for (i) for (p) d[i, p] = relu(bias1[i] + sum over 3x3 of k[i, r, s] * x[b, i, neighbour(p, r,
//   s)]); for (b) for (c) for (p) y[b, c, p] = relu(bias2[c] + sum_j w[c, j] * d[(c * step + j) mod inputs,
//   p]);
//
// Optimisation: a block computes d for 32 columns and all channels once, into shared memory, and multiplies
// it by all tiles of weights, which come through two buffers: d never reaches memory, and isn't computed
// twice. Launch: columns / 32 blocks of 128 threads; shared memory: 160 bytes a channel and 18 KiB. Per
// launch: scc_block_flops; bytes: x, the weights and y once (x's neighbours come from L1). Limits: f32, 32 to
// kMostFusedInputs inputs; weights are read again by each block, from L2.
#include <stdexcept>
#include <string>

#include "kernels/convolution/sliding_channel_band.h"

namespace remeasure::kernels {
namespace {

constexpr int kBlockColumns = 32;

struct DepthwisePart {
  int stride;
  const float* weights;
  const float* bias;
};

/// d for all channels and 32 columns: a warp has the columns of one channel.
RM_DEVICE void depthwise_columns(float* d, const SlidingChannelShape& shape, const DepthwisePart& part,
                                 const float* x, int first_column) {
  const int column = first_column + lane_id(), pixels = shape.pixels();
  const bool exists = column < shape.columns();
  const int image = exists ? column / pixels : 0, pixel = exists ? column % pixels : 0;
  const int rows = shape.height * part.stride, columns = shape.width * part.stride;
  const int top = pixel / shape.width * part.stride - 1, left = pixel % shape.width * part.stride - 1;
  for (int channel = warp_id(); channel < shape.inputs; channel += kSlidingThreads / 32) {
    const float* plane = x + (static_cast<long long>(image) * shape.inputs + channel) * rows * columns;
    float sum = part.bias[channel];
#pragma unroll
    for (int r = 0; r < 3; ++r) {
#pragma unroll
      for (int s = 0; s < 3; ++s) {
        const int row = top + r, at = left + s;
        float value = 0;
        if (row >= 0 && row < rows && at >= 0 && at < columns)
          value = plane[static_cast<long long>(row) * columns + at];
        sum += part.weights[9 * channel + 3 * r + s] * value;
      }
    }
    d[channel * kValueStride<kBlockColumns> + lane_id()] = max(sum, 0.0f);
  }
}

template <SlidingProduct kProduct>
__global__ void __launch_bounds__(kSlidingThreads, 2)
    block_kernel(ForwardBand<float> band, DepthwisePart depthwise, const float* __restrict__ x,
                 const float* __restrict__ w, const float* __restrict__ bias, float* __restrict__ y) {
  using Product = WarpProduct<kProduct>;
  constexpr int kTiles = kBlockColumns / 8, kWeights = kSlidingRows * kWeightStride<float>;
  RM_DYNAMIC_SHARED(float, shared);
  float* const d = shared + 2 * kWeights;
  const SlidingChannelShape& shape = band.shape;
  const int first_column = static_cast<int>(blockIdx.x) * kBlockColumns;
  depthwise_columns(d, shape, depthwise, x, first_column);  // complete at the first barrier of two_buffers
#pragma unroll 1
  for (int first_row = 0; first_row < shape.outputs; first_row += kSlidingRows) {
    const BandRange all = band_range(band, first_row, kSlidingRows);
    const int my_row = first_row + 16 * warp_id();
    const BandRange mine = band_range(band, my_row, 16);
    float sums[kTiles][4] = {};
    two_buffers(
        (all.end - all.begin + kSlidingChunk - 1) / kSlidingChunk,
        [&](int chunk, int buffer) {
          band.load_weights(shared + buffer * kWeights, w, first_row, all.begin + chunk * kSlidingChunk);
        },
        [&](int chunk, int buffer) {
          const int first_place = all.begin + chunk * kSlidingChunk,
                    first_channel = first_place % shape.inputs;
          multiply_chunk<Product>(sums, shared + buffer * kWeights, first_place, mine, [&](int k) {
            const int channel = first_channel + k;  // less than 32 beyond the last
            return d +
                   (channel < shape.inputs ? channel : channel - shape.inputs) * kValueStride<kBlockColumns>;
          });
        });
    const auto row_of = [&](int row) {
      return my_row + row < shape.outputs ? band.result_row(my_row + row) : -1;
    };
#pragma unroll
    for (int side = 0; side < 2; ++side) {
      const int row = row_of(lane_id() / 4 + 8 * side);
      const float add = row < 0 ? 0.0f : bias[row];
#pragma unroll
      for (auto& tile : sums) {
        tile[2 * side] = max(tile[2 * side] + add, 0.0f);
        tile[2 * side + 1] = max(tile[2 * side + 1] + add, 0.0f);
      }
    }
    store_sums<Product>(y, shape, shape.outputs, row_of, first_column, sums);
  }
}

}  // namespace

template <class Target>
void scc_block(Stream<Target>& stream, const SlidingChannelShape& shape, SlidingProduct product,
               SlidingChannelTables<Target> tables, const SlidingChannelBlock<Target>& block,
               DeviceSpan<Target, const float> x, DeviceSpan<Target, float> y) {
  const auto stride = static_cast<std::size_t>(block.stride);
  check_sliding_sizes("scc_block", shape, block.stride < 1 ? 0 : x.size() / (stride * stride), block.w.size(),
                      y.size());
  check_sliding_tables("scc_block", shape, tables.output.size(), tables.start.size(), tables.first.size());
  if (shape.inputs < kSlidingChunk || shape.inputs > kMostFusedInputs)
    throw std::invalid_argument("scc_block: " + std::to_string(shape.inputs) + " inputs; from 32 to " +
                                std::to_string(kMostFusedInputs) + " fit into shared memory");
  const auto inputs = static_cast<std::size_t>(shape.inputs);
  if (block.depthwise.size() != 9 * inputs || block.depthwise_bias.size() != inputs ||
      block.bias.size() != static_cast<std::size_t>(shape.outputs))
    throw std::invalid_argument("scc_block: depthwise weights or biases that don't fit the shape");
  const ForwardBand<float> band{shape, tables.output.data(), tables.start.data()};
  const DepthwisePart part{block.stride, block.depthwise.data(), block.depthwise_bias.data()};
  const std::size_t floats = 2 * kSlidingRows * kWeightStride<float> + inputs * kValueStride<kBlockColumns>;
  if (product == SlidingProduct::bf16)
    throw std::invalid_argument("scc_block: float is multiplied by fma or in tf32");
  launch(
      {.name = "scc_block",
       .grid = blocks_for(shape.columns(), kBlockColumns),
       .block = kSlidingThreads,
       .shared_bytes = floats * sizeof(float)},
      stream,
      product == SlidingProduct::fma ? block_kernel<SlidingProduct::fma> : block_kernel<SlidingProduct::tf32>,
      band, part, x.data(), block.w.data(), block.bias.data(), y.data());
}

template void scc_block(Stream<CompiledTarget>&, const SlidingChannelShape&, SlidingProduct,
                        SlidingChannelTables<CompiledTarget>, const SlidingChannelBlock<CompiledTarget>&,
                        DeviceSpan<CompiledTarget, const float>, DeviceSpan<CompiledTarget, float>);

}  // namespace remeasure::kernels
