// SPDX-License-Identifier: Apache-2.0
//
// SCC and its data gradient as the product of a banded matrix with columns: which rows, which band, which
// weights. Device code, for .cu files.
//
// Places of the inner dimension count through two rounds of the circle, so that a band never wraps: for y
// they are channels, for dx positions in the order of windows.
#pragma once

#include "kernels/convolution/sliding_channel_tile.h"

namespace remeasure::kernels {

/// Rows are outputs in the order of their windows; the band of a row is its window.
template <class Element>
struct ForwardBand {
  SlidingChannelShape shape;
  const int* output;
  const int* start;

  RM_HOST_DEVICE int rows() const { return shape.outputs; }
  RM_HOST_DEVICE int value_rows() const { return shape.inputs; }
  RM_DEVICE int result_row(int row) const { return output[row]; }
  RM_DEVICE int begin(int row) const { return start[row]; }
  RM_DEVICE int end(int row) const { return start[row] + shape.window; }
  RM_DEVICE int value_row(int place) const { return place < shape.inputs ? place : place - shape.inputs; }
  /// [64 rows][32 places] from row `first_row` and place `first_place` on.
  RM_DEVICE void load_weights(Element* to, const Element* w, int first_row, int first_place) const {
    constexpr int kPieces = kSlidingChunk / kPiece<Element>;
    const bool whole = shape.window % kPiece<Element> == 0 && shape.step % kPiece<Element> == 0 &&
                       shape.inputs % kPiece<Element> == 0;
    for (int i = static_cast<int>(threadIdx.x); i < kSlidingRows * kPieces; i += kSlidingThreads) {
      const int row = i / kPieces, piece = i % kPieces * kPiece<Element>;
      const int of = output[first_row + row];
      const Element* weights = w + (of < 0 ? 0 : static_cast<long long>(of) * shape.window);
      copy_piece(to + row * kWeightStride<Element> + piece, weights,
                 first_place + piece - start[first_row + row], of < 0 ? 0 : shape.window, whole);
    }
  }
};

/// Rows are inputs; the band of a row are the positions of the outputs that read it. Input i is looked for in
/// the second round, where every window that holds it begins at place i + inputs - window + 1 or later.
struct DataBand {
  SlidingChannelShape shape;
  const int* output;
  const int* start;
  const int* first;

  RM_HOST_DEVICE int rows() const { return shape.inputs; }
  RM_HOST_DEVICE int value_rows() const { return shape.outputs; }
  RM_DEVICE int result_row(int row) const { return row < shape.inputs ? row : -1; }
  /// The first position whose window starts at `at` or later, of both rounds.
  RM_DEVICE int position(int at) const {
    return at < shape.inputs ? first[at] : first[at - shape.inputs] + shape.outputs;
  }
  RM_DEVICE int begin(int row) const { return position(row + 1 + shape.inputs - shape.window); }
  RM_DEVICE int end(int row) const { return position(row + 1 + shape.inputs); }
  RM_DEVICE int value_row(int place) const {
    return output[place < shape.outputs ? place : place - shape.outputs];
  }
  RM_DEVICE void load_weights(float* to, const float* w, int first_row, int first_place) const {
    for (int i = static_cast<int>(threadIdx.x); i < kSlidingRows * kSlidingChunk; i += kSlidingThreads) {
      const int row = i % kSlidingRows, k = i / kSlidingRows;  // neighbours read neighbouring weights
      const int place = first_place + k;
      const bool second = place >= shape.outputs;
      const int at = second ? place - shape.outputs : place;
      bool exists = first_row + row < shape.inputs && at < shape.outputs;
      long long weight = 0;
      if (exists) {
        const int j = first_row + row + shape.inputs - start[at] - (second ? shape.inputs : 0);
        exists = j >= 0 && j < shape.window;
        if (exists) weight = static_cast<long long>(output[at]) * shape.window + j;
      }
      copy_async<4>(to + row * kWeightStride<float> + k, w + weight, exists ? 4 : 0);
    }
  }
};

/// The band of the rows of a block, or of a warp in it.
struct BandRange {
  int begin, end;
};
template <class Band>
RM_DEVICE inline BandRange band_range(const Band& band, int first_row, int rows) {
  const int last = min(first_row + rows, band.rows()) - 1;
  if (first_row > last) return {0, 0};
  return {band.begin(first_row), band.end(last)};
}

/// sums += weights * values over one staged chunk, where it meets the warp's band.
template <class Product, int kTiles, class RowOfPlace>
RM_DEVICE inline void multiply_chunk(float (&sums)[kTiles][4], const typename Product::Element* weights,
                                     int first_place, const BandRange& mine, const RowOfPlace& row_of_place) {
  const auto* rows = weights + 16 * warp_id() * kWeightStride<typename Product::Element>;
#pragma unroll
  for (int k = 0; k < kSlidingChunk; k += Product::kStep) {
    const int place = first_place + k;
    if (place >= mine.end || place + Product::kStep <= mine.begin) continue;
    Product::multiply(sums, rows + k, [&](int i) { return row_of_place(k + i); });
  }
}

inline constexpr int kBandColumns = 64;
template <class Element>
constexpr std::size_t band_shared_bytes() {
  return 2 * sizeof(Element) *
         (kSlidingChunk * kValueStride<kBandColumns> + kSlidingRows * kWeightStride<Element>);
}

/// 64 rows by 64 columns of band * values. Blocks that share columns follow one another.
template <SlidingProduct kProduct, class Band>
__global__ void __launch_bounds__(kSlidingThreads, 4)
    banded_kernel(Band band, const typename WarpProduct<kProduct>::Element* __restrict__ values,
                  const typename WarpProduct<kProduct>::Element* __restrict__ w,
                  typename WarpProduct<kProduct>::Element* __restrict__ out) {
  using Product = WarpProduct<kProduct>;
  using Element = typename Product::Element;
  constexpr int kStride = kValueStride<kBandColumns>, kPieces = kBandColumns / kPiece<Element>;
  constexpr int kValues = kSlidingChunk * kStride, kWeights = kSlidingRows * kWeightStride<Element>;
  RM_DYNAMIC_SHARED(Element, shared);
  Element* const staged_weights = shared + 2 * kValues;
  const int row_tiles = (band.rows() + kSlidingRows - 1) / kSlidingRows;
  const int first_row = static_cast<int>(blockIdx.x) % row_tiles * kSlidingRows;
  const int first_column = static_cast<int>(blockIdx.x) / row_tiles * kBandColumns;
  const BandRange all = band_range(band, first_row, kSlidingRows);
  const BandRange mine = band_range(band, first_row + 16 * warp_id(), 16);
  const bool whole = whole_columns<Element>(band.shape);

  float sums[kBandColumns / 8][4] = {};
  two_buffers(
      (all.end - all.begin + kSlidingChunk - 1) / kSlidingChunk,
      [&](int chunk, int buffer) {
        const int first = all.begin + chunk * kSlidingChunk;
        for (int i = static_cast<int>(threadIdx.x); i < kSlidingChunk * kPieces; i += kSlidingThreads) {
          const int k = i / kPieces, piece = i % kPieces * kPiece<Element>;
          const int row = first + k < all.end ? band.value_row(first + k) : -1;
          copy_columns(shared + buffer * kValues + k * kStride + piece, values, band.shape, band.value_rows(),
                       row, first_column + piece, whole);
        }
        band.load_weights(staged_weights + buffer * kWeights, w, first_row, first);
      },
      [&](int chunk, int buffer) {
        multiply_chunk<Product>(sums, staged_weights + buffer * kWeights, all.begin + chunk * kSlidingChunk,
                                mine, [&](int k) { return shared + buffer * kValues + k * kStride; });
      });
  store_sums<Product>(
      out, band.shape, band.rows(),
      [&](int row) {
        const int at = first_row + 16 * warp_id() + row;
        return at < band.rows() ? band.result_row(at) : -1;
      },
      first_column, sums);
}

template <SlidingProduct kProduct, class Band, class Element>
void launch_band(const char* name, Stream<CompiledTarget>& stream, const Band& band, const Element* values,
                 const Element* w, Element* out) {
  const unsigned row_tiles = blocks_for(band.rows(), kSlidingRows);
  launch({.name = name,
          .grid = row_tiles * blocks_for(band.shape.columns(), kBandColumns),
          .block = kSlidingThreads,
          .shared_bytes = band_shared_bytes<Element>()},
         stream, banded_kernel<kProduct, Band>, band, values, w, out);
}

}  // namespace remeasure::kernels
