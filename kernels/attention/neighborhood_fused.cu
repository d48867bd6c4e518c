// SPDX-License-Identifier: Apache-2.0
//
// Fused neighborhood attention (Hassani, Hwu, Shi, "Faster Neighborhood Attention", NeurIPS 2024, arXiv
// 2403.04690, section 3).
//
//   for (query i of a dilation group) {
//     for (key j with first_key(i) <= j < last_key(i) on every axis) s[j] = scale * dot(query[i, :], key[j,
//     :]); lse[i] = ln sum exp(s); output[i, :] = sum_j exp(s[j] - lse[i]) * value[j, :];
//   }
//
// Optimisation: attention in tiles, the tile a box of the picture rather than a piece of a row, so that
// neighbouring queries share their keys. A block holds 64 queries (64, 8 x 8 or 4 x 4 x 4 positions of a
// dilation group) and walks over the box of keys that any of them sees, 64 at a time; scores are masked by
// coordinates, and not at all where every query sees every key. Weights stay in registers: the accumulators
// of two n8 tiles of scores are the A operand of the next product. The next keys are copied while values are
// multiplied, and the other way round.
//
// Launch: (query tiles x dilation groups, batch x heads) blocks of 128 threads, a warp per 16 queries.
// Per launch: 4 executed_pairs dim flops (mma), of them useful_pairs / executed_pairs useful; bytes 8
// elements of 2 bytes (query, key, value, output once each) and 4 rows of lse. Limits: dim 16, 32, 64, 128;
// half and bfloat16; batch x heads <= 65535.
#include "kernels/attention/neighborhood_tile.h"
#include "kernels/attention/online_softmax.h"

namespace remeasure::kernels {
namespace {

template <class Element>
RM_DEVICE std::uint32_t pack_weights(float first, float second) {
  return pack2(Element(first), Element(second));
}

/// sums += weights * values for the warp's 16 rows; the weights are scores' accumulators.
template <class Element, int kDim>
RM_DEVICE void multiply_values(float (&sums)[kDim / 8][4], const TileScores& weights,
                               const unsigned char* values) {
  using Tile = NeighborhoodTile<Element, kDim>;
  const int lane = lane_id();
#pragma unroll
  for (int block = 0; block < 4; ++block) {  // 16 keys each
    const std::uint32_t a[4] = {pack_weights<Element>(weights[2 * block][0], weights[2 * block][1]),
                                pack_weights<Element>(weights[2 * block][2], weights[2 * block][3]),
                                pack_weights<Element>(weights[2 * block + 1][0], weights[2 * block + 1][1]),
                                pack_weights<Element>(weights[2 * block + 1][2], weights[2 * block + 1][3])};
#pragma unroll
    for (int chunk = 0; chunk < Tile::kChunks; chunk += 2) {
      std::uint32_t b[4];
      ldmatrix<true>(b, values + Tile::Layout::offset(16 * block + lane % 16, chunk + lane / 16));
      const std::uint32_t even[2] = {b[0], b[1]}, odd[2] = {b[2], b[3]};
      TileProduct<Element>::multiply(sums[chunk], a, even);
      TileProduct<Element>::multiply(sums[chunk + 1], a, odd);
    }
  }
}

template <class Element, int kDim>
__global__ void __launch_bounds__(kNeighborhoodThreads, neighborhood_blocks(kDim))
    fused_kernel(NeighborhoodShape shape, NeighborhoodTiling tiling, float scale,
                 const Element* __restrict__ query, const Element* __restrict__ key,
                 const Element* __restrict__ value, Element* __restrict__ output,
                 float* __restrict__ log_sum_exp) {
  using Tile = NeighborhoodTile<Element, kDim>;
  RM_DYNAMIC_SHARED(unsigned char, shared);
  unsigned char* queries = shared;
  unsigned char* keys = shared + Tile::kBytes;
  unsigned char* values = shared + 2 * Tile::kBytes;
  const NeighborhoodBlock block = neighborhood_block(shape, tiling);
  if (block.empty) return;
  const Position end{{block.in_group[0], block.in_group[1], block.in_group[2]}};
  load_tile<Element, kDim>(queries, query, shape, tiling, block, block.first, end);
  load_tile<Element, kDim>(keys, key, shape, tiling, block, block.key_begin, block.key_end);
  copy_async_commit();
  load_tile<Element, kDim>(values, value, shape, tiling, block, block.key_begin, block.key_end);
  copy_async_commit();

  Window windows[2];
#pragma unroll
  for (int row = 0; row < 2; ++row) {
    windows[row] = window_of(shape, block, position_of(tiling, block.first, query_row(2 * row)));
  }
  OnlineSoftmax softmax;
  float sums[kDim / 8][4] = {};
  KeyTiles tiles(block, tiling);
  while (tiles.more()) {
    const Position first = tiles.first;
    tiles.next();
    copy_async_wait<1>();  // for queries and keys
    __syncthreads();       // they have landed for all
    TileScores scores;
    multiply_tiles<Element, kDim>(scores, queries, keys);
    __syncthreads();  // all are done with these keys
    if (tiles.more()) load_tile<Element, kDim>(keys, key, shape, tiling, block, tiles.first, block.key_end);
    copy_async_commit();
    if (!sees_all(shape, tiling, block, first)) {
#pragma unroll
      for (int tile = 0; tile < 8; ++tile) {
#pragma unroll
        for (int r = 0; r < 4; ++r) {
          const Window& window = windows[r / 2];
          const Position at = position_of(tiling, first, key_row(tile, r));
          if (!window.exists || !inside(at, window.begin, window.end)) scores[tile][r] = -INFINITY;
        }
      }
    }
    float shrink[2];
    softmax.add(scores, scale, shrink);
#pragma unroll
    for (auto& tile : sums) {
#pragma unroll
      for (int r = 0; r < 4; ++r) tile[r] *= shrink[r / 2];
    }
    copy_async_wait<1>();  // for the values
    __syncthreads();       // they have landed for all
    multiply_values<Element, kDim>(sums, scores, values);
    __syncthreads();  // all are done with these values
    if (tiles.more())
      load_tile<Element, kDim>(values, value, shape, tiling, block, tiles.first, block.key_end);
    copy_async_commit();
  }
  copy_async_wait_all();

#pragma unroll
  for (int row = 0; row < 2; ++row) {
    const float total = softmax.total(row);  // by all lanes: it is a shuffle
    if (!windows[row].exists) continue;
    const Position at = position_of(tiling, block.first, query_row(2 * row));
    const long long token = token_of(shape, block, at);
    const float inverse = 1.0f / total;
    std::uint32_t* to = reinterpret_cast<std::uint32_t*>(output + block.offset + token * block.token_stride);
#pragma unroll
    for (int tile = 0; tile < kDim / 8; ++tile) {
      to[4 * tile + lane_id() % 4] =
          pack_weights<Element>(sums[tile][2 * row] * inverse, sums[tile][2 * row + 1] * inverse);
    }
    if (log_sum_exp != nullptr && lane_id() % 4 == 0) {
      const long long entry = static_cast<int>(blockIdx.y) / shape.heads,
                      head = static_cast<int>(blockIdx.y) % shape.heads;
      log_sum_exp[(entry * static_cast<long long>(shape.tokens()) + token) * shape.heads + head] =
          softmax.log_sum_exp(row, total);
    }
  }
}

}  // namespace

template <class Target, class Element>
void fused_neighborhood_attention(Stream<Target>& stream, const NeighborhoodShape& shape, float scale,
                                  DeviceSpan<Target, const Element> query,
                                  DeviceSpan<Target, const Element> key,
                                  DeviceSpan<Target, const Element> value, DeviceSpan<Target, Element> output,
                                  DeviceSpan<Target, float> log_sum_exp) {
  check_neighborhood("fused_neighborhood_attention", shape);
  const std::size_t rows = log_sum_exp.empty() ? shape.rows() : log_sum_exp.size();
  check_neighborhood_sizes("fused_neighborhood_attention", shape,
                           {query.size(), key.size(), value.size(), output.size()}, rows, shape.rows());
  const NeighborhoodTiling tiling = neighborhood_tiling(shape);
  const auto run = [&]<int kDim>() {
    launch({.name = "fused_neighborhood_attention",
            .grid = dim3(static_cast<unsigned>(tiling.blocks()),
                         static_cast<unsigned>(shape.batch * shape.heads)),
            .block = kNeighborhoodThreads,
            .shared_bytes = 3 * NeighborhoodTile<Element, kDim>::kBytes},
           stream, fused_kernel<Element, kDim>, shape, tiling, scale, query.data(), key.data(), value.data(),
           output.data(), log_sum_exp.empty() ? nullptr : log_sum_exp.data());
  };
  switch (shape.dim) {
    case 16:
      return run.template operator()<16>();
    case 32:
      return run.template operator()<32>();
    case 64:
      return run.template operator()<64>();
    case 128:
      return run.template operator()<128>();
    default:
      refuse_dim("fused_neighborhood_attention", shape.dim, "16, 32, 64 or 128");
  }
}

#define RM_INSTANTIATE(Element)                                                                            \
  template void fused_neighborhood_attention(                                                              \
      Stream<CompiledTarget>&, const NeighborhoodShape&, float, DeviceSpan<CompiledTarget, const Element>, \
      DeviceSpan<CompiledTarget, const Element>, DeviceSpan<CompiledTarget, const Element>,                \
      DeviceSpan<CompiledTarget, Element>, DeviceSpan<CompiledTarget, float>)
RM_INSTANTIATE(half);
RM_INSTANTIATE(bfloat16);
#undef RM_INSTANTIATE

}  // namespace remeasure::kernels
