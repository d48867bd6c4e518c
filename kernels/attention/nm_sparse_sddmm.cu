// SPDX-License-Identifier: Apache-2.0
//
// Kernel 1 of DFSS (Chen et al., "Dynamic N:M Fine-Grained Structured Sparse Attention Mechanism", PPoPP
// 2023, section 4): the product query * key^T whose result is pruned before it is written.
//
//   for (i = 0; i < tokens; ++i)
//     for (g = 0; g < tokens; g += 4) {
//       for (t = 0; t < 4; ++t) s[t] = scale * dot(query[i, :], key[g + t, :]) + bias[g + t];
//       keep two of s[0..3]: the largest two (2:4) or the larger of each pair (1:2); ties keep the earlier;
//       nonzeros[i, g / 2 ..] = what is kept;  metadata[i, g / 4] = where it was;
//     }
//
// Optimisation: (a) a thread of an m16n8 accumulator owns columns 2j and 2j+1. Keys are laid down in shared
// memory in the order 0 1 4 5 8 9 12 13 | 2 3 6 7 10 11 14 15, so that two neighbouring n8 tiles give the
// thread keys 4j .. 4j+3, a whole group, which is pruned in registers by four comparisons. (b) Nonzeros are
// exchanged within four lanes and leave as 16-byte stores, the metadata as one 4-byte word per thread and 32
// x 32 scores, in the order in which mma.sp reads it; the paper passes both through shared memory (and needs
// barriers there). (c) The query tile stays in shared memory while the block walks over key tiles, whose
// slabs of 128 bytes are double-buffered by cp.async in a swizzle without bank conflicts. Launch: 256 threads
// per 128 queries x (128 keys x tiles per block); warps 4 x 2, each 32 queries x 64 keys. Per launch (T
// tokens, M matrices, e = sizeof(Element)): 2 M T^2 dim flops; bytes M T^2 (e/2 + e/16) written, of which the
// dense product would write e; plus queries once and keys once per 128 queries, mostly from L2.
// Limits: tokens a multiple of 32; dim 32, 64 or 128; float only as 1:2 (TF32).
#include <stdexcept>
#include <string>

#include "kernels/attention/nm_sparse.h"
#include "kernels/attention/nm_sparse_tile.h"

namespace remeasure::kernels {
namespace {

constexpr int kWarpRows = 32;
constexpr int kWarpKeys = 64;

template <class Element_, int kDim, int kWarpsAlongRows, int kWarpsAlongKeys>
struct SddmmTile {
  using Element = Element_;
  static constexpr int kThreads = 32 * kWarpsAlongRows * kWarpsAlongKeys;
  static constexpr int kMinBlocks = kThreads == 256 ? 2 : 1;
  static constexpr int kWarpColumns = kWarpsAlongKeys;
  static constexpr int kRows = kWarpRows * kWarpsAlongRows;
  static constexpr int kKeys = kWarpKeys * kWarpsAlongKeys;
  static constexpr int kChunks = kDim * static_cast<int>(sizeof(Element)) / kChunkBytes;  // of a row
  static constexpr int kSlabChunks = kChunks < 8 ? kChunks : 8;
  static constexpr int kSlabs = kChunks / kSlabChunks;
  using Slab = SwizzledTile<kSlabChunks>;
  static constexpr int kQuerySlabBytes = kRows * Slab::kRowBytes;
  static constexpr int kStageBytes = kKeys * Slab::kRowBytes;
  static constexpr std::size_t kSharedBytes =
      static_cast<std::size_t>(kSlabs * kQuerySlabBytes + 2 * kStageBytes);
};

/// The key of a block of 16 that lies in row `row` of shared memory.
RM_DEVICE constexpr int interleaved_key(int row) {
  const int in_block = row % 16;
  return row - in_block + 4 * (in_block % 8 / 2) + 2 * (in_block / 8) + in_block % 2;
}

struct Kept {
  float first, second;
  std::uint32_t nibble;
};

/// Two of four, or one of each pair. Comparisons rather than the pair sums of the paper's code: a rounded sum
/// can tie where the scores don't, and then a smaller score would stay.
RM_DEVICE Kept keep_two(const float (&s)[4], bool one_of_each_pair) {
  const bool odd_low = s[1] > s[0];
  const bool odd_high = s[3] > s[2];
  const float larger_low = odd_low ? s[1] : s[0];
  const float larger_high = odd_high ? s[3] : s[2];
  const bool both_low = !one_of_each_pair && (odd_low ? s[0] : s[1]) >= larger_high;
  const bool both_high = !one_of_each_pair && (odd_high ? s[2] : s[3]) > larger_low;
  const std::uint32_t mixed = 8u + (odd_low ? 1u : 0u) + (odd_high ? 4u : 0u);
  return {both_low    ? s[0]
          : both_high ? s[2]
                      : larger_low,
          both_low    ? s[1]
          : both_high ? s[3]
                      : larger_high,
          both_low    ? 4u
          : both_high ? 14u
                      : mixed};
}

/// A tile of rows [first, first + rows) of `from`, one slab of each; rows beyond the end repeat the last, and
/// aren't used.
template <class Tile, bool kInterleaved>
RM_DEVICE void load_slab(unsigned char* to, const unsigned char* from, int first, int rows, int tokens,
                         int slab) {
  for (int i = static_cast<int>(threadIdx.x); i < rows * Tile::kSlabChunks; i += Tile::kThreads) {
    const int row = i / Tile::kSlabChunks;
    const int chunk = i % Tile::kSlabChunks;
    const int token = min(first + (kInterleaved ? interleaved_key(row) : row), tokens - 1);
    copy_async<16>(to + Tile::Slab::offset(row, chunk),
                   from + (static_cast<long long>(token) * Tile::kChunks + slab * Tile::kSlabChunks + chunk) *
                              kChunkBytes);
  }
}

using Accumulators = float[2][8][4];  // [m16 tile][n8 tile][register]

/// sums += query slab * key slab^T, for the 32 x 64 scores of a warp.
template <class Tile>
RM_DEVICE void multiply_slab(Accumulators& sums, const unsigned char* queries, const unsigned char* keys) {
  using Element = typename Tile::Element;
  using Mma = typename NmInstructions<Element>::Dense;
  const int lane = lane_id();
#pragma unroll 2  // not fully: hoisted addresses would cost registers beyond the 128 of two blocks per
                  // multiprocessor
  for (int chunk = 0; chunk < Tile::kSlabChunks; chunk += 2) {
    std::uint32_t a[2][4];
#pragma unroll
    for (int m = 0; m < 2; ++m) {
      ldmatrix(a[m], queries + Tile::Slab::offset(16 * m + lane % 16, chunk + lane / 16));
      round_operand<Element>(a[m]);
    }
#pragma unroll
    for (int block = 0; block < kWarpKeys / 16; ++block) {
      std::uint32_t b[4];  // two registers of each of two n8 tiles
      ldmatrix(b, keys + Tile::Slab::offset(16 * block + lane % 8 + 8 * (lane / 16), chunk + lane / 8 % 2));
      round_operand<Element>(b);
      const std::uint32_t even[2] = {b[0], b[1]};
      const std::uint32_t odd[2] = {b[2], b[3]};
#pragma unroll
      for (int m = 0; m < 2; ++m) {
        Mma::multiply(sums[m][2 * block], a[m], even, sums[m][2 * block]);
        Mma::multiply(sums[m][2 * block + 1], a[m], odd, sums[m][2 * block + 1]);
      }
    }
  }
}

/// Where a warp's 32 x 64 scores go.
template <class Element>
struct WarpOutput {
  Element* nonzeros;        // of this matrix, [tokens, tokens / 2]
  std::uint32_t* metadata;  // of this matrix, [tokens / (2 * keys per word), tokens]
  const float* bias;        // of this batch entry, or null
  int tokens, row, key;     // the tile's first query and key
};

/// The four scores of keys 16 * block + 4 * (lane % 4) + {0..3} in row lane / 4 + 8 * half of tile m.
template <class Element>
RM_DEVICE void group_scores(float (&s)[4], const Accumulators& sums, int m, int half, int block, float scale,
                            const float4& bias) {
  s[0] = __fmaf_rn(sums[m][2 * block][2 * half], scale, bias.x);
  s[1] = __fmaf_rn(sums[m][2 * block][2 * half + 1], scale, bias.y);
  s[2] = __fmaf_rn(sums[m][2 * block + 1][2 * half], scale, bias.z);
  s[3] = __fmaf_rn(sums[m][2 * block + 1][2 * half + 1], scale, bias.w);
}

template <class Element>
RM_DEVICE float4 bias_of(const WarpOutput<Element>& out, int block) {
  const int key = out.key + 16 * block + 4 * (lane_id() % 4);
  if (out.bias == nullptr || key >= out.tokens) return make_float4(0, 0, 0, 0);
  return *reinterpret_cast<const float4*>(out.bias + key);
}

RM_DEVICE void prune_and_store(const WarpOutput<bfloat16>& out, const Accumulators& sums, float scale,
                               bool one_of_each_pair) {
  const int group_row = lane_id() / 4, in_four = lane_id() % 4;
  std::uint32_t kept[2][2][4];      // [m][half][block]: two nonzeros
  std::uint32_t places[2][4] = {};  // [32 keys][2 m + block % 2]: nibbles of two rows, this lane's place only
#pragma unroll
  for (int block = 0; block < 4; ++block) {
    const float4 bias = bias_of(out, block);
#pragma unroll
    for (int m = 0; m < 2; ++m) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        float s[4];
        group_scores<bfloat16>(s, sums, m, half, block, scale, bias);
        const Kept two = keep_two(s, one_of_each_pair);
        kept[m][half][block] = pack2_bfloat16(two.first, two.second);
        places[block / 2][2 * m + block % 2] |= two.nibble << (4 * in_four + 16 * half);
      }
    }
  }
#pragma unroll
  for (int m = 0; m < 2; ++m) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      std::uint32_t(&words)[4] = kept[m][half];
      transpose_in_four(words);  // now the eight nonzeros of block `in_four`
      const int key = out.key + 16 * in_four;
      if (key < out.tokens) {
        const long long row = out.row + 16 * m + 8 * half + group_row;
        *reinterpret_cast<uint4*>(out.nonzeros + (row * out.tokens + key) / 2) =
            make_uint4(words[0], words[1], words[2], words[3]);
      }
    }
  }
#pragma unroll
  for (int pair = 0; pair < 2; ++pair) {
    const std::uint32_t word = combine_in_four(places[pair]);
    if (out.key + 32 * pair < out.tokens) {
      out.metadata[static_cast<long long>(out.key / 32 + pair) * out.tokens + out.row + lane_id()] = word;
    }
  }
}

/// TF32: one of each pair; a nibble per pair, 4 for the first and 14 for the second.
RM_DEVICE void prune_and_store(const WarpOutput<float>& out, const Accumulators& sums, float scale, bool) {
  const int group_row = lane_id() / 4, in_four = lane_id() % 4;
#pragma unroll
  for (int block = 0; block < 4; ++block) {
    if (out.key + 16 * block >= out.tokens) break;  // the same for the whole warp
    const float4 bias = bias_of(out, block);
    std::uint32_t places[4] = {};  // [2 m + word]: this lane's two nibbles lie in word in_four / 2
#pragma unroll
    for (int m = 0; m < 2; ++m) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        float s[4];
        group_scores<float>(s, sums, m, half, block, scale, bias);
        const bool odd_low = s[1] > s[0], odd_high = s[3] > s[2];
        const std::uint32_t nibbles = (odd_low ? 14u : 4u) | (odd_high ? 14u : 4u) << 4;
        places[2 * m + 0] |= in_four / 2 == 0 ? nibbles << (8 * (in_four % 2) + 16 * half) : 0u;
        places[2 * m + 1] |= in_four / 2 == 1 ? nibbles << (8 * (in_four % 2) + 16 * half) : 0u;
        const long long row = out.row + 16 * m + 8 * half + group_row;
        *reinterpret_cast<float2*>(out.nonzeros +
                                   (row * out.tokens + out.key + 16 * block + 4 * in_four) / 2) =
            make_float2(odd_low ? s[1] : s[0], odd_high ? s[3] : s[2]);
      }
    }
    out.metadata[static_cast<long long>(out.key / 16 + block) * out.tokens + out.row + lane_id()] =
        combine_in_four(places);
  }
}

template <class Tile>
__global__ void __launch_bounds__(Tile::kThreads, Tile::kMinBlocks)
    sddmm_nm_kernel(int tokens, int heads, int key_tiles, int tiles_per_block, float scale,
                    bool one_of_each_pair, const typename Tile::Element* __restrict__ query,
                    const typename Tile::Element* __restrict__ key, const float* __restrict__ key_bias,
                    typename Tile::Element* __restrict__ nonzeros, std::uint32_t* __restrict__ metadata) {
  using Element = typename Tile::Element;
  RM_DYNAMIC_SHARED(unsigned char, shared);
  unsigned char* const queries = shared;
  unsigned char* const stages = shared + Tile::kSlabs * Tile::kQuerySlabBytes;

  const int row_tiles = (tokens + Tile::kRows - 1) / Tile::kRows;
  const int splits = (key_tiles + tiles_per_block - 1) / tiles_per_block;
  const int block = static_cast<int>(blockIdx.x);
  const int matrix = block / (row_tiles * splits);
  const int first_row = block / splits % row_tiles * Tile::kRows;
  const int first_tile = block % splits * tiles_per_block;
  const int end_tile = min(first_tile + tiles_per_block, key_tiles);

  const long long row_bytes = static_cast<long long>(Tile::kChunks) * kChunkBytes;
  const auto* matrix_query = reinterpret_cast<const unsigned char*>(query) + matrix * row_bytes * tokens;
  const auto* matrix_key = reinterpret_cast<const unsigned char*>(key) + matrix * row_bytes * tokens;
  const int warp_row = warp_id() / Tile::kWarpColumns * kWarpRows;
  const int warp_key = warp_id() % Tile::kWarpColumns * kWarpKeys;
  const long long scores = static_cast<long long>(tokens) * tokens;
  WarpOutput<Element> out{
      nonzeros + matrix * scores / 2,
      metadata + matrix * scores / (2 * kKeysPerWord<Element>),
      key_bias == nullptr ? nullptr : key_bias + static_cast<long long>(matrix / heads) * tokens,
      tokens,
      first_row + warp_row,
      0};

  for (int slab = 0; slab < Tile::kSlabs; ++slab) {
    load_slab<Tile, false>(queries + slab * Tile::kQuerySlabBytes, matrix_query, first_row, Tile::kRows,
                           tokens, slab);
  }
  load_slab<Tile, true>(stages, matrix_key, first_tile * Tile::kKeys, Tile::kKeys, tokens, 0);
  copy_async_commit();

  int stage = 0;
  for (int tile = first_tile; tile < end_tile; ++tile) {
    Accumulators sums = {};
#pragma unroll 1
    for (int slab = 0; slab < Tile::kSlabs; ++slab) {
      copy_async_wait<0>();
      __syncthreads();  // this stage has landed for all, and all are done with the other one
      const bool last_slab = slab + 1 == Tile::kSlabs;
      const int next_tile = tile + (last_slab ? 1 : 0);
      if (next_tile < end_tile) {
        load_slab<Tile, true>(stages + (stage ^ 1) * Tile::kStageBytes, matrix_key, next_tile * Tile::kKeys,
                              Tile::kKeys, tokens, last_slab ? 0 : slab + 1);
      }
      copy_async_commit();
      multiply_slab<Tile>(sums, queries + slab * Tile::kQuerySlabBytes + warp_row * Tile::Slab::kRowBytes,
                          stages + stage * Tile::kStageBytes + warp_key * Tile::Slab::kRowBytes);
      stage ^= 1;
    }
    out.key = tile * Tile::kKeys + warp_key;
    if (out.row < tokens && out.key < tokens) prune_and_store(out, sums, scale, one_of_each_pair);
  }
}

template <class Target, class Element>
struct SddmmCall {
  Stream<Target>& stream;
  const AttentionShape& shape;
  NmPattern pattern;
  float scale;
  const Element *query, *key;
  const float* key_bias;
  Element* nonzeros;
  std::uint32_t* metadata;
  bool large;

  template <int kDim, int kWarpsAlongRows, int kWarpsAlongKeys>
  void with_tile() const {
    using Tile = SddmmTile<Element, kDim, kWarpsAlongRows, kWarpsAlongKeys>;
    const int row_tiles = static_cast<int>(blocks_for(shape.tokens, Tile::kRows));
    const int key_tiles = static_cast<int>(blocks_for(shape.tokens, Tile::kKeys));
    int tiles_per_block = key_tiles;
    if (large) {  // long walks save loads of queries; enough blocks keep all multiprocessors busy to the end
      const long long tiles = static_cast<long long>(shape.matrices()) * row_tiles * key_tiles;
      const long long blocks_wanted = 16ll * stream.device().properties().multiprocessors;
      tiles_per_block = static_cast<int>(clamp<long long>(tiles / blocks_wanted, 1, key_tiles));
    }
    const auto splits = blocks_for(key_tiles, tiles_per_block);
    launch({.name = "sddmm_nm",
            .grid = static_cast<unsigned>(shape.matrices() * row_tiles) * splits,
            .block = Tile::kThreads,
            .shared_bytes = Tile::kSharedBytes},
           stream, sddmm_nm_kernel<Tile>, shape.tokens, shape.heads, key_tiles, tiles_per_block, scale,
           pattern == NmPattern::one_of_two, query, key, key_bias, nonzeros, metadata);
  }
  template <int kDim>
  void with_dim() const {
    if (large)
      with_tile<kDim, 4, 2>();
    else
      with_tile<kDim, 1, 1>();
  }
};

}  // namespace

template <class Target, class Element>
void sddmm_nm(Stream<Target>& stream, const AttentionShape& shape, NmPattern pattern, float scale,
              DeviceSpan<Target, const Element> query, DeviceSpan<Target, const Element> key,
              DeviceSpan<Target, const float> key_bias, DeviceSpan<Target, Element> nonzeros,
              DeviceSpan<Target, std::uint32_t> metadata, NmTile tile) {
  if (sizeof(Element) == 4 && pattern != NmPattern::one_of_two) {
    throw std::invalid_argument(
        "sddmm_nm: float keeps 1:2 only (TF32 tensor cores have no 2:4); use bfloat16 for 2:4");
  }
  check_shape("sddmm_nm", shape);
  check_size("sddmm_nm", "query", query.size(), shape.elements());
  check_size("sddmm_nm", "key", key.size(), shape.elements());
  check_size(
      "sddmm_nm", "key_bias", key_bias.size(),
      key_bias.empty() ? 0 : static_cast<std::size_t>(shape.batch) * static_cast<std::size_t>(shape.tokens));
  check_size("sddmm_nm", "nonzeros", nonzeros.size(), nonzeros_size(shape));
  check_size("sddmm_nm", "metadata", metadata.size(), metadata_size<Element>(shape));
  const SddmmCall<Target, Element> call{
      stream,     shape,           pattern,         scale,           query.data(),
      key.data(), key_bias.data(), nonzeros.data(), metadata.data(), use_large_tile<Target>(tile)};
  if (shape.dim == 32)
    call.template with_dim<32>();
  else if (shape.dim == 64)
    call.template with_dim<64>();
  else
    call.template with_dim<128>();
}

template void sddmm_nm(Stream<CompiledTarget>&, const AttentionShape&, NmPattern, float,
                       DeviceSpan<CompiledTarget, const bfloat16>, DeviceSpan<CompiledTarget, const bfloat16>,
                       DeviceSpan<CompiledTarget, const float>, DeviceSpan<CompiledTarget, bfloat16>,
                       DeviceSpan<CompiledTarget, std::uint32_t>, NmTile);
template void sddmm_nm(Stream<CompiledTarget>&, const AttentionShape&, NmPattern, float,
                       DeviceSpan<CompiledTarget, const float>, DeviceSpan<CompiledTarget, const float>,
                       DeviceSpan<CompiledTarget, const float>, DeviceSpan<CompiledTarget, float>,
                       DeviceSpan<CompiledTarget, std::uint32_t>, NmTile);

}  // namespace remeasure::kernels
