// SPDX-License-Identifier: Apache-2.0
//
// What both kernels of a low-bit layer share (apnn.cu, apnn_fused.cu): the gathered loads of bit planes, the
// product of planes in registers, and what makes the sum of the codes of it. Device code, for .cu files.
//
// A block computes 64 x 64 (or 32 x 32) sums, all p * q products of planes of each; a warp 16 x 32, and keeps
// those of equal weight 2^(s+t) in one accumulator: p + q - 1 of them instead of p * q, and the combination
// needs no shared memory (the authors' kernels stack the planes along the rows and columns, and add in shared
// memory what lies in different warps). A fragment of the one-bit mma (row, 256 bits) has the bytes of one of
// f16 (row, 16 values), so that ldmatrix and the swizzle of f16 tiles fit.
#pragma once

#include <stdexcept>
#include <string>
#include <type_traits>

#include "kernels/attention/swizzled_tile.h"
#include "kernels/device/copy.h"
#include "kernels/device/kernel.h"
#include "kernels/device/mma.h"
#include "kernels/precision/apnn.h"

namespace remeasure::kernels {

inline constexpr int kStageChunks = 4;  ///< 512 bits of K: two mma, and rows of 64 bytes
using PlaneTile = SwizzledTile<kStageChunks>;
inline constexpr int kLowBitThreads = 256;

/// Stages in shared memory. The more planes, the larger a stage, and the more work hides the next one's
/// latency.
constexpr int low_bit_stages(int planes) {
  return planes <= 5 ? 4 : 3;
}
constexpr std::size_t low_bit_shared_bytes(int weight_bits, int activation_bits, const LowBitTiling& tiling) {
  return static_cast<std::size_t>(low_bit_stages(weight_bits + activation_bits) * PlaneTile::kRowBytes *
                                  (activation_bits * tiling.rows() + weight_bits * tiling.outputs()));
}
/// Blocks per multiprocessor that registers are divided among.
constexpr int low_bit_blocks(int planes) {
  return planes <= 5 ? 2 : 1;
}

struct LowBitArguments {
  LowBitShape shape;
  LowBitTiling tiling;
  bool pool;
  const std::uint32_t* activations;
  const std::uint32_t* weights;
};

/// Where an output pixel's window begins. Pooled rows come in the order of their windows: four in a row are
/// one output.
struct RowPlace {
  int y, x;         ///< of the window's first tap, possibly beside the map
  int first_pixel;  ///< of the image
  bool exists;
};

RM_DEVICE inline RowPlace row_place(const LowBitShape& shape, bool pool, int row) {
  int line, column, image, rest = row;
  if (pool) {
    const int in_window = row % 4, width = shape.out_width / 2, height = shape.out_height / 2;
    rest /= 4;
    column = 2 * (rest % width) + in_window % 2;
    rest /= width;
    line = 2 * (rest % height) + in_window / 2;
    image = rest / height;
  } else {
    column = rest % shape.out_width;
    rest /= shape.out_width;
    line = rest % shape.out_height;
    image = rest / shape.out_height;
  }
  return {line * shape.stride - shape.pad, column * shape.stride - shape.pad,
          image * shape.height * shape.width, row < low_bit_computed_rows(shape, pool)};
}

/// This thread's chunk of a stage on its way along K: which tap, and which of the tap's chunks.
struct ChunkCursor {
  int chunk, in_tap, tap_y, tap_x;

  RM_DEVICE ChunkCursor(const LowBitShape& shape, int first)
      : chunk(first), in_tap(first), tap_y(0), tap_x(0) {
    wrap(shape);
  }
  RM_DEVICE void next_stage(const LowBitShape& shape) {
    chunk += kStageChunks;
    in_tap += kStageChunks;
    wrap(shape);
  }

 private:
  RM_DEVICE void wrap(const LowBitShape& shape) {
    const int in_all = chunks_of(shape.channels);
    while (in_tap >= in_all) {
      in_tap -= in_all;
      if (++tap_x == shape.kernel) {
        tap_x = 0;
        ++tap_y;
      }
    }
  }
};

/// The loads of a thread: the same chunk of each stage of one or two rows and one or two outputs, all planes.
struct PlaneLoader {
  const LowBitArguments& arguments;
  ChunkCursor cursor;
  RowPlace rows[2];

  RM_DEVICE PlaneLoader(const LowBitArguments& of, int first_row)
      : arguments(of), cursor(of.shape, static_cast<int>(threadIdx.x) % kStageChunks) {
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      if (row_in_tile(i) < of.tiling.rows())
        rows[i] = row_place(of.shape, of.pool, first_row + row_in_tile(i));
    }
  }
  /// Begins to copy the next stage; what is beside the map, the matrix or the end of K becomes zeros.
  template <int kWeightBits, int kActivationBits>
  RM_DEVICE void load(unsigned char* stage, int first_output) {
    const LowBitShape& shape = arguments.shape;
    const LowBitTiling& tiling = arguments.tiling;
    const int column = static_cast<int>(threadIdx.x) % kStageChunks,
              words = chunks_of(shape.channels) * kChunkWords;
    const bool in_k = cursor.chunk < shape.taps() * chunks_of(shape.channels);
    const long long activation_plane =
        static_cast<long long>(shape.images) * shape.height * shape.width * words;
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      if (row_in_tile(i) >= tiling.rows()) break;
      const int y = rows[i].y + cursor.tap_y, x = rows[i].x + cursor.tap_x;
      const bool exists = in_k && rows[i].exists && y >= 0 && y < shape.height && x >= 0 && x < shape.width;
      const long long pixel = rows[i].first_pixel + y * shape.width + x;
      const std::uint32_t* from =
          arguments.activations + (exists ? pixel * words + cursor.in_tap * kChunkWords : 0);
      unsigned char* to = stage + PlaneTile::offset(row_in_tile(i), column);
#pragma unroll
      for (int bit = 0; bit < kActivationBits; ++bit) {
        copy_async<kChunkBytes>(to + bit * tiling.rows() * PlaneTile::kRowBytes,
                                from + (exists ? bit * activation_plane : 0), exists ? kChunkBytes : 0);
      }
    }
    unsigned char* weight_tiles = stage + kActivationBits * tiling.rows() * PlaneTile::kRowBytes;
    const long long weight_row = static_cast<long long>(shape.taps()) * words,
                    weight_plane = shape.outputs * weight_row;
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      if (row_in_tile(i) >= tiling.outputs()) break;
      const int output = first_output + row_in_tile(i);
      const bool exists = in_k && output < shape.outputs;
      const std::uint32_t* from =
          arguments.weights + (exists ? output * weight_row + cursor.chunk * kChunkWords : 0);
      unsigned char* to = weight_tiles + PlaneTile::offset(row_in_tile(i), column);
#pragma unroll
      for (int bit = 0; bit < kWeightBits; ++bit) {
        copy_async<kChunkBytes>(to + bit * tiling.outputs() * PlaneTile::kRowBytes,
                                from + (exists ? bit * weight_plane : 0), exists ? kChunkBytes : 0);
      }
    }
    cursor.next_stage(shape);
  }

 private:
  RM_DEVICE int row_in_tile(int i) const {
    return static_cast<int>(threadIdx.x + static_cast<unsigned>(i) * blockDim.x) / kStageChunks;
  }
};

/// What a warp's lane holds of 16 rows and 32 outputs: [n8 tile][register], row lane / 4 + 8 (r / 2), output
/// 8 tile + 2 (lane % 4) + r % 2.
using LowBitSums = int[4][4];

/// Products of planes on their way.
template <int kWeightBits, int kActivationBits, Encoding kEncoding>
struct PlaneProducts {
  static constexpr int kWeights = kWeightBits + kActivationBits - 1;  ///< different 2^(s+t)
  static constexpr bool kCountsRows =
      kEncoding == Encoding::signed_weights || kEncoding == Encoding::signs_by_and;
  static constexpr bool kCountsOutputs = kEncoding == Encoding::signs_by_and;
  using Mma = std::conditional_t<kEncoding == Encoding::signs, Mma16x8x256Xor, Mma16x8x256And>;

  int product[kWeights][4][4] = {};
  int row_codes[2] = {};    ///< sum of the codes of rows lane / 4 and the one eight below, this lane's words
  int output_bits[4] = {};  ///< set bits of output 8 tile + lane / 4, this lane's words

  /// Adds the product of 256 bits, `step` 0 or 1 of the stage.
  RM_DEVICE void add(const unsigned char* stage, const LowBitTiling& tiling, int step) {
    const int lane = lane_id(), row_warp = warp_id() / tiling.output_warps,
              output_warp = warp_id() % tiling.output_warps;
    const unsigned char* weight_tiles = stage + kActivationBits * tiling.rows() * PlaneTile::kRowBytes;
    std::uint32_t a[kActivationBits][4];
#pragma unroll
    for (int t = 0; t < kActivationBits; ++t) {
      ldmatrix(a[t], stage + t * tiling.rows() * PlaneTile::kRowBytes +
                         PlaneTile::offset(16 * row_warp + lane % 16, 2 * step + lane / 16));
      if constexpr (kCountsRows) {
        row_codes[0] += (__popc(a[t][0]) + __popc(a[t][2])) << t;
        row_codes[1] += (__popc(a[t][1]) + __popc(a[t][3])) << t;
      }
    }
#pragma unroll
    for (int s = 0; s < kWeightBits; ++s) {
#pragma unroll
      for (int pair = 0; pair < 2; ++pair) {
        std::uint32_t both[4];
        ldmatrix(both, weight_tiles + s * tiling.outputs() * PlaneTile::kRowBytes +
                           PlaneTile::offset(32 * output_warp + 16 * pair + lane % 8 + 8 * (lane / 16),
                                             2 * step + lane / 8 % 2));
#pragma unroll
        for (int half_pair = 0; half_pair < 2; ++half_pair) {
          const std::uint32_t b[2] = {both[2 * half_pair], both[2 * half_pair + 1]};
          const int tile = 2 * pair + half_pair;
          if constexpr (kCountsOutputs) output_bits[tile] += __popc(b[0]) + __popc(b[1]);
#pragma unroll
          for (int t = 0; t < kActivationBits; ++t)
            Mma::multiply(product[s + t][tile], a[t], b, product[s + t][tile]);
        }
      }
    }
  }

  /// The sums of the codes' products: planes combined, and what the encoding adds.
  RM_DEVICE void finish(LowBitSums& sums, [[maybe_unused]] int inner) {
    const int lane = lane_id();
    if constexpr (kCountsRows) {
#pragma unroll
      for (int& codes : row_codes) codes = quad_sum(codes);
    }
    if constexpr (kCountsOutputs) {
#pragma unroll
      for (int& bits : output_bits) bits = quad_sum(bits);
    }
#pragma unroll
    for (int tile = 0; tile < 4; ++tile) {
#pragma unroll
      for (int r = 0; r < 4; ++r) {
        int sum = 0;
#pragma unroll
        for (int weight = 0; weight < kWeights; ++weight) sum += product[weight][tile][r] << weight;
        if constexpr (kEncoding == Encoding::signs) sum = inner - 2 * sum;
        if constexpr (kEncoding == Encoding::signed_weights) sum = 2 * sum - row_codes[r / 2];
        if constexpr (kEncoding == Encoding::signs_by_and) {
          const int of_output = __shfl_sync(kFullWarp, output_bits[tile], 4 * (2 * (lane % 4) + r % 2));
          sum = inner - 2 * (row_codes[r / 2] + of_output - 2 * sum);
        }
        sums[tile][r] = sum;
      }
    }
  }

 private:
  /// Over the four lanes that hold the words of one row.
  RM_DEVICE static int quad_sum(int value) {
    value += __shfl_xor_sync(kFullWarp, value, 1);
    return value + __shfl_xor_sync(kFullWarp, value, 2);
  }
};

/// The main loop: stages of 512 bits through a ring in shared memory, one barrier each. It orders what is
/// read from a stage before what is copied into its place.
template <int kWeightBits, int kActivationBits, Encoding kEncoding>
RM_DEVICE inline void low_bit_sums(LowBitSums& sums, const LowBitArguments& arguments, int first_row,
                                   int first_output) {
  constexpr int kStages = low_bit_stages(kWeightBits + kActivationBits);
  RM_DYNAMIC_SHARED(unsigned char, shared);
  const LowBitShape& shape = arguments.shape;
  const int chunks = shape.taps() * chunks_of(shape.channels),
            stages = (chunks + kStageChunks - 1) / kStageChunks;
  const int stage_bytes = PlaneTile::kRowBytes * (kActivationBits * arguments.tiling.rows() +
                                                  kWeightBits * arguments.tiling.outputs());
  PlaneLoader loader(arguments, first_row);
#pragma unroll
  for (int stage = 0; stage < kStages - 1; ++stage) {
    if (stage < stages) loader.load<kWeightBits, kActivationBits>(shared + stage * stage_bytes, first_output);
    copy_async_commit();
  }
  PlaneProducts<kWeightBits, kActivationBits, kEncoding> products;
  int read = 0, write = kStages - 1;  // places in the ring
  for (int stage = 0; stage < stages; ++stage) {
    copy_async_wait<kStages - 2>();
    __syncthreads();  // this stage has landed for all, and all are done with the one before
    if (stage + kStages - 1 < stages)
      loader.load<kWeightBits, kActivationBits>(shared + write * stage_bytes, first_output);
    copy_async_commit();
    products.add(shared + read * stage_bytes, arguments.tiling, 0);
    if (kStageChunks * stage + 2 < chunks) products.add(shared + read * stage_bytes, arguments.tiling, 1);
    read = read + 1 == kStages ? 0 : read + 1;
    write = write + 1 == kStages ? 0 : write + 1;
  }
  products.finish(sums, shape.taps() * shape.channels);
}

/// First row and output of this warp's sums.
RM_DEVICE inline int warp_row(const LowBitTiling& tiling) {
  return static_cast<int>(blockIdx.x) * tiling.rows() + 16 * (warp_id() / tiling.output_warps);
}
RM_DEVICE inline int warp_output(const LowBitTiling& tiling) {
  return static_cast<int>(blockIdx.y) * tiling.outputs() + 32 * (warp_id() % tiling.output_warps);
}

/// Calls run.operator()<p, q, encoding>() for the bits and encodings that there are kernels for.
template <class Run>
void for_low_bits(const char* what, const LowBitShape& shape, const Run& run) {
  using enum Encoding;
  if (!has_low_bit_kernel(shape)) {
    throw std::invalid_argument(std::string(what) + ": there is no kernel for " + bits_name(shape) +
                                " with encoding " + to_string(shape.encoding));
  }
  const int bits = 10 * shape.weight_bits + shape.activation_bits;
  switch (shape.encoding) {
    case signs:
      return run.template operator()<1, 1, signs>();
    case signs_by_and:
      return run.template operator()<1, 1, signs_by_and>();
    case signed_weights:
      switch (bits) {
        case 12:
          return run.template operator()<1, 2, signed_weights>();
        case 13:
          return run.template operator()<1, 3, signed_weights>();
        case 14:
          return run.template operator()<1, 4, signed_weights>();
        default:
          return run.template operator()<1, 8, signed_weights>();
      }
    case unsigned_codes:
      switch (bits) {
        case 11:
          return run.template operator()<1, 1, unsigned_codes>();
        case 12:
          return run.template operator()<1, 2, unsigned_codes>();
        case 13:
          return run.template operator()<1, 3, unsigned_codes>();
        case 14:
          return run.template operator()<1, 4, unsigned_codes>();
        case 18:
          return run.template operator()<1, 8, unsigned_codes>();
        case 22:
          return run.template operator()<2, 2, unsigned_codes>();
        case 28:
          return run.template operator()<2, 8, unsigned_codes>();
        default:
          return run.template operator()<4, 4, unsigned_codes>();
      }
  }
}

/// Launches `kernel` (its first parameter: LowBitArguments) over the tiles of the layer.
template <class Target, class Kernel, class... Rest>
void launch_low_bits(const char* name, Stream<Target>& stream, const LowBitShape& shape, bool pool,
                     DeviceSpan<Target, const std::uint32_t> activations,
                     DeviceSpan<Target, const std::uint32_t> weights, Kernel kernel, const Rest&... rest) {
  const LowBitTiling tiling = low_bit_tiling(shape, pool);
  launch({.name = name,
          .grid = dim3(blocks_for(low_bit_computed_rows(shape, pool), tiling.rows()),
                       blocks_for(shape.outputs, tiling.outputs())),
          .block = static_cast<unsigned>(tiling.threads()),
          .shared_bytes = low_bit_shared_bytes(shape.weight_bits, shape.activation_bits, tiling)},
         stream, kernel, LowBitArguments{shape, tiling, pool, activations.data(), weights.data()}, rest...);
}

}  // namespace remeasure::kernels
