// SPDX-License-Identifier: Apache-2.0
//
// Unfused neighborhood attention as batched products of tiles (Hassani, Hwu, Shi, "Faster Neighborhood
// Attention", NeurIPS 2024, arXiv 2403.04690, section 3): two kernels around a softmax, with the weights of
// all windows in memory between them.
//
//   scores:  for (query i) for (key j in its window) weights[i, place(i, j)] = scale * dot(query[i, :],
//   key[j, :]); output:  for (query i) output[i, :] = sum_j weights[i, place(i, j)] * value[j, :];
//
// Optimisation: as the fused kernel's tiles, with tensor cores; but what a tile computes lies on a diagonal
// band of the weights, so scores are scattered and weights gathered element by element (the paper's point:
// that is what the fused form saves). fp32 is three products of TF32, so that "full precision" keeps its
// accuracy. Launch: (query tiles x dilation groups, batch x heads) blocks of 128 threads, a warp per 16
// queries. Per launch: 2 executed_pairs dim flops (three times that in fp32); bytes: two arrays of elements,
// and the weights once. Limits: dim 16, 32, 64; half and float; batch x heads <= 65535.
#include "kernels/attention/neighborhood_tile.h"

namespace remeasure::kernels {
namespace {

/// First weight of the query of row `row` of the tile.
RM_DEVICE long long weight_row(const NeighborhoodShape& shape, const NeighborhoodTiling& tiling,
                               const NeighborhoodBlock& block, int row) {
  const Position at = position_of(tiling, block.first, row);
  const long long matrix = blockIdx.y;
  return (matrix * static_cast<long long>(shape.tokens()) + token_of(shape, block, at)) *
         static_cast<long long>(shape.window());
}

template <class Element, int kDim>
__global__ void __launch_bounds__(kNeighborhoodThreads, neighborhood_blocks(kDim))
    scores_kernel(NeighborhoodShape shape, NeighborhoodTiling tiling, float scale,
                  const Element* __restrict__ query, const Element* __restrict__ key,
                  Element* __restrict__ weights) {
  using Tile = NeighborhoodTile<Element, kDim>;
  RM_DYNAMIC_SHARED(unsigned char, shared);
  unsigned char* queries = shared;
  unsigned char* keys = shared + Tile::kBytes;
  const NeighborhoodBlock block = neighborhood_block(shape, tiling);
  if (block.empty) return;
  const Position end{{block.in_group[0], block.in_group[1], block.in_group[2]}};
  load_tile<Element, kDim>(queries, query, shape, tiling, block, block.first, end);
  Window windows[2];
#pragma unroll
  for (int row = 0; row < 2; ++row)
    windows[row] = window_of(shape, block, position_of(tiling, block.first, query_row(2 * row)));

  for (KeyTiles tiles(block, tiling); tiles.more(); tiles.next()) {
    load_tile<Element, kDim>(keys, key, shape, tiling, block, tiles.first, block.key_end);
    copy_async_wait_all();  // for queries and keys
    __syncthreads();        // they have landed for all
    TileScores scores;
    multiply_tiles<Element, kDim>(scores, queries, keys);
#pragma unroll
    for (int row = 0; row < 2; ++row) {
      if (!windows[row].exists) continue;
      Element* to = weights + weight_row(shape, tiling, block, query_row(2 * row));
#pragma unroll
      for (int tile = 0; tile < 8; ++tile) {
#pragma unroll
        for (int r = 2 * row; r < 2 * row + 2; ++r) {
          const Position at = position_of(tiling, tiles.first, key_row(tile, r));
          if (!inside(at, windows[row].begin, windows[row].end)) continue;
          const Element weight = Element(scale * scores[tile][r]);
          to[place_in_window(shape, windows[row], at)] = weight;
        }
      }
    }
    __syncthreads();  // all are done with these keys
  }
}

/// The operands of weights * values: 16 keys (8 in fp32) by 8 dims.
template <class Element, int kDim>
struct ValueProduct {
  using Tile = NeighborhoodTile<Element, kDim>;
  static constexpr bool kSingle = sizeof(Element) == 4;
  static constexpr int kKeys = kSingle ? 8 : 16;
  /// Key and row of element e (of 2 per register in 16 bits) of register r of A: PTX ISA, fragments of
  /// m16n8k16 and m16n8k8.
  RM_DEVICE static int key_of(int r, int e) {
    const int lane = lane_id();
    return kSingle ? lane % 4 + 4 * (r / 2) : 2 * (lane % 4) + e + 8 * (r / 2);
  }
  /// B of n8 tile `tile` for the keys from `first` on.
  RM_DEVICE static void load(std::uint32_t (&b)[2], const unsigned char* values, int first, int tile) {
    const int lane = lane_id();
    if constexpr (kSingle) {
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        const int column = 8 * tile + lane / 4;
        const float* row = reinterpret_cast<const float*>(
            values + Tile::Layout::offset(first + lane % 4 + 4 * i, column / 4));
        b[i] = __float_as_uint(row[column % 4]);
      }
    } else {
      ldmatrix<true>(b, values + Tile::Layout::offset(first + lane % 16, tile));
    }
  }
};

template <class Element, int kDim>
__global__ void __launch_bounds__(kNeighborhoodThreads, neighborhood_blocks(kDim))
    output_kernel(NeighborhoodShape shape, NeighborhoodTiling tiling, const Element* __restrict__ weights,
                  const Element* __restrict__ value, Element* __restrict__ output) {
  using Product = ValueProduct<Element, kDim>;
  RM_DYNAMIC_SHARED(unsigned char, values);
  const NeighborhoodBlock block = neighborhood_block(shape, tiling);
  if (block.empty) return;
  Window windows[2];
  const Element* rows[2];
#pragma unroll
  for (int row = 0; row < 2; ++row) {
    windows[row] = window_of(shape, block, position_of(tiling, block.first, query_row(2 * row)));
    rows[row] = weights + (windows[row].exists ? weight_row(shape, tiling, block, query_row(2 * row)) : 0);
  }
  const auto weight_at = [&](int row, const Position& at) {
    if (!windows[row].exists || !inside(at, windows[row].begin, windows[row].end)) return Element(0.0f);
    const Element weight = rows[row][place_in_window(shape, windows[row], at)];
    return weight;
  };
  float sums[kDim / 8][4] = {};
  for (KeyTiles tiles(block, tiling); tiles.more(); tiles.next()) {
    load_tile<Element, kDim>(values, value, shape, tiling, block, tiles.first, block.key_end);
    copy_async_wait_all();  // for the values
    __syncthreads();        // they have landed for all
#pragma unroll 1
    for (int first = 0; first < kNeighborhoodTile; first += Product::kKeys) {
      std::uint32_t a[4];
#pragma unroll
      for (int r = 0; r < 4; ++r) {
        const Element low = weight_at(r % 2, position_of(tiling, tiles.first, first + Product::key_of(r, 0)));
        if constexpr (Product::kSingle) {
          a[r] = __float_as_uint(low);
        } else {
          const Element high =
              weight_at(r % 2, position_of(tiling, tiles.first, first + Product::key_of(r, 1)));
          a[r] = pack2(low, high);
        }
      }
#pragma unroll
      for (int tile = 0; tile < kDim / 8; ++tile) {
        std::uint32_t b[2];
        Product::load(b, values, first, tile);
        TileProduct<Element>::multiply(sums[tile], a, b);
      }
    }
    __syncthreads();  // all are done with these values
  }
#pragma unroll
  for (int row = 0; row < 2; ++row) {
    if (!windows[row].exists) continue;
    const long long token = token_of(shape, block, position_of(tiling, block.first, query_row(2 * row)));
    Element* to = output + block.offset + token * block.token_stride;
#pragma unroll
    for (int tile = 0; tile < kDim / 8; ++tile) {
      const int column = 8 * tile + 2 * (lane_id() % 4);
      const Element first = Element(sums[tile][2 * row]), second = Element(sums[tile][2 * row + 1]);
      to[column] = first;
      to[column + 1] = second;
    }
  }
}

template <class Target, class Element, class... Parameters, class... Arguments>
void launch_tiles(const char* name, Stream<Target>& stream, const NeighborhoodShape& shape,
                  std::size_t shared, void (*kernel)(NeighborhoodShape, NeighborhoodTiling, Parameters...),
                  Arguments... arguments) {
  const NeighborhoodTiling tiling = neighborhood_tiling(shape);
  launch(
      {.name = name,
       .grid = dim3(static_cast<unsigned>(tiling.blocks()), static_cast<unsigned>(shape.batch * shape.heads)),
       .block = kNeighborhoodThreads,
       .shared_bytes = shared},
      stream, kernel, shape, tiling, arguments...);
}

/// run.operator()<dim>() for the dims that there are.
template <class Run>
void for_dim(const char* what, int dim, const Run& run) {
  switch (dim) {
    case 16:
      return run.template operator()<16>();
    case 32:
      return run.template operator()<32>();
    case 64:
      return run.template operator()<64>();
    default:
      refuse_dim(what, dim, "16, 32 or 64");
  }
}

}  // namespace

template <class Target, class Element>
void neighborhood_scores(Stream<Target>& stream, const NeighborhoodShape& shape, float scale,
                         DeviceSpan<Target, const Element> query, DeviceSpan<Target, const Element> key,
                         DeviceSpan<Target, Element> weights) {
  check_neighborhood("neighborhood_scores", shape);
  check_neighborhood_sizes("neighborhood_scores", shape, {query.size(), key.size()}, weights.size(),
                           shape.weights());
  bool cut = false;
  for (const NeighborhoodAxis& axis : shape.axes) cut = cut || (axis.causal && axis.window > 1);
  if (cut) stream.fill_bytes(weights, 0);  // places that no key has
  for_dim("neighborhood_scores", shape.dim, [&]<int kDim>() {
    launch_tiles<Target, Element>("neighborhood_scores", stream, shape,
                                  2 * NeighborhoodTile<Element, kDim>::kBytes, scores_kernel<Element, kDim>,
                                  scale, query.data(), key.data(), weights.data());
  });
}

template <class Target, class Element>
void neighborhood_output(Stream<Target>& stream, const NeighborhoodShape& shape,
                         DeviceSpan<Target, const Element> weights, DeviceSpan<Target, const Element> value,
                         DeviceSpan<Target, Element> output) {
  check_neighborhood("neighborhood_output", shape);
  check_neighborhood_sizes("neighborhood_output", shape, {value.size(), output.size()}, weights.size(),
                           shape.weights());
  for_dim("neighborhood_output", shape.dim, [&]<int kDim>() {
    launch_tiles<Target, Element>("neighborhood_output", stream, shape,
                                  NeighborhoodTile<Element, kDim>::kBytes, output_kernel<Element, kDim>,
                                  weights.data(), value.data(), output.data());
  });
}

#define RM_INSTANTIATE(Element)                                                                            \
  template void neighborhood_scores(                                                                       \
      Stream<CompiledTarget>&, const NeighborhoodShape&, float, DeviceSpan<CompiledTarget, const Element>, \
      DeviceSpan<CompiledTarget, const Element>, DeviceSpan<CompiledTarget, Element>);                     \
  template void neighborhood_output(                                                                       \
      Stream<CompiledTarget>&, const NeighborhoodShape&, DeviceSpan<CompiledTarget, const Element>,        \
      DeviceSpan<CompiledTarget, const Element>, DeviceSpan<CompiledTarget, Element>)
RM_INSTANTIATE(half);
RM_INSTANTIATE(float);
#undef RM_INSTANTIATE

}  // namespace remeasure::kernels
