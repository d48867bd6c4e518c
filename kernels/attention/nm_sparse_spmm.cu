// SPDX-License-Identifier: Apache-2.0
//
// Kernel 3 of DFSS (Chen et al., "Dynamic N:M Fine-Grained Structured Sparse Attention Mechanism", PPoPP
// 2023, section 4): the product of the compressed attention weights with the values, on sparse tensor cores.
//
//   for (i = 0; i < tokens; ++i)
//     for (c = 0; c < dim; ++c) {
//       sum = 0;
//       for (g = 0; g < tokens / 4; ++g)
//         for (t = 0; t < 2; ++t) sum += weights[i, 2 g + t] * value[4 g + place(metadata, i, g, t), c];
//       out[i, c] = sum;
//     }
//
// Optimisation: mma.sp.m16n8k32 (bf16; m16n8k16 for TF32) picks the kept rows of `value` itself, so half of
// the products of the dense operation are done and the weights are never expanded. Weights, metadata and
// values come by cp.async through a ring of four stages (three for dim 128) in a swizzle without bank
// conflicts; the metadata lies in the order of the instruction: 32 rows x 32 keys are one coalesced load of a
// register per lane that serves two m16 tiles. Launch: one block per 128 rows; 256 threads, warps 4 x 2, each
// 32 rows x dim/2 (dim 32: 128 threads, warps 4 x 1). Per launch (T tokens, M matrices, e = sizeof(Element)):
// M T^2 dim flops; bytes M T^2 (e/2 + e/16) read once, values once per 128 rows, mostly from L2, and the
// output. Limits: tokens a multiple of 32; dim 32, 64 or 128.
#include "kernels/attention/nm_sparse.h"
#include "kernels/attention/nm_sparse_tile.h"

namespace remeasure::kernels {
namespace {

constexpr int kWarpRows = 32;

/// Rows of values in shared memory. bf16 is read by transposing ldmatrix, eight keys at one chunk; TF32
/// element by element, where the lanes of a warp read four keys (lane % 4) at two chunks, hence another flip.
template <class Element, int kDim>
struct ValueTile {
  static constexpr int kChunks = kDim * static_cast<int>(sizeof(Element)) / kChunkBytes;
  RM_DEVICE static constexpr int offset(int key, int chunk) {
    if constexpr (sizeof(Element) == 2)
      return SwizzledTile<kChunks>::offset(key, chunk);
    else
      return (key * kChunks + (chunk ^ 2 * (key % 4))) * kChunkBytes;
  }
};

template <class Element_, int kDim_, int kWarpsAlongRows, int kWarpsAlongDim, int kStages_>
struct SpmmTile {
  using Element = Element_;
  static constexpr int kDim = kDim_;
  static constexpr int kStages = kStages_;
  static constexpr int kThreads = 32 * kWarpsAlongRows * kWarpsAlongDim;
  static constexpr int kMinBlocks = kThreads == 256 ? 2 : 1;
  static constexpr int kRows = kWarpRows * kWarpsAlongRows;
  static constexpr int kWarpColumns = kWarpsAlongDim;
  static constexpr int kWarpDim = kDim / kWarpsAlongDim;
  static_assert(kWarpDim % 32 == 0);
  static constexpr int kStepKeys = NmInstructions<Element>::Sparse::kK;  // of one mma.sp
  static constexpr int kSteps = 2;                                       // per stage
  static constexpr int kStageKeys = kSteps * kStepKeys;
  using Weights = SwizzledTile<4>;  // 64 bytes: kStageKeys / 2 elements
  using Values = ValueTile<Element, kDim>;
  static constexpr int kWeightBytes = kRows * Weights::kRowBytes;
  static constexpr int kValueBytes = kStageKeys * Values::kChunks * kChunkBytes;
  static constexpr int kMetadataBytes = kSteps * kRows * 4;
  static constexpr int kStageBytes = kWeightBytes + kValueBytes + kMetadataBytes;
  static constexpr std::size_t kSharedBytes = static_cast<std::size_t>(kStages * kStageBytes);
};

/// What a block reads: one matrix.
template <class Element>
struct SpmmInput {
  const unsigned char* weights;   // [tokens, tokens / 2]
  const std::uint32_t* metadata;  // [steps, tokens]
  const unsigned char* values;    // [tokens, dim]
  int tokens, first_row;
};

/// Copies what stage `index` of the keys needs. What lies beyond the last token isn't copied, or repeats the
/// last row; it isn't used.
template <class Tile>
RM_DEVICE void load_stage(unsigned char* stage, const SpmmInput<typename Tile::Element>& in, int index) {
  const int thread = static_cast<int>(threadIdx.x);
  const int row_chunks = in.tokens / 2 * static_cast<int>(sizeof(typename Tile::Element)) / kChunkBytes;
  for (int i = thread; i < Tile::kRows * 4; i += Tile::kThreads) {
    const int row = i / 4, chunk = i % 4;
    if (index * 4 + chunk < row_chunks) {
      const long long from =
          static_cast<long long>(min(in.first_row + row, in.tokens - 1)) * row_chunks + index * 4 + chunk;
      copy_async<16>(stage + Tile::Weights::offset(row, chunk), in.weights + from * kChunkBytes);
    }
  }
  unsigned char* const values = stage + Tile::kWeightBytes;
#pragma unroll 2  // fully unrolled, its addresses make the dim = 128 kernel spill
  for (int i = thread; i < Tile::kStageKeys * Tile::Values::kChunks; i += Tile::kThreads) {
    const int row = i / Tile::Values::kChunks, chunk = i % Tile::Values::kChunks;
    const long long key = min(index * Tile::kStageKeys + row, in.tokens - 1);
    copy_async<16>(values + Tile::Values::offset(row, chunk),
                   in.values + (key * Tile::Values::kChunks + chunk) * kChunkBytes);
  }
  unsigned char* const metadata = values + Tile::kValueBytes;
  for (int i = thread; i < Tile::kSteps * Tile::kRows / 4; i += Tile::kThreads) {
    const int step = i / (Tile::kRows / 4), row = i % (Tile::kRows / 4) * 4;
    const int key = index * Tile::kStageKeys + step * Tile::kStepKeys;
    if (key < in.tokens && in.first_row + row < in.tokens) {
      const long long from = static_cast<long long>(key / Tile::kStepKeys) * in.tokens + in.first_row + row;
      copy_async<16>(metadata + (step * Tile::kRows + row) * 4, in.metadata + from);
    }
  }
}

/// The B fragment of mma.sp: kStepKeys keys from `key` on, eight columns from `column` on.
template <class Tile>
RM_DEVICE void load_values(std::uint32_t (&b)[4], const unsigned char* values, int key, int column) {
  const int lane = lane_id();
  if constexpr (sizeof(typename Tile::Element) == 2) {
    ldmatrix<true>(b, values + Tile::Values::offset(key + lane, column / 8));
  } else {
    const int at = column + lane / 4;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      b[i] = *reinterpret_cast<const std::uint32_t*>(
          values + Tile::Values::offset(key + lane % 4 + 4 * i, at / 4) + at % 4 * 4);
    }
    round_operand<typename Tile::Element>(b);
  }
}

/// Rows lane/4 + 8*half of tile m, 32 columns from `column` on: sixteen bytes per lane.
template <class Tile>
RM_DEVICE void store_row(bfloat16* to, const float (&sums)[Tile::kWarpDim / 8][4], int half) {
#pragma unroll
  for (int n = 0; n < Tile::kWarpDim / 8; n += 4) {
    std::uint32_t words[4];
#pragma unroll
    for (int i = 0; i < 4; ++i) words[i] = pack2_bfloat16(sums[n + i][2 * half], sums[n + i][2 * half + 1]);
    transpose_in_four(words);
    *reinterpret_cast<uint4*>(to + 8 * n + 8 * (lane_id() % 4)) =
        make_uint4(words[0], words[1], words[2], words[3]);
  }
}
template <class Tile>
RM_DEVICE void store_row(float* to, const float (&sums)[Tile::kWarpDim / 8][4], int half) {
#pragma unroll
  for (int n = 0; n < Tile::kWarpDim / 8; ++n) {
    *reinterpret_cast<float2*>(to + 8 * n + 2 * (lane_id() % 4)) =
        make_float2(sums[n][2 * half], sums[n][2 * half + 1]);
  }
}

template <class Tile>
__global__ void __launch_bounds__(Tile::kThreads, Tile::kMinBlocks)
    spmm_nm_kernel(int tokens, const typename Tile::Element* __restrict__ weights,
                   const std::uint32_t* __restrict__ metadata,
                   const typename Tile::Element* __restrict__ value,
                   typename Tile::Element* __restrict__ out) {
  using Element = typename Tile::Element;
  using Mma = typename NmInstructions<Element>::Sparse;
  RM_DYNAMIC_SHARED(unsigned char, shared);
  const int row_tiles = (tokens + Tile::kRows - 1) / Tile::kRows;
  const long long matrix = static_cast<int>(blockIdx.x) / row_tiles;
  const long long scores = static_cast<long long>(tokens) * tokens;
  const SpmmInput<Element> in{reinterpret_cast<const unsigned char*>(weights + matrix * scores / 2),
                              metadata + matrix * scores / (2 * kKeysPerWord<Element>),
                              reinterpret_cast<const unsigned char*>(value + matrix * tokens * Tile::kDim),
                              tokens, static_cast<int>(blockIdx.x) % row_tiles * Tile::kRows};
  const int lane = lane_id();
  const int warp_row = warp_id() / Tile::kWarpColumns * kWarpRows;
  const int warp_column = warp_id() % Tile::kWarpColumns * Tile::kWarpDim;

  const int stages = (tokens + Tile::kStageKeys - 1) / Tile::kStageKeys;
  for (int s = 0; s < Tile::kStages - 1; ++s) {
    if (s < stages) load_stage<Tile>(shared + s * Tile::kStageBytes, in, s);
    copy_async_commit();  // an empty group where there is nothing to load, so that the count below stays
                          // right
  }
  float sums[2][Tile::kWarpDim / 8][4] = {};
  const bool has_rows =
      in.first_row + warp_row < tokens;  // the same for the whole warp, as tokens is a multiple of 32
  for (int s = 0; s < stages; ++s) {
    copy_async_wait<Tile::kStages - 2>();
    __syncthreads();  // stage s has landed for all, and all are done with stage s - 1, which is loaded anew
                      // now
    const int next = s + Tile::kStages - 1;
    if (next < stages) load_stage<Tile>(shared + next % Tile::kStages * Tile::kStageBytes, in, next);
    copy_async_commit();

    const unsigned char* const stage = shared + s % Tile::kStages * Tile::kStageBytes;
    const unsigned char* const values = stage + Tile::kWeightBytes;
    const auto* places = reinterpret_cast<const std::uint32_t*>(values + Tile::kValueBytes);
#pragma unroll
    for (int step = 0; step < Tile::kSteps; ++step) {
      if (!has_rows || s * Tile::kStageKeys + step * Tile::kStepKeys >= tokens) continue;
      std::uint32_t a[2][4];
#pragma unroll
      for (int m = 0; m < 2; ++m) {
        ldmatrix(a[m], stage + Tile::Weights::offset(warp_row + 16 * m + lane % 16, 2 * step + lane / 16));
        round_operand<Element>(a[m]);
      }
      const std::uint32_t places_of_both = places[step * Tile::kRows + warp_row + lane];
#pragma unroll
      for (int n = 0; n < Tile::kWarpDim / 8; ++n) {
        std::uint32_t b[4];
        load_values<Tile>(b, values, step * Tile::kStepKeys, warp_column + 8 * n);
        Mma::template multiply<0>(sums[0][n], a[0], b, sums[0][n], places_of_both);
        Mma::template multiply<1>(sums[1][n], a[1], b, sums[1][n], places_of_both);
      }
    }
  }
  if (!has_rows) return;
#pragma unroll
  for (int m = 0; m < 2; ++m) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const long long row = matrix * tokens + in.first_row + warp_row + 16 * m + 8 * half + lane / 4;
      store_row<Tile>(out + row * Tile::kDim + warp_column, sums[m], half);
    }
  }
}

template <class Target, class Element>
struct SpmmCall {
  Stream<Target>& stream;
  const AttentionShape& shape;
  const Element* weights;
  const std::uint32_t* metadata;
  const Element* value;
  Element* out;
  bool large;

  template <class Tile>
  void with_tile() const {
    launch({.name = "spmm_nm",
            .grid = static_cast<unsigned>(shape.matrices()) * blocks_for(shape.tokens, Tile::kRows),
            .block = Tile::kThreads,
            .shared_bytes = Tile::kSharedBytes},
           stream, spmm_nm_kernel<Tile>, shape.tokens, weights, metadata, value, out);
  }
  template <int kDim>
  void with_dim() const {
    constexpr int kStages = kDim * sizeof(Element) > 128 ? 3 : 4;
    if (large)
      with_tile<SpmmTile<Element, kDim, 4, kDim == 32 ? 1 : 2, kStages>>();
    else
      with_tile<SpmmTile<Element, kDim, 1, 1, kStages>>();
  }
};

}  // namespace

template <class Target, class Element>
void spmm_nm(Stream<Target>& stream, const AttentionShape& shape,
             DeviceSpan<Target, const Element> probabilities,
             DeviceSpan<Target, const std::uint32_t> metadata, DeviceSpan<Target, const Element> value,
             DeviceSpan<Target, Element> out, NmTile tile) {
  check_shape("spmm_nm", shape);
  check_size("spmm_nm", "probabilities", probabilities.size(), nonzeros_size(shape));
  check_size("spmm_nm", "metadata", metadata.size(), metadata_size<Element>(shape));
  check_size("spmm_nm", "value", value.size(), shape.elements());
  check_size("spmm_nm", "out", out.size(), shape.elements());
  const SpmmCall<Target, Element> call{stream,       shape,      probabilities.data(),        metadata.data(),
                                       value.data(), out.data(), use_large_tile<Target>(tile)};
  if (shape.dim == 32)
    call.template with_dim<32>();
  else if (shape.dim == 64)
    call.template with_dim<64>();
  else
    call.template with_dim<128>();
}

template void spmm_nm(Stream<CompiledTarget>&, const AttentionShape&,
                      DeviceSpan<CompiledTarget, const bfloat16>,
                      DeviceSpan<CompiledTarget, const std::uint32_t>,
                      DeviceSpan<CompiledTarget, const bfloat16>, DeviceSpan<CompiledTarget, bfloat16>,
                      NmTile);
template void spmm_nm(Stream<CompiledTarget>&, const AttentionShape&, DeviceSpan<CompiledTarget, const float>,
                      DeviceSpan<CompiledTarget, const std::uint32_t>,
                      DeviceSpan<CompiledTarget, const float>, DeviceSpan<CompiledTarget, float>, NmTile);

}  // namespace remeasure::kernels
