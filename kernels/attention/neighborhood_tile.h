// SPDX-License-Identifier: Apache-2.0
//
// What the tiled kernels of neighborhood attention share: coordinates of a tile, its halo of keys, loads into
// swizzled shared memory, the product of a query tile with a key tile, and the mask. Device code, for .cu
// files.
//
// 64 queries form a block of 64, 8 x 8 or 4 x 4 x 4 positions of one dilation group. The keys that any of
// them sees are the box from the first key of the first query to the last key of the last one, for windows
// move monotonically. It is walked in tiles of the same form; a warp has 16 queries and all 64 keys of a
// tile.
#pragma once

#include "kernels/attention/neighborhood.h"
#include "kernels/attention/swizzled_tile.h"
#include "kernels/device/copy.h"
#include "kernels/device/kernel.h"
#include "kernels/device/tile_product.h"

namespace remeasure::kernels {

inline constexpr int kNeighborhoodThreads = 128;
/// Blocks per multiprocessor that registers are divided among; without it the compiler aims at more, and
/// spills.
constexpr int neighborhood_blocks(int dim) {
  return dim <= 32 ? 4 : dim <= 64 ? 3 : 2;
}

/// [64 rows, kDim] of Element in shared memory. Rows of less than 64 bytes are padded to that.
template <class Element, int kDim>
struct NeighborhoodTile {
  static constexpr int kChunks = kDim * static_cast<int>(sizeof(Element)) / kChunkBytes;  // of data in a row
  using Layout = SwizzledTile<(kChunks < 4 ? 4 : kChunks)>;
  static constexpr int kBytes = kNeighborhoodTile * Layout::kRowBytes;
};

struct Position {
  int at[3];
};

/// What a block works on.
struct NeighborhoodBlock {
  int group[3];                 // residue of each axis
  int in_group[3];              // positions of that group
  Position first;               // of the query tile
  Position key_begin, key_end;  // of the halo
  long long token_stride;       // elements between two tokens
  long long offset;             // of this batch entry and head, token 0
  bool empty;                   // the group has no such tile
};

RM_DEVICE inline NeighborhoodBlock neighborhood_block(const NeighborhoodShape& shape,
                                                      const NeighborhoodTiling& tiling) {
  NeighborhoodBlock block;
  int rest = static_cast<int>(blockIdx.x);
  block.empty = false;
#pragma unroll
  for (int axis = 2; axis >= 0; --axis) {
    block.group[axis] = rest % shape.axes[axis].dilation;
    rest /= shape.axes[axis].dilation;
  }
#pragma unroll
  for (int axis = 2; axis >= 0; --axis) {
    const NeighborhoodAxis& along = shape.axes[axis];
    const int length = along.group_length(block.group[axis]);
    const int first = rest % tiling.tiles[axis] << tiling.shift[axis];
    rest /= tiling.tiles[axis];
    block.in_group[axis] = length;
    block.first.at[axis] = first;
    block.empty = block.empty || first >= length;
    const int last = min(first + (1 << tiling.shift[axis]), length) - 1;
    block.key_begin.at[axis] = along.first_key(first, length);
    block.key_end.at[axis] = along.last_key(last, length);
  }
  const int head = static_cast<int>(blockIdx.y) % shape.heads,
            entry = static_cast<int>(blockIdx.y) / shape.heads;
  block.token_stride = static_cast<long long>(shape.heads) * shape.dim;
  block.offset = static_cast<long long>(entry) * static_cast<long long>(shape.tokens()) * block.token_stride +
                 static_cast<long long>(head) * shape.dim;
  return block;
}

/// Position of row `row` (0 to 63) of a tile that begins at `first`.
RM_DEVICE inline Position position_of(const NeighborhoodTiling& tiling, const Position& first, int row) {
  const int low = row & ((1 << tiling.shift[2]) - 1);
  const int middle = row >> tiling.shift[2] & ((1 << tiling.shift[1]) - 1);
  const int high = row >> (tiling.shift[2] + tiling.shift[1]);
  return {{first.at[0] + high, first.at[1] + middle, first.at[2] + low}};
}

RM_DEVICE inline bool inside(const Position& p, const Position& begin, const Position& end) {
  return p.at[0] >= begin.at[0] && p.at[0] < end.at[0] && p.at[1] >= begin.at[1] && p.at[1] < end.at[1] &&
         p.at[2] >= begin.at[2] && p.at[2] < end.at[2];
}

/// Row-major number of a position's token.
RM_DEVICE inline long long token_of(const NeighborhoodShape& shape, const NeighborhoodBlock& block,
                                    const Position& p) {
  long long token = 0;
#pragma unroll
  for (int axis = 0; axis < 3; ++axis) {
    token = token * shape.axes[axis].length + p.at[axis] * shape.axes[axis].dilation + block.group[axis];
  }
  return token;
}

/// Begins to copy 64 rows from position `first`; rows at or beyond `end` become zeros.
template <class Element, int kDim>
RM_DEVICE inline void load_tile(unsigned char* to, const Element* from, const NeighborhoodShape& shape,
                                const NeighborhoodTiling& tiling, const NeighborhoodBlock& block,
                                const Position& first, const Position& end) {
  using Tile = NeighborhoodTile<Element, kDim>;
  for (int i = static_cast<int>(threadIdx.x); i < kNeighborhoodTile * Tile::kChunks;
       i += kNeighborhoodThreads) {
    const int row = i / Tile::kChunks, chunk = i % Tile::kChunks;
    const Position p = position_of(tiling, first, row);
    const bool exists = p.at[0] < end.at[0] && p.at[1] < end.at[1] && p.at[2] < end.at[2];
    const Element* source =
        from + block.offset + (exists ? token_of(shape, block, p) * block.token_stride : 0);
    copy_async<kChunkBytes>(to + Tile::Layout::offset(row, chunk),
                            reinterpret_cast<const unsigned char*>(source) + chunk * kChunkBytes,
                            exists ? kChunkBytes : 0);
  }
}

/// Steps through the key tiles of a halo: for (KeyTiles keys(block, tiling); keys.more(); keys.next()) ...
/// keys.first.
struct KeyTiles {
  const NeighborhoodBlock& block;
  const NeighborhoodTiling& tiling;
  Position first;

  RM_DEVICE KeyTiles(const NeighborhoodBlock& of, const NeighborhoodTiling& by)
      : block(of), tiling(by), first(of.key_begin) {}
  RM_DEVICE bool more() const { return first.at[0] < block.key_end.at[0]; }
  RM_DEVICE void next() {
#pragma unroll
    for (int axis = 2; axis >= 0; --axis) {
      first.at[axis] += 1 << tiling.shift[axis];
      if (first.at[axis] < block.key_end.at[axis] || axis == 0) return;
      first.at[axis] = block.key_begin.at[axis];
    }
  }
};

/// The window of one query.
struct Window {
  Position begin, end;
  bool exists;  // the tile's row is a query at all
};

RM_DEVICE inline Window window_of(const NeighborhoodShape& shape, const NeighborhoodBlock& block,
                                  const Position& query) {
  Window window;
  window.exists = true;
#pragma unroll
  for (int axis = 0; axis < 3; ++axis) {
    const int p = query.at[axis], length = block.in_group[axis];
    window.exists = window.exists && p < length;
    window.begin.at[axis] = shape.axes[axis].first_key(p, length);
    window.end.at[axis] = shape.axes[axis].last_key(p, length);
  }
  return window;
}

/// Place of a key in the row-major order of the query's window. A cut causal window keeps its last places.
RM_DEVICE inline int place_in_window(const NeighborhoodShape& shape, const Window& window,
                                     const Position& key) {
  int place = 0;
#pragma unroll
  for (int axis = 0; axis < 3; ++axis) {
    const int extent = shape.axes[axis].window;
    const int missing = extent - (window.end.at[axis] - window.begin.at[axis]);
    place = place * extent + missing + key.at[axis] - window.begin.at[axis];
  }
  return place;
}

/// Whether every query of the tile sees every key of the tile at `first`: then nothing is masked.
RM_DEVICE inline bool sees_all(const NeighborhoodShape& shape, const NeighborhoodTiling& tiling,
                               const NeighborhoodBlock& block, const Position& first) {
  bool all = true;
#pragma unroll
  for (int axis = 0; axis < 3; ++axis) {
    const NeighborhoodAxis& along = shape.axes[axis];
    const int extent = 1 << tiling.shift[axis], length = block.in_group[axis];
    const int begin = block.first.at[axis], last = begin + extent - 1;
    all = all && last < length && first.at[axis] >= along.first_key(last, length) &&
          first.at[axis] + extent <= along.last_key(begin, length);
  }
  return all;
}

using TileScores =
    float[8][4];  // [n8 tile of keys][register]: row lane / 4 + 8 (r / 2), key 8 tile + 2 (lane % 4) + r % 2

/// scores = queries * keys^T for the warp's 16 rows and 64 keys.
template <class Element, int kDim>
RM_DEVICE inline void multiply_tiles(TileScores& scores, const unsigned char* queries,
                                     const unsigned char* keys) {
  using Tile = NeighborhoodTile<Element, kDim>;
  const int lane = lane_id(), first_row = 16 * warp_id();
#pragma unroll
  for (auto& tile : scores) {
#pragma unroll
    for (float& sum : tile) sum = 0;
  }
#pragma unroll
  for (int chunk = 0; chunk < Tile::kChunks; chunk += 2) {
    std::uint32_t a[4];
    ldmatrix(a, queries + Tile::Layout::offset(first_row + lane % 16, chunk + lane / 16));
#pragma unroll
    for (int pair = 0; pair < 4; ++pair) {
      std::uint32_t b[4];
      ldmatrix(b, keys + Tile::Layout::offset(16 * pair + lane % 8 + 8 * (lane / 16), chunk + lane / 8 % 2));
      const std::uint32_t even[2] = {b[0], b[1]}, odd[2] = {b[2], b[3]};
      TileProduct<Element>::multiply(scores[2 * pair], a, even);
      TileProduct<Element>::multiply(scores[2 * pair + 1], a, odd);
    }
  }
}

/// Key of register r of n8 tile `tile` in this lane, as a row of the key tile.
RM_DEVICE inline int key_row(int tile, int r) {
  return 8 * tile + 2 * (lane_id() % 4) + r % 2;
}
/// Query of register r in this lane, as a row of the query tile.
RM_DEVICE inline int query_row(int r) {
  return 16 * warp_id() + lane_id() / 4 + 8 * (r / 2);
}

}  // namespace remeasure::kernels
