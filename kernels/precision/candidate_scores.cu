// SPDX-License-Identifier: Apache-2.0
//
// Scores of all candidates of a scale at once (Yuan et al., "PTQ4ViT", ECCV 2022, section 3.3: Hessian-guided
// metric).
//
//   for (p < candidates)
//     for (i < rows) for (j < columns) {
//       y = sum_k quantise(varied[i, k], candidate[p]) * fixed[j, k];             // on codes, times both
//       steps scores[p] += ((y - target[i, j]) * gradient[i, j])^2;
//     }
//
// Optimisation: no y and no codes of a candidate ever reach memory. A block owns 128 x 128 outputs and loops
// over the candidates; a warp quantises the 16 rows that are its own in registers, straight into the operand
// of mma.m16n8k32 (s8), for two candidates (or two planes of a twin one) from one load, and uses each operand
// for 16 products: quantising costs about as much as multiplying. Rounding is one addition of 1.5 * 2^23,
// which leaves the code in the low byte. Tiles come by cp.async into two buffers. Launch: (row tiles, column
// tiles, matrices) blocks of 256 threads; then one block per candidate sums the warps' partial sums. Per
// launch: 2 rows columns inner candidates operations of s8 on tiles, 2 per quantised value and tile of
// columns, 6 per output; bytes: varied, fixed, target and gradient once. Limits: inner a multiple of 16; at
// most one operand twin; matrices <= 65535; a matrix's target below 2^31 values.
#include "kernels/precision/candidate_scores.h"

#include <stdexcept>

#include "kernels/precision/int8_tile.h"

namespace remeasure::kernels {
namespace {

constexpr float kRoundingNumber =
    12582912.0f;  // 1.5 * 2^23: after adding it the last place is 1, and ties go to even

/// A tile of half: rows of 8 chunks; odd rows begin with the fifth, so that two rows fill all banks.
RM_DEVICE int half_offset(int row, int chunk) {
  return row * 128 + ((chunk ^ (row % 2 * 4)) * 16);
}

RM_DEVICE void load_halves(unsigned char* to, const half* from, int first, int rows, int inner,
                           int inner_tile) {
  for (int i = static_cast<int>(threadIdx.x); i < kTileRows * 8; i += kTileThreads) {
    const int row = i / 8, chunk = i % 8, at = inner_tile * kInnerTile + chunk * 8;
    const bool exists = first + row < rows && at < inner;
    const half* source = from + (exists ? static_cast<long long>(first + row) * inner + at : 0);
    copy_async<16>(to + half_offset(row, chunk), source, exists ? 16 : 0);
  }
}

/// The code of x in the low byte; the other bytes are rubbish.
RM_DEVICE std::uint32_t code_bits(float x, float inverse, float low, float high) {
  return __float_as_uint(__fadd_rn(fminf(fmaxf(__fmul_rn(x, inverse), low), high), kRoundingNumber));
}

RM_DEVICE std::uint32_t pack_low_bytes(const std::uint32_t (&word)[4]) {
  return __byte_perm(__byte_perm(word[0], word[1], 0x0040), __byte_perm(word[2], word[3], 0x0040), 0x5410);
}

/// What quantising needs of a candidate, in registers.
template <int kPlanes>
struct Candidate {
  float low_inverse, high_inverse, split;
  float step[kPlanes];

  RM_DEVICE static Candidate of(const TwinQuantizer<float>& q) {
    Candidate result{};
    result.low_inverse = q.low_inverse;
    result.high_inverse = q.high_inverse;
    result.split = q.split;
    result.step[kPlanes - 1] = q.high_step;
    if constexpr (kPlanes == 2) result.step[0] = q.low_step;
    return result;
  }
};
struct Clip {
  float low_low, low_high, high_low, high_high;
};

/// Four values as four codes of each plane.
template <int kPlanes>
RM_DEVICE void quantize4(const float* x, const Candidate<kPlanes>& q, const Clip& clip,
                         std::uint32_t (&codes)[kPlanes]) {
  std::uint32_t high[4], low[4];
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    high[i] = code_bits(x[i], q.high_inverse, clip.high_low, clip.high_high);
    if constexpr (kPlanes == 2) {
      low[i] = code_bits(x[i], q.low_inverse, clip.low_low, clip.low_high);
      const bool in_low = x[i] < q.split;
      high[i] = in_low ? 0u : high[i];
      low[i] = in_low ? low[i] : 0u;
    }
  }
  codes[kPlanes - 1] = pack_low_bytes(high);
  if constexpr (kPlanes == 2) codes[0] = pack_low_bytes(low);
}

template <int kVariedPlanes, int kFixedPlanes, int kColumns>
__global__ void __launch_bounds__(kTileThreads, 1)
    candidate_scores_kernel(ScoreShape shape, int target_stride, int candidates,
                            const half* __restrict__ varied, const std::int8_t* __restrict__ fixed,
                            const float* __restrict__ fixed_step,
                            const TwinQuantizer<float>* __restrict__ quantizers,
                            const float* __restrict__ target, const float* __restrict__ gradient,
                            float* __restrict__ partials) {
  constexpr int kPlanes = kVariedPlanes * kFixedPlanes, kTiles = kColumns / 8,
                kAtOnce = 256 / kColumns / kPlanes;
  constexpr int kHalfBytes = kTileRows * kInnerTile * 2, kCodeBytes = kColumns * kInnerTile,
                kStage = kHalfBytes + kFixedPlanes * kCodeBytes;
  RM_DYNAMIC_SHARED(unsigned char, shared);
  const int lane = lane_id(), warp = warp_id();
  const int first_row = static_cast<int>(blockIdx.x) * kTileRows,
            first_column = static_cast<int>(blockIdx.y) * kColumns;
  const long long matrix = blockIdx.z;
  const long long plane_size = static_cast<long long>(shape.matrices) * shape.columns * shape.inner;
  varied += matrix * shape.rows * shape.inner;
  fixed += matrix * shape.columns * shape.inner;
  target += matrix * shape.rows * shape.columns;
  gradient += matrix * shape.rows * shape.columns;

  const int inner_tiles = (shape.inner + kInnerTile - 1) / kInnerTile,
            groups = (candidates + kAtOnce - 1) / kAtOnce;
  const auto load = [&](int stage, int inner_tile) {
    unsigned char* to = shared + stage * kStage;
    load_halves(to, varied, first_row, shape.rows, shape.inner, inner_tile);
#pragma unroll
    for (int plane = 0; plane < kFixedPlanes; ++plane) {
      load_codes<kColumns>(to + kHalfBytes + plane * kCodeBytes, fixed + plane * plane_size, first_column,
                           shape.columns, shape.inner, inner_tile);
    }
  };

  const Clip clip{static_cast<float>(quantizers[0].low.low), static_cast<float>(quantizers[0].low.high),
                  static_cast<float>(quantizers[0].high.low), static_cast<float>(quantizers[0].high.high)};
  const long long warps = static_cast<long long>(gridDim.x) * gridDim.y * gridDim.z * (kTileThreads / 32);
  const long long place =
      ((matrix * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x) * (kTileThreads / 32) + warp;
  std::int32_t sum[kAtOnce][kPlanes][kTiles][4];

  load(0, 0);
  int stage = 0;
  for (int group = 0; group < groups; ++group) {
    Candidate<kVariedPlanes> candidate[kAtOnce];
#pragma unroll
    for (int c = 0; c < kAtOnce; ++c) {
      candidate[c] = Candidate<kVariedPlanes>::of(quantizers[min(group * kAtOnce + c, candidates - 1)]);
#pragma unroll
      for (int plane = 0; plane < kPlanes; ++plane) {
#pragma unroll
        for (int tile = 0; tile < kTiles; ++tile) {
#pragma unroll
          for (int r = 0; r < 4; ++r) sum[c][plane][tile][r] = 0;
        }
      }
    }
    for (int inner_tile = 0; inner_tile < inner_tiles; ++inner_tile, stage ^= 1) {
      copy_async_wait_all();
      __syncthreads();  // this tile has landed for all, and all are done with the other buffer
      if (inner_tile + 1 < inner_tiles)
        load(stage ^ 1, inner_tile + 1);
      else if (group + 1 < groups)
        load(stage ^ 1, 0);
      const unsigned char* halves = shared + stage * kStage;
#pragma unroll 1  // two steps at once want more registers than there are
      for (int step = 0; step < 2; ++step) {
        std::uint32_t a[kAtOnce][kVariedPlanes][4];
#pragma unroll
        for (int below = 0; below < 2; ++below) {
          const int row = 16 * warp + lane / 4 + 8 * below;
          const uint4 packed =
              *reinterpret_cast<const uint4*>(halves + half_offset(row, 4 * step + lane % 4));
          const std::uint32_t words[4] = {packed.x, packed.y, packed.z, packed.w};
          float x[8];
#pragma unroll
          for (int i = 0; i < 8; ++i) x[i] = static_cast<float>(unpack2<half>(words[i / 2], i % 2));
#pragma unroll
          for (int c = 0; c < kAtOnce; ++c) {
#pragma unroll
            for (int part = 0; part < 2; ++part) {
              std::uint32_t codes[kVariedPlanes];
              quantize4<kVariedPlanes>(x + 4 * part, candidate[c], clip, codes);
#pragma unroll
              for (int plane = 0; plane < kVariedPlanes; ++plane)
                a[c][plane][below + 2 * part] = codes[plane];
            }
          }
        }
#pragma unroll
        for (int tile = 0; tile < kTiles; ++tile) {
#pragma unroll
          for (int f = 0; f < kFixedPlanes; ++f) {
            const uint2 codes = lane_codes(halves + kHalfBytes + f * kCodeBytes, 8 * tile + lane / 4, step);
            const std::uint32_t b[2] = {codes.x, codes.y};
#pragma unroll
            for (int c = 0; c < kAtOnce; ++c) {
#pragma unroll
              for (int v = 0; v < kVariedPlanes; ++v)
                Mma16x8x32S8::multiply(sum[c][v + f][tile], a[c][v], b, sum[c][v + f][tile]);
            }
          }
        }
      }
    }

    float score[kAtOnce] = {};
    // Always 0, but not to the compiler, which would keep the addresses of all outputs in registers over the
    // whole loop.
    const int nothing = target_stride < 0 ? group : 0;
    const int row = nothing + first_row + 16 * warp + lane / 4,
              column = nothing + first_column + 2 * (lane % 4);
    const int row_step = shape.transposed ? 1 : target_stride,
              column_step = shape.transposed ? target_stride : 1;
    const int place_in_target = row * row_step + column * column_step;
#pragma unroll
    for (int tile = 0; tile < kTiles; ++tile) {
#pragma unroll
      for (int r = 0; r < 4; ++r) {
        const int below = 8 * (r / 2), right = 8 * tile + r % 2;
        if (row + below >= shape.rows || column + right >= shape.columns) continue;
        const int at = place_in_target + below * row_step + right * column_step;
        const float wanted = target[at], weight = gradient[at];
        float step[kFixedPlanes];
#pragma unroll
        for (int f = 0; f < kFixedPlanes; ++f) step[f] = fixed_step[f * shape.columns + column + right];
#pragma unroll
        for (int c = 0; c < kAtOnce; ++c) {
          float y = static_cast<float>(sum[c][kPlanes - 1][tile][r]) *
                    (candidate[c].step[kVariedPlanes - 1] * step[kFixedPlanes - 1]);
          if constexpr (kPlanes == 2)
            y += static_cast<float>(sum[c][0][tile][r]) * (candidate[c].step[0] * step[0]);
          const float error = (y - wanted) * weight;
          score[c] += error * error;
        }
      }
    }
#pragma unroll
    for (int c = 0; c < kAtOnce; ++c) {
      const float of_warp = warp_sum(score[c]);
      const int p = group * kAtOnce + c;
      if (lane == 0 && p < candidates) partials[p * warps + place] = of_warp;
    }
  }
}

__global__ void __launch_bounds__(256)
    sum_partials_kernel(long long count, const float* __restrict__ partials, float* __restrict__ scores) {
  const float* of = partials + blockIdx.x * count;
  double sum = 0;
  for (long long i = threadIdx.x; i < count; i += 256) {
    const float part = of[i];
    sum += static_cast<double>(part);
  }
  sum = block_sum(sum);
  if (threadIdx.x == 0) scores[blockIdx.x] = static_cast<float>(sum);
}

}  // namespace

template <class Target>
void sum_partials(Stream<Target>& stream, std::size_t count, DeviceSpan<Target, const float> partials,
                  DeviceSpan<Target, float> scores) {
  if (scores.empty() || partials.size() < count * scores.size())
    throw std::invalid_argument("sum_partials: too few partial sums");
  launch({.name = "sum_partials", .grid = static_cast<unsigned>(scores.size()), .block = 256}, stream,
         sum_partials_kernel, static_cast<long long>(count), partials.data(), scores.data());
}

template <class Target>
void candidate_scores(Stream<Target>& stream, const ScoreShape& shape, DeviceSpan<Target, const half> varied,
                      DeviceSpan<Target, const std::int8_t> fixed, DeviceSpan<Target, const float> fixed_step,
                      DeviceSpan<Target, const TwinQuantizer<float>> candidates,
                      DeviceSpan<Target, const float> target, DeviceSpan<Target, const float> gradient,
                      DeviceSpan<Target, float> partials, DeviceSpan<Target, float> scores) {
  check_shape(shape, candidates.size());
  const ScoreTiling tiling = score_tiling(shape);
  const auto planes = static_cast<std::size_t>(shape.fixed_planes);
  if (varied.size() != shape.varied_size() || fixed.size() != planes * shape.fixed_size() ||
      fixed_step.size() != planes * static_cast<std::size_t>(shape.columns) ||
      target.size() < shape.target_size() || gradient.size() < shape.target_size() ||
      partials.size() < tiling.partials * candidates.size() || scores.size() != candidates.size()) {
    throw std::invalid_argument(
        "candidate_scores: an array's size doesn't fit the shape (kernels/precision/candidate_scores.h)");
  }
  const auto run = [&](auto kernel) {
    const std::size_t stage =
        kTileRows * kInnerTile * 2 + planes * static_cast<std::size_t>(tiling.columns) * kInnerTile;
    launch({.name = "candidate_scores",
            .grid = dim3(static_cast<unsigned>(tiling.row_tiles), static_cast<unsigned>(tiling.column_tiles),
                         static_cast<unsigned>(shape.matrices)),
            .block = kTileThreads,
            .shared_bytes = 2 * stage},
           stream, kernel, shape, shape.stride(), static_cast<int>(candidates.size()), varied.data(),
           fixed.data(), fixed_step.data(), candidates.data(), target.data(), gradient.data(),
           partials.data());
  };
  const bool narrow = tiling.columns == 64;
  if (shape.varied_planes == 2)
    run(narrow ? candidate_scores_kernel<2, 1, 64> : candidate_scores_kernel<2, 1, 128>);
  else if (shape.fixed_planes == 2)
    run(narrow ? candidate_scores_kernel<1, 2, 64> : candidate_scores_kernel<1, 2, 128>);
  else
    run(narrow ? candidate_scores_kernel<1, 1, 64> : candidate_scores_kernel<1, 1, 128>);
  const DeviceSpan<Target, const float> sums = partials.subspan(0, tiling.partials * candidates.size());
  sum_partials<Target>(stream, tiling.partials, sums, scores);
}

template void sum_partials(Stream<CompiledTarget>&, std::size_t, DeviceSpan<CompiledTarget, const float>,
                           DeviceSpan<CompiledTarget, float>);
template void candidate_scores(Stream<CompiledTarget>&, const ScoreShape&,
                               DeviceSpan<CompiledTarget, const half>,
                               DeviceSpan<CompiledTarget, const std::int8_t>,
                               DeviceSpan<CompiledTarget, const float>,
                               DeviceSpan<CompiledTarget, const TwinQuantizer<float>>,
                               DeviceSpan<CompiledTarget, const float>,
                               DeviceSpan<CompiledTarget, const float>, DeviceSpan<CompiledTarget, float>,
                               DeviceSpan<CompiledTarget, float>);

}  // namespace remeasure::kernels
