// SPDX-License-Identifier: Apache-2.0
//
// Scores of edges over a translated graph: the sampled dense-dense product of TC-GNN (USENIX ATC 2023,
// algorithm 3).
//
//   for (window w) for (pair of tiles of w: 16 condensed columns) {
//     S = A[16 w .. 16 w + 15, :] * B[columns of the pair, :]^T;      // 16 x 16, TF32, fp32 sums
//     for (edge e of the pair) scores[e] = S[row of e, column of e];
//   }
//
// Optimisation: the window's rows of A are rounded once and kept in shared memory; warps take turns at the
// pairs and share nothing else. A sum doesn't mind the order of its terms, so a lane takes four neighbours of
// a row as one 16-byte load, and uses them as the two places along K of two products: rows of B go from
// memory to registers in whole sectors, without shared memory. The 16 x 16 result passes through shared
// memory, from which edges pick theirs.
// Launch: a block of 128 per part of a window.
// FLOP: 2 * 16 * 16 * dim per pair (dim rounded up to 16), useful 2 E dim.
// Bytes: 4 N dim twice (rows that occur), E + 36 T, 8 E.
// Limits: dim a multiple of 4, up to 512; windows are split as for tc_spmm.
#include "kernels/device/kernel.h"
#include "kernels/device/mma.h"
#include "kernels/graphs/tc_spmm.h"

namespace remeasure::kernels {
namespace {

constexpr int kThreads = 128;
constexpr int kWarps = kThreads / 32;
constexpr int kResultStride = 17;
constexpr int kMostDim = 512;

/// 16 mod 32 floats: two neighbouring rows, which a quarter of a warp reads at once, are in different banks.
RM_HOST_DEVICE constexpr int row_stride(int dim) {
  const int padded = (dim + 15) / 16 * 16;
  return padded % 32 == 0 ? padded + 16 : padded;
}

__global__ void __launch_bounds__(kThreads)
    tc_sddmm_kernel(long long rows, int dim, const int* __restrict__ parts,
                    const int* __restrict__ column_map, const int* __restrict__ edge_pointers,
                    const std::uint8_t* __restrict__ places, const int* __restrict__ edge_order,
                    const float* __restrict__ a, const float* __restrict__ b, float* __restrict__ scores) {
  RM_DYNAMIC_SHARED(std::uint32_t, own_rows);
  RM_SHARED(float, results, [kWarps][kWindowRows * kResultStride]);
  const int4 part = reinterpret_cast<const int4*>(parts)[blockIdx.x];  // window, first tile, end
  const long long row0 = static_cast<long long>(part.x) * kWindowRows;
  const int tile_begin = part.y, tile_end = part.z;
  if (tile_begin == tile_end) return;
  const int stride = row_stride(dim), padded = (dim + 15) / 16 * 16;
  for (int i = static_cast<int>(threadIdx.x); i < kWindowRows * (padded / 4); i += kThreads) {
    const int row = i / (padded / 4), d = 4 * (i % (padded / 4));
    float4 v = make_float4(0, 0, 0, 0);
    if (row0 + row < rows && d < dim) v = *reinterpret_cast<const float4*>(a + (row0 + row) * dim + d);
    std::uint32_t* to = own_rows + row * stride + d;
    to[0] = to_tf32(v.x);
    to[1] = to_tf32(v.y);
    to[2] = to_tf32(v.z);
    to[3] = to_tf32(v.w);
  }
  __syncthreads();

  const int group = lane_id() / 4, place = lane_id() % 4;
  float* const result = results[warp_id()];
  for (int tile = tile_begin + 2 * warp_id(); tile < tile_end; tile += 2 * kWarps) {
    const float* from[2];
    bool exists[2];
#pragma unroll
    for (int n = 0; n < 2; ++n) {
      const int column =
          tile + n < tile_end ? column_map[static_cast<long long>(tile + n) * kTileColumns + group] : -1;
      exists[n] = column >= 0;
      from[n] = b + (exists[n] ? static_cast<long long>(column) * dim : 0);
    }
    float sums[2][4] = {};
#pragma unroll 2
    for (int d0 = 0; d0 < padded; d0 += 16) {
      const int d = d0 + 4 * place;
      const uint4 low = *reinterpret_cast<const uint4*>(own_rows + group * stride + d);
      const uint4 high = *reinterpret_cast<const uint4*>(own_rows + (group + 8) * stride + d);
      const std::uint32_t first[4] = {low.x, high.x, low.y, high.y},
                          second[4] = {low.z, high.z, low.w, high.w};
#pragma unroll
      for (int n = 0; n < 2; ++n) {
        float4 v = make_float4(0, 0, 0, 0);
        if (exists[n] && d < dim) v = *reinterpret_cast<const float4*>(from[n] + d);
        const std::uint32_t of_first[2] = {to_tf32(v.x), to_tf32(v.y)},
                            of_second[2] = {to_tf32(v.z), to_tf32(v.w)};
        Mma16x8x8Tf32::multiply(sums[n], first, of_first, sums[n]);
        Mma16x8x8Tf32::multiply(sums[n], second, of_second, sums[n]);
      }
    }
#pragma unroll
    for (int n = 0; n < 2; ++n) {
#pragma unroll
      for (int r = 0; r < 4; ++r)
        result[(group + 8 * (r / 2)) * kResultStride + 8 * n + 2 * place + r % 2] = sums[n][r];
    }
    __syncwarp();
    const int second_tile = edge_pointers[tile + 1], end = edge_pointers[min(tile + 2, tile_end)];
    for (int i = edge_pointers[tile] + lane_id(); i < end; i += 32) {
      const int at = places[i], column = at % kTileColumns + (i < second_tile ? 0 : kTileColumns);
      scores[edge_order[i]] = result[at / kTileColumns * kResultStride + column];
    }
    __syncwarp();  // before the next pair's results
  }
}

}  // namespace

template <class Target>
void tc_sddmm(Stream<Target>& stream, const RowWindowsView<Target>& windows,
              const WindowPartsView<Target>& parts, int dim, DeviceSpan<Target, const float> a,
              DeviceSpan<Target, const float> b, DeviceSpan<Target, float> scores) {
  check_windows("tc_sddmm", windows, scores.size());
  check_aggregation("tc_sddmm", windows.rows, windows.columns, dim, b.size(), a.size());
  check_parts("tc_sddmm", windows, WindowPartsView<Target>{parts.parts, {}, {}, 0}, dim);
  if (dim > kMostDim)
    throw std::invalid_argument("tc_sddmm: rows of more than 512 values don't fit shared memory");
  launch({.name = "tc_sddmm",
          .grid = static_cast<unsigned>(parts.parts.size() / 4),
          .block = kThreads,
          .shared_bytes = static_cast<std::size_t>(kWindowRows * row_stride(dim)) * sizeof(float)},
         stream, tc_sddmm_kernel, windows.rows, dim, parts.parts.data(), windows.column_map.data(),
         windows.edge_pointers.data(), windows.places.data(), windows.edge_order.data(), a.data(), b.data(),
         scores.data());
}

template void tc_sddmm(Stream<CompiledTarget>&, const RowWindowsView<CompiledTarget>&,
                       const WindowPartsView<CompiledTarget>&, int, DeviceSpan<CompiledTarget, const float>,
                       DeviceSpan<CompiledTarget, const float>, DeviceSpan<CompiledTarget, float>);

}  // namespace remeasure::kernels
