// SPDX-License-Identifier: Apache-2.0
//
// Y = A X over a translated graph as TC-GNN's public kernel does it (USENIX ATC 2023, algorithm 2): the
// ablation of tc_spmm.
//
//   for (window w) for (tile t of w) {
//     block = 0;
//     for (edge e of w) if (condensed[e] / 8 == t - first tile of w) block[row of e, condensed[e] % 8] = 1;
//     Y[16 w .. 16 w + 15, :] += block * X[column_map[8 t .. 8 t + 7], :];
//   }
//
// No optimisation beyond tensor cores: every tile looks through all edges of its window, E_w * tiles_w loads
// of 4 B where tc_spmm has E_w of 1 B, and block and rows are loaded between barriers. Weights are 1, as
// there.
// Launch: (windows, dim / 128) blocks of 128. FLOP as tc_spmm.
// Bytes: the same distinct ones but for 8
// E instead of E.
// Limits: dim a multiple of 4.
#include "kernels/device/kernel.h"
#include "kernels/device/mma.h"
#include "kernels/graphs/tc_spmm.h"

namespace remeasure::kernels {
namespace {

constexpr int kThreads = 128;
constexpr int kWarps = kThreads / 32;

/// kSlices slices of 16 columns per warp: the block covers 64 kSlices.
template <int kSlices>
__global__ void __launch_bounds__(kThreads)
    rescan_kernel(long long rows, int dim, const int* __restrict__ row_pointers,
                  const int* __restrict__ tile_pointers, const int* __restrict__ column_map,
                  const int* __restrict__ condensed, const int* __restrict__ edge_rows,
                  const float* __restrict__ x, float* __restrict__ y) {
  constexpr int kColumns = 16 * kWarps * kSlices, kRowStride = kColumns + 8, kBlockStride = 12;
  RM_SHARED(float, block, [kWindowRows * kBlockStride]);
  RM_SHARED(float, gathered, [kTileColumns * kRowStride]);
  const long long window = blockIdx.x, row0 = window * kWindowRows;
  const int thread = static_cast<int>(threadIdx.x), column0 = static_cast<int>(blockIdx.y) * kColumns;
  const int width = min(kColumns, dim - column0);
  const int edge_begin = row_pointers[row0], edge_end = row_pointers[min(rows, row0 + kWindowRows)];
  const int tile_begin = tile_pointers[window], tile_end = tile_pointers[window + 1];
  const int group = lane_id() / 4, place = lane_id() % 4;
  float sums[2 * kSlices][4] = {};
  for (int tile = tile_begin; tile < tile_end; ++tile) {
    for (int i = thread; i < kWindowRows * kBlockStride; i += kThreads) block[i] = 0;
    __syncthreads();  // the block is empty
    const int first = (tile - tile_begin) * kTileColumns;
    for (int e = edge_begin + thread; e < edge_end; e += kThreads) {
      const int column = condensed[e] - first;
      if (column >= 0 && column < kTileColumns) block[edge_rows[e] * kBlockStride + column] = 1;
    }
    for (int i = thread; i < kTileColumns * kColumns; i += kThreads) {
      const int row = i / kColumns, d = i % kColumns;
      const int column = column_map[static_cast<long long>(tile) * kTileColumns + row];
      gathered[row * kRowStride + d] =
          column >= 0 && d < width ? x[static_cast<long long>(column) * dim + column0 + d] : 0.0f;
    }
    __syncthreads();
    std::uint32_t a[4];
#pragma unroll
    for (int r = 0; r < 4; ++r)
      a[r] = __float_as_uint(block[(group + 8 * (r % 2)) * kBlockStride + place + 4 * (r / 2)]);
#pragma unroll
    for (int n = 0; n < 2 * kSlices; ++n) {
      const int column = 16 * (warp_id() + kWarps * (n / 2)) + 8 * (n % 2) + group;
      if (column - group >= width) continue;  // the same for the whole warp: a column of 8 beyond dim
      const std::uint32_t b[2] = {to_tf32(gathered[place * kRowStride + column]),
                                  to_tf32(gathered[(place + 4) * kRowStride + column])};
      Mma16x8x8Tf32::multiply(sums[n], a, b, sums[n]);
    }
    __syncthreads();
  }
#pragma unroll
  for (int i = 0; i < 2 * kSlices * 4; i += 2) {
    const int n = i / 4, r = i % 4;
    const long long row = row0 + group + 8 * (r / 2);
    const int d = 16 * (warp_id() + kWarps * (n / 2)) + 8 * (n % 2) + 2 * place;
    if (row < rows && d < width)
      *reinterpret_cast<float2*>(y + row * dim + column0 + d) = make_float2(sums[n][r], sums[n][r + 1]);
  }
}

}  // namespace

template <class Target>
void tc_spmm_rescan(Stream<Target>& stream, const RowWindowsView<Target>& windows, const CsrView<Target>& csr,
                    DeviceSpan<Target, const std::int32_t> condensed,
                    DeviceSpan<Target, const std::int32_t> edge_rows, int dim,
                    DeviceSpan<Target, const float> x, DeviceSpan<Target, float> y) {
  check_csr("tc_spmm_rescan", csr);
  check_aggregation("tc_spmm_rescan", csr.rows, csr.columns, dim, x.size(), y.size());
  const auto edges = static_cast<std::size_t>(csr.edges());
  if (windows.rows != csr.rows ||
      windows.tile_pointers.size() != static_cast<std::size_t>(window_count(csr.rows)) + 1 ||
      condensed.size() != edges || edge_rows.size() != edges || csr.values.size() != 0) {
    check_aggregation("tc_spmm_rescan", -1, 0, 0, 0, 0);
  }
  const auto run = [&](auto kernel, int columns) {
    launch({.name = "tc_spmm_rescan",
            .grid = dim3(static_cast<unsigned>(window_count(csr.rows)), blocks_for(dim, columns)),
            .block = kThreads},
           stream, kernel, csr.rows, dim, csr.row_pointers.data(), windows.tile_pointers.data(),
           windows.column_map.data(), condensed.data(), edge_rows.data(), x.data(), y.data());
  };
  if (dim <= 64) return run(rescan_kernel<1>, 64);
  run(rescan_kernel<2>, 128);
}

template void tc_spmm_rescan(Stream<CompiledTarget>&, const RowWindowsView<CompiledTarget>&,
                             const CsrView<CompiledTarget>&, DeviceSpan<CompiledTarget, const std::int32_t>,
                             DeviceSpan<CompiledTarget, const std::int32_t>, int,
                             DeviceSpan<CompiledTarget, const float>, DeviceSpan<CompiledTarget, float>);

}  // namespace remeasure::kernels
