// SPDX-License-Identifier: Apache-2.0
//
// The product of twin-quantised activations with quantised weights, on integers (Yuan et al., "PTQ4ViT", ECCV
// 2022, section 3.2).
//
//   for (i < rows) for (j < columns) {
//     for (k < inner) (flag(a[i, k]) ? high : low) += magnitude(a[i, k]) * b[j, k];           // int32
//     out[i, j] = column_step[j] * (high_step * high + low_step * low);
//   }
//
// Optimisation: codes stay one byte up to the registers. There four of them are split by masks into two
// operands (six integer operations), for two mma.m16n8k32 into accumulators of their own: nothing is shifted,
// so no split is too far apart for int32, and the negative range after GELU is a negative step. Launch: (row
// tiles of 128, column tiles of 128, matrices) blocks of 256 threads, a warp per 16 rows; cp.async into two
// buffers. Per launch: 4 rows columns inner operations of s8 on tiles (two products), 3 per output; bytes: a,
// b and out once. Limits: inner a multiple of 16; bits 2 to 8; matrices <= 65535; 127 * 128 * inner below
// 2^31.
#include "kernels/precision/twin_gemm.h"

#include <stdexcept>
#include <string>

#include "kernels/precision/int8_tile.h"

namespace remeasure::kernels {
namespace {

constexpr int kColumns = 128;

/// Four codes as four magnitudes of each plane.
struct Planes {
  std::uint32_t low, high;
};
RM_DEVICE Planes split_codes(std::uint32_t codes, int bits) {
  const std::uint32_t flags = codes >> (bits - 1) & 0x01010101u, high = flags * 0xffu;
  const std::uint32_t magnitudes = codes & 0x01010101u * ((1u << (bits - 1)) - 1u);
  return {magnitudes & ~high, magnitudes & high};
}

__global__ void __launch_bounds__(kTileThreads, 1)
    twin_gemm_kernel(TwinGemmShape shape, TwinSteps steps, const std::uint8_t* __restrict__ a,
                     const std::int8_t* __restrict__ b, const float* __restrict__ column_step,
                     float* __restrict__ out) {
  constexpr int kTiles = kColumns / 8, kABytes = kTileRows * kInnerTile,
                kStage = kABytes + kColumns * kInnerTile;
  RM_SHARED(unsigned char, shared, [2 * kStage]);
  const int lane = lane_id(), warp = warp_id();
  const int first_row = static_cast<int>(blockIdx.x) * kTileRows,
            first_column = static_cast<int>(blockIdx.y) * kColumns;
  const long long matrix = blockIdx.z;
  a += matrix * shape.rows * shape.inner;
  b += matrix * shape.columns * shape.inner;
  out += matrix * shape.rows * shape.columns;
  const auto load = [&](int stage, int inner_tile) {
    load_codes<kTileRows>(shared + stage * kStage, a, first_row, shape.rows, shape.inner, inner_tile);
    load_codes<kColumns>(shared + stage * kStage + kABytes, b, first_column, shape.columns, shape.inner,
                         inner_tile);
  };

  std::int32_t low[kTiles][4] = {}, high[kTiles][4] = {};
  const int inner_tiles = (shape.inner + kInnerTile - 1) / kInnerTile;
  load(0, 0);
  for (int inner_tile = 0; inner_tile < inner_tiles; ++inner_tile) {
    copy_async_wait_all();
    __syncthreads();  // this tile has landed for all, and all are done with the other buffer
    const unsigned char* tile_a = shared + inner_tile % 2 * kStage;
    if (inner_tile + 1 < inner_tiles) load((inner_tile + 1) % 2, inner_tile + 1);
#pragma unroll
    for (int step = 0; step < 2; ++step) {
      std::uint32_t a_low[4], a_high[4];
#pragma unroll
      for (int below = 0; below < 2; ++below) {
        const uint2 codes = lane_codes(tile_a, 16 * warp + lane / 4 + 8 * below, step);
        const Planes first = split_codes(codes.x, shape.bits), second = split_codes(codes.y, shape.bits);
        a_low[below] = first.low, a_low[below + 2] = second.low;
        a_high[below] = first.high, a_high[below + 2] = second.high;
      }
#pragma unroll
      for (int tile = 0; tile < kTiles; ++tile) {
        const uint2 codes = lane_codes(tile_a + kABytes, 8 * tile + lane / 4, step);
        const std::uint32_t of_b[2] = {codes.x, codes.y};
        Mma16x8x32S8::multiply(low[tile], a_low, of_b, low[tile]);
        Mma16x8x32S8::multiply(high[tile], a_high, of_b, high[tile]);
      }
    }
  }

#pragma unroll
  for (int tile = 0; tile < kTiles; ++tile) {
#pragma unroll
    for (int r = 0; r < 4; ++r) {
      const int row = first_row + 16 * warp + lane / 4 + 8 * (r / 2),
                column = first_column + 8 * tile + 2 * (lane % 4) + r % 2;
      if (row >= shape.rows || column >= shape.columns) continue;
      const float of_column = column_step[column];
      const float sum =
          static_cast<float>(high[tile][r]) * steps.high + static_cast<float>(low[tile][r]) * steps.low;
      const float value = of_column * sum;
      out[static_cast<long long>(row) * shape.columns + column] = value;
    }
  }
}

}  // namespace

template <class Target>
void twin_gemm(Stream<Target>& stream, const TwinGemmShape& shape, const TwinSteps& steps,
               DeviceSpan<Target, const std::uint8_t> a, DeviceSpan<Target, const std::int8_t> b,
               DeviceSpan<Target, const float> column_step, DeviceSpan<Target, float> out) {
  constexpr int kMostInner = 2147483647 / (127 * 128);
  if (shape.matrices < 1 || shape.matrices > 65'535 || shape.rows < 1 || shape.columns < 1 ||
      shape.inner < 1 || shape.inner % 16 != 0 || shape.inner > kMostInner || shape.bits < 2 ||
      shape.bits > 8) {
    throw std::invalid_argument("twin_gemm: inner " + std::to_string(shape.inner) +
                                " must be a multiple of 16 up to " + std::to_string(kMostInner) + ", bits " +
                                std::to_string(shape.bits) +
                                " 2 to 8, rows and columns positive, matrices 1 to 65535");
  }
  if (a.size() != shape.a_size() || b.size() != shape.b_size() || out.size() != shape.out_size() ||
      column_step.size() != static_cast<std::size_t>(shape.columns)) {
    throw std::invalid_argument("twin_gemm: an array's size doesn't fit the shape");
  }
  launch({.name = "twin_gemm",
          .grid = dim3(blocks_for(shape.rows, kTileRows), blocks_for(shape.columns, kColumns),
                       static_cast<unsigned>(shape.matrices)),
          .block = kTileThreads},
         stream, twin_gemm_kernel, shape, steps, a.data(), b.data(), column_step.data(), out.data());
}

template void twin_gemm(Stream<CompiledTarget>&, const TwinGemmShape&, const TwinSteps&,
                        DeviceSpan<CompiledTarget, const std::uint8_t>,
                        DeviceSpan<CompiledTarget, const std::int8_t>,
                        DeviceSpan<CompiledTarget, const float>, DeviceSpan<CompiledTarget, float>);

}  // namespace remeasure::kernels
