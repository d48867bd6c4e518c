// SPDX-License-Identifier: Apache-2.0
//
// The MBConv block in one launch (Sandler et al., "MobileNetV2", CVPR 2018; fused as in Lavin, "On the
// Efficiency of Convolutional Neural Networks", arXiv 2404.03617). Without squeeze-and-excitation, whose mean
// over the picture no tile knows.
//
//   for (pixel p) for (hidden j) h[p, j] = gelu(b1[j] + sum over c of W1[j, c] * x[p, c]);
//   for (pixel p) {
//     for (hidden j) g[j] = gelu(b0[j] + sum over taps t of filter[j, t] * h[p + t, j]);   // h = 0 outside
//     for (channel c) y[p, c] = x[p, c] + b2[c] + sum over j of W2[c, j] * g[j];
//   }
//
// Optimisation: the hidden channels, e times the input, never touch device memory. The convolution lies
// between the products, so a tile needs hidden values of its halo, and computes them again: that is what
// ConvFirst spares. x of tile and halo stays in shared memory; hidden channels pass 32 at a time: expanded
// for all pixels of the halo, filtered from shared memory (a thread keeps a pair of channels and its filters
// in registers), added to accumulators by W2. W1's next chunk is copied while the filter and W2 work.
//
// Launch: (tiles, batch) blocks of 256 threads. Per launch: 2 e C^2 (1 + recompute) + 2 k^2 e C flops a
// pixel, products in whole tiles of 16 pixels; bytes: x, y and the weights. Limits: channels 32, 64, 128, 256
// (fp32: to 128), kernels 3 and 5, e C a multiple of 32, tiles of 64 pixels and 160 with their halo.
#include "kernels/convolution/mbconv_block.h"

#include "kernels/convolution/block_tile.h"

namespace remeasure::kernels {
namespace {

template <class Element>
struct MbConvArrays {
  const Element *x, *filter, *expand, *project;
  const float *filter_bias, *expand_bias, *project_bias;
  Element* y;
};

/// The tile of one block of threads; halo pixels are counted row by row.
struct MbConvPlace {
  int first_row, first_column, rows, columns;  // of the tile, in the picture
  int halo_columns, halo_pixels;
  int height, width;

  RM_DEVICE bool inside(int halo_pixel, int reach) const {
    const int y = first_row - reach + halo_pixel / halo_columns;
    const int x = first_column - reach + halo_pixel % halo_columns;
    return y >= 0 && y < height && x >= 0 && x < width;
  }
};

/// h = gelu(W1 x + b1) of a chunk for the halo's pixels; zeros outside the picture. 16 pixels and half of the
/// chunk a warp at a time.
template <class Element, class Pixel, class Hidden>
RM_DEVICE void expand_halo(unsigned char* h, const unsigned char* x, const unsigned char* matrix,
                           const float* __restrict__ bias, const MbConvPlace& place, int reach) {
  constexpr int kTiles = kMbConvChunk / 8 / 2;
  const int lane = lane_id(), row_tiles = (place.halo_pixels + 15) / 16;
  for (int item = warp_id(); item < 2 * row_tiles; item += kBlockWarps) {
    const int row = item / 2 * 16, column = item % 2 * 8 * kTiles;
    float sums[1][kTiles][4] = {};
    multiply_tiles<Element, Pixel>(sums, x, row, place.halo_pixels, matrix, column);
#pragma unroll
    for (int r = 0; r < 4; r += 2) {
      const int p = row + lane / 4 + 4 * r;
      const bool inside = p < place.halo_pixels && place.inside(p, reach);
#pragma unroll
      for (int n = 0; n < kTiles; ++n) {
        const int j = column + 8 * n + 2 * (lane % 4);
        const float first = fast_gelu(sums[0][n][r] + bias[j]),
                    second = fast_gelu(sums[0][n][r + 1] + bias[j + 1]);
        put_pair(at<Hidden, Element>(h, p, j), inside ? first : 0.0f, inside ? second : 0.0f);
      }
    }
  }
}

/// g = gelu(depthwise(h) + b0) of a chunk for the tile's pixels: a pair of channels and every sixteenth pixel
/// a thread.
template <class Element, class Hidden, int kKernel>
RM_DEVICE void filter_tile(unsigned char* g, const unsigned char* h, const Element* __restrict__ filter,
                           const float* __restrict__ bias, const MbConvPlace& place) {
  constexpr int kTaps = kKernel * kKernel, kPairs = kMbConvChunk / 2;
  const int j = 2 * (static_cast<int>(threadIdx.x) % kPairs);
  float first[kTaps], second[kTaps];
#pragma unroll
  for (int tap = 0; tap < kTaps; ++tap) {
    first[tap] = static_cast<float>(filter[j * kTaps + tap]);
    second[tap] = static_cast<float>(filter[(j + 1) * kTaps + tap]);
  }
  const float first_bias = bias[j], second_bias = bias[j + 1];
  for (int p = static_cast<int>(threadIdx.x) / kPairs; p < place.rows * place.columns;
       p += kBlockThreads / kPairs) {
    const int row = p / place.columns, column = p - row * place.columns;
    float2 sum = make_float2(first_bias, second_bias);
#pragma unroll
    for (int u = 0; u < kKernel; ++u) {
#pragma unroll
      for (int v = 0; v < kKernel; ++v) {
        const int from = (row + u) * place.halo_columns + column + v;
        const float2 value = get_pair<Element>(at<Hidden, Element>(h, from, j));
        sum.x += first[kKernel * u + v] * value.x;
        sum.y += second[kKernel * u + v] * value.y;
      }
    }
    put_pair(at<Hidden, Element>(g, p, j), fast_gelu(sum.x), fast_gelu(sum.y));
  }
  // Rows that fill the last tile of 16 pixels: products with them are thrown away, but must be numbers.
  const int pixels = place.rows * place.columns;
  for (int p = pixels + static_cast<int>(threadIdx.x) / kPairs; p < (pixels + 15) / 16 * 16;
       p += kBlockThreads / kPairs)
    put_pair(at<Hidden, Element>(g, p, j), 0.0f, 0.0f);
}

template <class Element, int kChannels, int kKernel>
__global__ void __launch_bounds__(kBlockThreads,
                                  sizeof(Element) == 2 && kChannels <= 64 && kKernel == 3 ? 2 : 1)
    mbconv_kernel(BlockShape shape, MbConvTiling tiling, MbConvArrays<Element> arrays) {
  using Pixel = BlockTile<Element, kChannels>;      // x, W1
  using Hidden = BlockTile<Element, kMbConvChunk>;  // h, g, W2
  constexpr int kReach = kKernel / 2;
  constexpr int kRowWarps = kMbConvPixels / 32;  // 32 pixels a warp, and the channels among the others
  constexpr int kTiles = kChannels / 8 / (kBlockWarps / kRowWarps);

  const int column_tiles = (shape.width + tiling.columns - 1) / tiling.columns;
  MbConvPlace place;
  place.first_row = static_cast<int>(blockIdx.x) / column_tiles * tiling.rows;
  place.first_column = static_cast<int>(blockIdx.x) % column_tiles * tiling.columns;
  place.rows = min(tiling.rows, shape.height - place.first_row);
  place.columns = min(tiling.columns, shape.width - place.first_column);
  place.halo_columns = place.columns + kKernel - 1;
  place.halo_pixels = (place.rows + kKernel - 1) * place.halo_columns;
  place.height = shape.height, place.width = shape.width;
  const long long picture = static_cast<long long>(blockIdx.y) * shape.height;  // its first row
  const int hidden = shape.expansion * kChannels, chunks = hidden / kMbConvChunk;
  const int lane = lane_id(), warp = warp_id(), pixels = place.rows * place.columns;

  RM_DYNAMIC_SHARED(unsigned char, shared);
  const int halo_rows = (tiling.halo_rows(kKernel) * tiling.halo_columns(kKernel) + 15) / 16 * 16;
  unsigned char* x = shared;
  unsigned char* h = x + Pixel::bytes(halo_rows);
  unsigned char* g = h + Hidden::bytes(halo_rows);
  unsigned char* expand = g + Hidden::bytes(kMbConvPixels);
  unsigned char* project = expand + Pixel::bytes(kMbConvChunk);

  const int whole = (place.halo_pixels + 15) / 16 * 16;
  for (int i = static_cast<int>(threadIdx.x); i < whole * Pixel::kChunks; i += kBlockThreads) {
    const int chunk = i % Pixel::kChunks, p = i / Pixel::kChunks;
    const bool exists = p < place.halo_pixels && place.inside(p, kReach);
    const long long row = picture + place.first_row - kReach + p / place.halo_columns;
    const int column = place.first_column - kReach + p % place.halo_columns;
    const Element* from =
        arrays.x + (exists ? (row * shape.width + column) * kChannels + chunk * Pixel::kInChunk : 0);
    copy_async<kChunkBytes>(x + Pixel::Layout::offset(p, chunk), from, exists ? kChunkBytes : 0);
  }
  copy_matrix<Pixel, kMbConvChunk>(expand, arrays.expand, kChannels);

  float sums[2][kTiles][4] = {};
  const int row = 32 * (warp % kRowWarps), column = 8 * kTiles * (warp / kRowWarps);
  for (int chunk = 0; chunk < chunks; ++chunk) {
    const int first = chunk * kMbConvChunk;
    copy_async_wait_all();  // for x and W1's chunk
    __syncthreads();        // they have landed for all; all are done with W2, g and h
    copy_matrix<Hidden, kChannels>(project, arrays.project + first, hidden);
    expand_halo<Element, Pixel, Hidden>(h, x, expand, arrays.expand_bias + first, place, kReach);
    __syncthreads();  // h is there; all are done with W1
    copy_async_commit();
    if (chunk + 1 < chunks)
      copy_matrix<Pixel, kMbConvChunk>(expand, arrays.expand + (first + kMbConvChunk) * kChannels, kChannels);
    copy_async_commit();
    filter_tile<Element, Hidden, kKernel>(g, h, arrays.filter + first * kKernel * kKernel,
                                          arrays.filter_bias + first, place);
    copy_async_wait<1>();  // for W2's chunk
    __syncthreads();       // it has landed for all; g is there
    multiply_tiles<Element, Hidden>(sums, g, row, pixels, project, column);
  }
  // x has been multiplied: a pixel's own x is replaced by its y, so that stores are whole lines.
#pragma unroll
  for (int m = 0; m < 2; ++m) {
#pragma unroll
    for (int r = 0; r < 4; r += 2) {
      const int p = row + 16 * m + lane / 4 + 4 * r;
      if (p >= pixels) continue;
      const int below = p / place.columns;
      const int in_halo = (below + kReach) * place.halo_columns + p - below * place.columns + kReach;
#pragma unroll
      for (int n = 0; n < kTiles; ++n) {
        const int c = column + 8 * n + 2 * (lane % 4);
        const float2 own = get_pair<Element>(at<Pixel, Element>(x, in_halo, c));
        put_pair(at<Pixel, Element>(x, in_halo, c), sums[m][n][r] + arrays.project_bias[c] + own.x,
                 sums[m][n][r + 1] + arrays.project_bias[c + 1] + own.y);
      }
    }
  }
  __syncthreads();  // the tile's result is whole
  for (int i = static_cast<int>(threadIdx.x); i < pixels * Pixel::kChunks; i += kBlockThreads) {
    const int chunk = i % Pixel::kChunks, p = i / Pixel::kChunks;
    const int below = p / place.columns, beside = p - below * place.columns;
    const int in_halo = (below + kReach) * place.halo_columns + beside + kReach;
    const long long to = (picture + place.first_row + below) * shape.width + place.first_column + beside;
    *reinterpret_cast<uint4*>(arrays.y + to * kChannels + chunk * Pixel::kInChunk) =
        *reinterpret_cast<const uint4*>(x + Pixel::Layout::offset(in_halo, chunk));
  }
}

}  // namespace

template <class Target, class Element>
void mbconv_block(Stream<Target>& stream, const BlockShape& shape, const MbConvTiling& tiling,
                  DeviceSpan<Target, const Element> x, const DeviceBlockWeights<Target, Element>& weights,
                  DeviceSpan<Target, Element> y) {
  check_mbconv_tiling("mbconv_block", shape, tiling, sizeof(Element));
  check_block_sizes("mbconv_block", Block::mbconv, shape, x.size(), y.size(), weights.sizes());
  const MbConvArrays<Element> arrays{x.data(),
                                     weights.filter.data(),
                                     weights.expand.data(),
                                     weights.project.data(),
                                     weights.filter_bias.data(),
                                     weights.expand_bias.data(),
                                     weights.project_bias.data(),
                                     y.data()};
  const auto go = [&]<int kChannels>() {
    const auto kernel =
        shape.kernel == 3 ? mbconv_kernel<Element, kChannels, 3> : mbconv_kernel<Element, kChannels, 5>;
    launch({.name = "mbconv_block",
            .grid = dim3(static_cast<unsigned>(tiling.tiles(shape)), static_cast<unsigned>(shape.batch)),
            .block = kBlockThreads,
            .shared_bytes = mbconv_shared_bytes(shape, tiling, sizeof(Element))},
           stream, kernel, shape, tiling, arrays);
  };
  switch (shape.channels) {
    case 32:
      return go.template operator()<32>();
    case 64:
      return go.template operator()<64>();
    case 128:
      return go.template operator()<128>();
    default:
      if constexpr (sizeof(Element) == 2) go.template operator()<256>();
  }
}

#define RM_INSTANTIATE(Element)                                                               \
  template void mbconv_block(Stream<CompiledTarget>&, const BlockShape&, const MbConvTiling&, \
                             DeviceSpan<CompiledTarget, const Element>,                       \
                             const DeviceBlockWeights<CompiledTarget, Element>&,              \
                             DeviceSpan<CompiledTarget, Element>)
RM_INSTANTIATE(half);
RM_INSTANTIATE(bfloat16);
RM_INSTANTIATE(float);
#undef RM_INSTANTIATE

}  // namespace remeasure::kernels
