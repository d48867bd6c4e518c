// SPDX-License-Identifier: Apache-2.0
//
// The ConvFirst block in one launch (Lavin, "On the Efficiency of Convolutional Neural Networks", arXiv
// 2404.03617, block fusion).
//
//   for (pixel p) {
//     for (channel c) z[c] = b0[c] + sum over taps t, d < 8 of filter[c, t, d] * x[p + t, 8 (c / 8) + d];
//     for (hidden j) h[j] = gelu(b1[j] + sum over c of W1[j, c] * z[c]);
//     for (channel c) y[p, c] = x[p, c] + b2[c] + sum over j of W2[c, j] * h[j];
//   }
//
// Optimisation: nothing but x, the weights and y touches device memory. A block of threads walks down a band
// of rows. Input rows come by cp.async into a ring that holds a step's rows, one above, one below, and the
// next step's; x is read from there for the residual too. The convolution is m16n8k8: a group of eight
// channels is its whole inner dimension, where m16n8k16 would multiply half of zeros; A fragments are
// gathered by ldmatrix straight from the ring, filters stay in registers over all pixels of a group. Hidden
// channels pass in chunks: gelu(W1 z) to shared memory, then added to accumulators by W2. W1's next chunk is
// copied while W2's is multiplied, and the other way round.
//
// Launch: (bands x column tiles, batch) blocks of 256 threads. Per launch: 2 (72 C + 2 e C^2) flops a pixel,
// in whole tiles of 16 pixels (three times that in fp32); bytes: x, y and the weights; x is read from L2 or
// memory (Th + 2) / Th times. Limits: channels 32, 64, 128, 256, 512 (fp32: to 128), e C a multiple of 64.
// Weights stream from L2 once for 64 or 128 pixels, that is 64 or 128 flops a byte: near an H100's L2
// bandwidth, so large C wants clusters with multicast, which aren't here. C = 512 has 128 accumulators a
// thread and one block a multiprocessor.
#include "kernels/convolution/convfirst_block.h"

#include <type_traits>

#include "kernels/convolution/block_tile.h"

namespace remeasure::kernels {
namespace {

/// Eight input channels by eight outputs: m16n8k8. kChunks of 16 bytes hold a group.
template <class Element>
struct GroupProduct {
  static constexpr int kA = 2, kB = 1, kChunks = 1;
  RM_DEVICE static void load_filter(std::uint32_t (&b)[1], const Element* inputs) {
    b[0] = reinterpret_cast<const std::uint32_t*>(inputs)[lane_id() % 4];
  }
  RM_DEVICE static void multiply(float (&sum)[4], const std::uint32_t (&a)[2], const std::uint32_t (&b)[1]) {
    if constexpr (std::is_same_v<Element, half>) {
      Mma16x8x8F16::multiply(sum, a, b, sum);
    } else {
      Mma16x8x8Bf16::multiply(sum, a, b, sum);
    }
  }
};
template <>
struct GroupProduct<float> {
  static constexpr int kA = 4, kB = 2, kChunks = 2;
  RM_DEVICE static void load_filter(std::uint32_t (&b)[2], const float* inputs) {
    b[0] = __float_as_uint(inputs[lane_id() % 4]);
    b[1] = __float_as_uint(inputs[lane_id() % 4 + 4]);
  }
  RM_DEVICE static void multiply(float (&sum)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2]) {
    TileProduct<float>::multiply(sum, a, b);
  }
};

/// Input rows in shared memory: row r of the picture in slot (r - first) % slots, `columns` pixels each.
struct Ring {
  unsigned char* pixels;
  int slots, columns;
  int of_step;  // slot of the row above the step's first
  RM_DEVICE int pixel(int row_below, int column) const {
    int slot = of_step + row_below;
    if (slot >= slots) slot -= slots;
    return slot * columns + column;
  }
};

/// z = conv(x) + b0 for `pixels` pixels in rows of `columns`, and for those that fill the last tile of 16.
template <class Element, int kChannels, class Tile>
RM_DEVICE void convolve(unsigned char* z, const Ring& ring, int pixels, int columns,
                        const Element* __restrict__ filter, const float* __restrict__ bias) {
  using Product = GroupProduct<Element>;
  constexpr int kGroups = kChannels / kGroupWidth, kTaps = 9;
  constexpr int kParts = kGroups >= kBlockWarps ? 1 : kBlockWarps / kGroups;
  const int lane = lane_id();
  for (int item = warp_id(); item < kGroups * kParts; item += kBlockWarps) {
    const int group = item % kGroups, part = item / kGroups;
    std::uint32_t weights[kTaps][Product::kB];
#pragma unroll
    for (int tap = 0; tap < kTaps; ++tap) {
      const int output = group * kGroupWidth + lane / 4;
      Product::load_filter(weights[tap], filter + (output * kTaps + tap) * kGroupWidth);
    }
    const int channel = group * kGroupWidth + 2 * (lane % 4);
    const float first_bias = bias[channel], second_bias = bias[channel + 1];
    for (int first = 16 * part; first < pixels; first += 16 * kParts) {
      const int p = min(first + lane % 16, pixels - 1);
      const int row = p / columns, column = p - row * columns;
      const int chunk = group * Product::kChunks + (Product::kChunks == 2 ? lane / 16 : 0);
      float sums[4] = {};
#pragma unroll
      for (int u = 0; u < 3; ++u) {
#pragma unroll
        for (int v = 0; v < 3; ++v) {
          std::uint32_t a[Product::kA];
          ldmatrix(a, ring.pixels + Tile::Layout::offset(ring.pixel(row + u, column + v), chunk));
          Product::multiply(sums, a, weights[3 * u + v]);
        }
      }
      const int to = first + lane / 4;
      put_pair(at<Tile, Element>(z, to, channel), sums[0] + first_bias, sums[1] + second_bias);
      put_pair(at<Tile, Element>(z, to + 8, channel), sums[2] + first_bias, sums[3] + second_bias);
    }
  }
}

template <class Element>
struct ConvFirstArrays {
  const Element *x, *filter, *expand, *project;
  const float *filter_bias, *expand_bias, *project_bias;
  Element* y;
};

template <class Element, int kChannels, bool kFused>
__global__ void __launch_bounds__(kBlockThreads, sizeof(Element) == 2 && kChannels <= 128 ? 2 : 1)
    convfirst_kernel(BlockShape shape, ConvFirstTiling tiling, ConvFirstArrays<Element> arrays) {
  constexpr int kPixels = convfirst_pixels(kChannels, sizeof(Element));
  constexpr int kChunk = convfirst_chunk(kChannels, sizeof(Element));
  using Pixel = BlockTile<Element, kChannels>;   // input rows, z, W1
  using Hidden = BlockTile<Element, kChunk>;     // h, W2
  constexpr int kHiddenRowWarps = kPixels / 16;  // 16 pixels a warp, and the chunk among the others
  constexpr int kHiddenTiles = kChunk / 8 / (kBlockWarps / kHiddenRowWarps);
  constexpr int kRowWarps = kPixels / 32;  // 32 pixels a warp, and the channels among the others
  constexpr int kTiles = kChannels / 8 / (kBlockWarps / kRowWarps);

  RM_DYNAMIC_SHARED(unsigned char, shared);
  Ring ring{shared, convfirst_ring_rows(tiling), tiling.columns + 2, 0};
  unsigned char* z = shared + Pixel::bytes(ring.slots * ring.columns);
  unsigned char* h = z + Pixel::bytes(kPixels);
  unsigned char* expand = h + Hidden::bytes(kPixels);
  unsigned char* project = expand + Pixel::bytes(kChunk);

  const int column_tiles = (shape.width + tiling.columns - 1) / tiling.columns;
  const int first_column = static_cast<int>(blockIdx.x) % column_tiles * tiling.columns;
  const int columns = min(tiling.columns, shape.width - first_column);
  const int band_begin = static_cast<int>(blockIdx.x) / column_tiles * tiling.rows * tiling.band_steps;
  const int band_end = min(band_begin + tiling.rows * tiling.band_steps, shape.height);
  const long long picture = static_cast<long long>(blockIdx.y) * shape.height;  // its first row
  const int hidden = shape.expansion * kChannels, chunks = hidden / kChunk;
  const int lane = lane_id(), warp = warp_id();

  const auto load_rows = [&](int first, int rows) {
    for (int i = static_cast<int>(threadIdx.x); i < rows * ring.columns * Pixel::kChunks;
         i += kBlockThreads) {
      const int chunk = i % Pixel::kChunks, pixel = i / Pixel::kChunks;
      const int below = pixel / ring.columns, column = pixel - below * ring.columns;
      const int y = first + below, x = first_column + column - 1;
      const bool exists = y >= 0 && y < shape.height && x >= 0 && x < shape.width;
      const int slot = (y - band_begin + 1) % ring.slots;
      const Element* from =
          arrays.x + (exists ? ((picture + y) * shape.width + x) * kChannels + chunk * Pixel::kInChunk : 0);
      copy_async<kChunkBytes>(ring.pixels + Pixel::Layout::offset(slot * ring.columns + column, chunk), from,
                              exists ? kChunkBytes : 0);
    }
  };
  load_rows(band_begin - 1, min(tiling.rows, band_end - band_begin) + 2);
  if constexpr (kFused) copy_matrix<Pixel, kChunk>(expand, arrays.expand, kChannels);

  for (int first = band_begin; first < band_end; first += tiling.rows) {
    const int rows = min(tiling.rows, band_end - first), pixels = rows * columns;
    const int next = first + tiling.rows;  // of the next step
    const auto load_next = [&] {
      if (next < band_end) load_rows(next + 1, min(tiling.rows, band_end - next));
      copy_async_commit();
    };
    ring.of_step = (first - band_begin) % ring.slots;
    copy_async_wait_all();  // for the step's rows
    __syncthreads();        // they have landed for all, and all are done with the step before
    if constexpr (!kFused) load_next();
    convolve<Element, kChannels, Pixel>(z, ring, pixels, columns, arrays.filter, arrays.filter_bias);

    if constexpr (kFused) {
      float sums[2][kTiles][4] = {};
      const int row = 32 * (warp % kRowWarps), column = 8 * kTiles * (warp / kRowWarps);
      for (int chunk = 0; chunk < chunks; ++chunk) {
        copy_async_wait_all();  // for W1's chunk
        __syncthreads();        // it has landed for all; z is there; all are done with W2 and h
        copy_matrix<Hidden, kChannels>(project, arrays.project + chunk * kChunk, hidden);
        copy_async_commit();
        if (chunk == 0)
          load_next();
        else
          copy_async_commit();
        const int hidden_row = 16 * (warp % kHiddenRowWarps);
        const int hidden_column = 8 * kHiddenTiles * (warp / kHiddenRowWarps);
        float inner[1][kHiddenTiles][4] = {};
        multiply_tiles<Element, Pixel>(inner, z, hidden_row, pixels, expand, hidden_column);
        if (hidden_row < pixels) {
#pragma unroll
          for (int n = 0; n < kHiddenTiles; ++n) {
            const int j = hidden_column + 8 * n + 2 * (lane % 4), to = hidden_row + lane / 4;
            const float* bias = arrays.expand_bias + chunk * kChunk + j;
            const float first_bias = bias[0], second_bias = bias[1];
            put_pair(at<Hidden, Element>(h, to, j), fast_gelu(inner[0][n][0] + first_bias),
                     fast_gelu(inner[0][n][1] + second_bias));
            put_pair(at<Hidden, Element>(h, to + 8, j), fast_gelu(inner[0][n][2] + first_bias),
                     fast_gelu(inner[0][n][3] + second_bias));
          }
        }
        copy_async_wait<1>();  // for W2's chunk; the next rows may take longer
        __syncthreads();       // it has landed for all; h is there; all are done with W1
        if (chunk + 1 < chunks || next < band_end) {
          const int after = chunk + 1 < chunks ? chunk + 1 : 0;
          copy_matrix<Pixel, kChunk>(expand, arrays.expand + after * kChunk * kChannels, kChannels);
        }
        copy_async_commit();
        multiply_tiles<Element, Hidden>(sums, h, row, pixels, project, column);
      }
      // z has been read: the result passes through it, so that stores are whole lines.
#pragma unroll
      for (int m = 0; m < 2; ++m) {
#pragma unroll
        for (int r = 0; r < 4; r += 2) {
          const int p = row + 16 * m + lane / 4 + 4 * r;
          if (p >= pixels) continue;
          const int below = p / columns;
          const int in_ring = ring.pixel(below + 1, p - below * columns + 1);
#pragma unroll
          for (int n = 0; n < kTiles; ++n) {
            const int c = column + 8 * n + 2 * (lane % 4);
            const float2 x = get_pair<Element>(at<Pixel, Element>(ring.pixels, in_ring, c));
            put_pair(at<Pixel, Element>(z, p, c), sums[m][n][r] + arrays.project_bias[c] + x.x,
                     sums[m][n][r + 1] + arrays.project_bias[c + 1] + x.y);
          }
        }
      }
    }
    __syncthreads();  // the step's result is whole
    store_rows<Pixel>(z, pixels, [&](int p) {
      const int below = p / columns;
      return arrays.y +
             ((picture + first + below) * shape.width + first_column + p - below * columns) * kChannels;
    });
  }
}

template <class Target, class Element, bool kFused>
void run(const char* name, Stream<Target>& stream, const BlockShape& shape, const ConvFirstTiling& tiling,
         DeviceSpan<Target, const Element> x, const DeviceBlockWeights<Target, Element>& weights,
         DeviceSpan<Target, Element> y) {
  check_convfirst_tiling(name, shape, tiling, sizeof(Element));
  BlockSizes sizes = weights.sizes();
  if (!kFused) {  // the first layer alone
    const BlockSizes all = block_sizes(Block::convfirst, shape);
    sizes = {sizes.filter, sizes.filter_bias, all.dense, all.expand_bias, all.project_bias, 0};
  }
  check_block_sizes(name, Block::convfirst, shape, x.size(), y.size(), sizes);
  const ConvFirstArrays<Element> arrays{x.data(),
                                        weights.filter.data(),
                                        weights.expand.data(),
                                        weights.project.data(),
                                        weights.filter_bias.data(),
                                        weights.expand_bias.data(),
                                        weights.project_bias.data(),
                                        y.data()};
  const auto go = [&]<int kChannels>() {
    launch({.name = name,
            .grid = dim3(static_cast<unsigned>(tiling.bands(shape) * tiling.column_tiles(shape)),
                         static_cast<unsigned>(shape.batch)),
            .block = kBlockThreads,
            .shared_bytes = convfirst_shared_bytes(shape, tiling, sizeof(Element))},
           stream, convfirst_kernel<Element, kChannels, kFused>, shape, tiling, arrays);
  };
  switch (shape.channels) {
    case 32:
      return go.template operator()<32>();
    case 64:
      return go.template operator()<64>();
    case 128:
      return go.template operator()<128>();
    default:
      if constexpr (sizeof(Element) == 2) {
        if (shape.channels == 256)
          go.template operator()<256>();
        else
          go.template operator()<512>();
      }
  }
}

}  // namespace

template <class Target, class Element>
void convfirst_block(Stream<Target>& stream, const BlockShape& shape, const ConvFirstTiling& tiling,
                     DeviceSpan<Target, const Element> x, const DeviceBlockWeights<Target, Element>& weights,
                     DeviceSpan<Target, Element> y) {
  run<Target, Element, true>("convfirst_block", stream, shape, tiling, x, weights, y);
}

template <class Target, class Element>
void grouped_convolution(Stream<Target>& stream, const BlockShape& shape, const ConvFirstTiling& tiling,
                         DeviceSpan<Target, const Element> x,
                         const DeviceBlockWeights<Target, Element>& weights, DeviceSpan<Target, Element> y) {
  run<Target, Element, false>("grouped_convolution", stream, shape, tiling, x, weights, y);
}

#define RM_INSTANTIATE(Element)                                                                         \
  template void convfirst_block(Stream<CompiledTarget>&, const BlockShape&, const ConvFirstTiling&,     \
                                DeviceSpan<CompiledTarget, const Element>,                              \
                                const DeviceBlockWeights<CompiledTarget, Element>&,                     \
                                DeviceSpan<CompiledTarget, Element>);                                   \
  template void grouped_convolution(Stream<CompiledTarget>&, const BlockShape&, const ConvFirstTiling&, \
                                    DeviceSpan<CompiledTarget, const Element>,                          \
                                    const DeviceBlockWeights<CompiledTarget, Element>&,                 \
                                    DeviceSpan<CompiledTarget, Element>)
RM_INSTANTIATE(half);
RM_INSTANTIATE(bfloat16);
RM_INSTANTIATE(float);
#undef RM_INSTANTIATE

}  // namespace remeasure::kernels
