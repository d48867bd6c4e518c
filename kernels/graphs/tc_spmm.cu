// SPDX-License-Identifier: Apache-2.0
//
// Y = A X over a translated graph (TC-GNN, USENIX ATC 2023, section 5.1), without the public kernel's search:
// edges are sorted by tile.
//
//   for (window w) for (tile t of w) {
//     block = 0;   for (edge i of t) block[places[i] / 8, places[i] % 8] = weight of i;     // 16 x 8
//     Y[16 w .. 16 w + 15, :] += block * X[column_map[8 t .. 8 t + 7], :];                  // TF32
//   }
//
// Optimisation: warps share nothing, so there is no barrier until the end. A warp gathers its slice of 8 rows
// of X by cp.async while it multiplies the previous 8 (two buffers, column numbers one tile further ahead),
// scatters its block's edges into 16 x 8 shared floats, and holds its sums in registers. For narrow X, where
// 16 columns are all there is, the four warps take turns at the tiles instead and add up at the end. Strides
// of 8 mod 32 and 12 keep fragment loads free of bank conflicts.
// Windows of more than 32 tiles, those of hubs, are split among blocks, whose sums meet in scratch memory in
// order.
// Launch: (parts, dim / 128) blocks of 128, and (split windows, dim / 32) of 128 for their sums.
// FLOP: 2 * 16 * 8 * dim * T (dim rounded up to the block's columns), useful 2 E dim.
// Bytes: 32 T dim gathered before the caches (4 dim per column that occurs at least), 4 N dim,
// E + 36 T, 16 per part, 128 dim per slot; weights 8 E.
// Limits: dim a multiple of 4.
#include "kernels/device/copy.h"
#include "kernels/device/mma.h"
#include "kernels/graphs/csr_window.h"
#include "kernels/graphs/tc_spmm.h"

namespace remeasure::kernels {
namespace {

enum class Mode { plain, weighted, hybrid };

/// Shared memory of one warp, in floats: two buffers of gathered rows and the block.
template <int kSlice>
struct WarpTiles {
  static constexpr int kRowStride = kSlice + 8;  // 8 mod 32 or 24: lanes of a B fragment hit 32 banks
  static constexpr int kBlockStride = 12;        // so do those of an A fragment
  static constexpr int kRows = kTileColumns * kRowStride;
  static constexpr int kBlock = kWindowRows * kBlockStride;
  static constexpr int kFloats = 2 * kRows + kBlock;
};

/// A lane copies kSlice / 16 chunks of 16 bytes; these are their rows of the tile.
template <int kSlice>
RM_DEVICE int gathered_row(int chunk) {
  return (lane_id() + 32 * chunk) / (kSlice / 4);
}

template <int kSlice>
RM_DEVICE void load_columns(int (&columns)[kSlice / 16], const int* __restrict__ column_map, long long tile) {
#pragma unroll
  for (int j = 0; j < kSlice / 16; ++j)
    columns[j] = column_map[tile * kTileColumns + gathered_row<kSlice>(j)];
}

/// Begins to copy the rows; padding and columns beyond dim become zeros.
template <int kSlice>
RM_DEVICE void gather(float* to, const int (&columns)[kSlice / 16], const float* __restrict__ x, int column0,
                      int dim) {
#pragma unroll
  for (int j = 0; j < kSlice / 16; ++j) {
    const int chunk = 4 * ((lane_id() + 32 * j) % (kSlice / 4));
    const bool exists = columns[j] >= 0 && column0 + chunk < dim;
    const float* from = x + (exists ? static_cast<long long>(columns[j]) * dim + column0 + chunk : 0);
    copy_async<16>(to + gathered_row<kSlice>(j) * WarpTiles<kSlice>::kRowStride + chunk, from,
                   exists ? 16 : 0);
  }
}

/// The 16 x 8 block of one tile.
template <bool kWeighted>
RM_DEVICE void scatter_edges(float* block, int first, int end, const std::uint8_t* __restrict__ places,
                             const int* __restrict__ edge_order, const float* __restrict__ weights) {
  constexpr int kStride = WarpTiles<16>::kBlockStride;
  for (int i = lane_id(); i < kWindowRows * kStride / 4; i += 32)
    reinterpret_cast<float4*>(block)[i] = make_float4(0, 0, 0, 0);
  __syncwarp();
  for (int i = first + lane_id(); i < end; i += 32) {
    const int place = places[i];
    float weight = 1.0f;
    if constexpr (kWeighted) weight = __uint_as_float(to_tf32(weights[edge_order[i]]));
    block[place / kTileColumns * kStride + place % kTileColumns] = weight;
  }
}

/// sums += block * rows
template <int kSlice>
RM_DEVICE void multiply_tile(float (&sums)[kSlice / 8][4], const float* block, const float* rows) {
  using Tiles = WarpTiles<kSlice>;
  const int group = lane_id() / 4, place = lane_id() % 4;
  std::uint32_t a[4];
#pragma unroll
  for (int r = 0; r < 4; ++r) {
    a[r] = __float_as_uint(block[(group + 8 * (r % 2)) * Tiles::kBlockStride + place + 4 * (r / 2)]);
  }
#pragma unroll
  for (int n = 0; n < kSlice / 8; ++n) {
    const std::uint32_t b[2] = {to_tf32(rows[place * Tiles::kRowStride + 8 * n + group]),
                                to_tf32(rows[(place + 4) * Tiles::kRowStride + 8 * n + group])};
    Mma16x8x8Tf32::multiply(sums[n], a, b, sums[n]);
  }
}

template <int kSlice, int kDepthWarps, Mode kMode>
__global__ void __launch_bounds__(kSpmmThreads)
    tc_spmm_kernel(long long rows, int dim, const int* __restrict__ parts, float* __restrict__ scratch,
                   const int* __restrict__ column_map, const int* __restrict__ edge_pointers,
                   const std::uint8_t* __restrict__ places, const int* __restrict__ edge_order,
                   const float* __restrict__ weights, const int* __restrict__ row_pointers,
                   const int* __restrict__ column_indices, const float* __restrict__ x,
                   float* __restrict__ y) {
  using Tiles = WarpTiles<kSlice>;
  constexpr int kColumnWarps = kSpmmThreads / 32 / kDepthWarps, kColumns = kColumnWarps * kSlice;
  RM_SHARED(float4, shared, [kSpmmThreads / 32][Tiles::kFloats / 4]);
  const int4 part = reinterpret_cast<const int4*>(parts)[blockIdx.x];  // window, first tile, end, place
  const long long window = part.x;
  const int tile_begin = part.y, tile_end = part.z;
  if constexpr (kMode == Mode::hybrid) {
    if (part.w == WindowParts::kCudaCores) {
      csr_window<kColumns>(window, rows, dim, static_cast<int>(blockIdx.y) * kColumns, row_pointers,
                           column_indices, nullptr, x, y);
      return;
    }
  }
  const int depth = warp_id() / kColumnWarps;
  const int column0 = static_cast<int>(blockIdx.y) * kColumns + warp_id() % kColumnWarps * kSlice;
  float* const own = reinterpret_cast<float*>(shared[warp_id()]);
  float* const block = own + 2 * Tiles::kRows;

  float sums[kSlice / 8][4] = {};
  int columns[kSlice / 16];
  int tile = tile_begin + depth;
  if (tile < tile_end) {
    load_columns<kSlice>(columns, column_map, tile);
    gather<kSlice>(own, columns, x, column0, dim);
    if (tile + kDepthWarps < tile_end) load_columns<kSlice>(columns, column_map, tile + kDepthWarps);
  }
  copy_async_commit();
  for (int buffer = 0; tile < tile_end; tile += kDepthWarps, buffer ^= 1) {
    if (tile + kDepthWarps < tile_end) {
      gather<kSlice>(own + (buffer ^ 1) * Tiles::kRows, columns, x, column0, dim);
      if (tile + 2 * kDepthWarps < tile_end)
        load_columns<kSlice>(columns, column_map, tile + 2 * kDepthWarps);
    }
    copy_async_commit();
    scatter_edges<kMode == Mode::weighted>(block, edge_pointers[tile], edge_pointers[tile + 1], places,
                                           edge_order, weights);
    copy_async_wait<1>();  // for this tile's rows
    __syncwarp();          // all lanes' copies and edges are there
    multiply_tile<kSlice>(sums, block, own + buffer * Tiles::kRows);
    __syncwarp();  // before the next tile overwrites them
  }
  if constexpr (kDepthWarps > 1) {
    float* const registers = own;  // of this warp, no longer needed for rows
    if (depth > 0) {
#pragma unroll
      for (int i = 0; i < kSlice / 2; ++i) registers[32 * i + lane_id()] = sums[i / 4][i % 4];
    }
    __syncthreads();
    if (depth > 0) return;
#pragma unroll
    for (int other = 1; other < kDepthWarps; ++other) {
      const float* of_other = reinterpret_cast<const float*>(shared[warp_id() + other * kColumnWarps]);
#pragma unroll
      for (int i = 0; i < kSlice / 2; ++i) sums[i / 4][i % 4] += of_other[32 * i + lane_id()];
    }
  }
  const bool whole = part.w < 0;
  float* const to =
      whole ? y + window * kWindowRows * dim : scratch + static_cast<long long>(part.w) * kWindowRows * dim;
#pragma unroll
  for (int half_tile = 0; half_tile < 2; ++half_tile) {
    const int row = lane_id() / 4 + 8 * half_tile;
    if (whole && window * kWindowRows + row >= rows) continue;
#pragma unroll
    for (int n = 0; n < kSlice / 8; ++n) {
      const int column = column0 + 8 * n + 2 * (lane_id() % 4);
      if (column >= dim) continue;
      *reinterpret_cast<float2*>(to + row * dim + column) =
          make_float2(sums[n][2 * half_tile], sums[n][2 * half_tile + 1]);
    }
  }
}

/// Y's rows of a split window are the sum of its slots, in order: a thread per four values.
__global__ void __launch_bounds__(kSpmmThreads)
    sum_slots_kernel(long long rows, int dim, const int* __restrict__ splits,
                     const float* __restrict__ scratch, float* __restrict__ y) {
  const int4 split = reinterpret_cast<const int4*>(splits)[blockIdx.x];  // window, first slot, slots
  const int i = static_cast<int>(blockIdx.y * kSpmmThreads + threadIdx.x), values = kWindowRows * dim;
  const long long row0 = static_cast<long long>(split.x) * kWindowRows;
  if (4 * i >= values || row0 + 4 * i / dim >= rows) return;
  const float4* from =
      reinterpret_cast<const float4*>(scratch + static_cast<long long>(split.y) * values) + i;
  float4 sum = *from;
#pragma unroll 4
  for (int slot = 1; slot < split.z; ++slot) {
    const float4 v = from[static_cast<long long>(slot) * (values / 4)];
    sum.x += v.x;
    sum.y += v.y;
    sum.z += v.z;
    sum.w += v.w;
  }
  reinterpret_cast<float4*>(y + row0 * dim)[i] = sum;
}

template <int kColumns>
__global__ void __launch_bounds__(kSpmmThreads)
    csr_spmm_kernel(long long rows, int dim, const int* __restrict__ row_pointers,
                    const int* __restrict__ column_indices, const float* __restrict__ values,
                    const float* __restrict__ x, float* __restrict__ y) {
  csr_window<kColumns>(blockIdx.x, rows, dim, static_cast<int>(blockIdx.y) * kColumns, row_pointers,
                       column_indices, values, x, y);
}

dim3 grid_of(std::int64_t rows, const SpmmPlan& plan) {
  return dim3(static_cast<unsigned>(window_count(rows)), static_cast<unsigned>(plan.column_blocks));
}

template <Mode kMode, class Target>
void launch_spmm(const char* name, Stream<Target>& stream, const RowWindowsView<Target>& windows,
                 const WindowPartsView<Target>& parts, const CsrView<Target>& csr, int dim,
                 DeviceSpan<Target, const float> weights, DeviceSpan<Target, const float> x,
                 DeviceSpan<Target, float> y) {
  check_windows(name, windows, windows.places.size());
  check_aggregation(name, windows.rows, windows.columns, dim, x.size(), y.size());
  check_parts(name, windows, parts, dim);
  const SpmmPlan plan = spmm_plan(dim);
  const auto run = [&](auto kernel) {
    launch({.name = name,
            .grid = dim3(static_cast<unsigned>(parts.parts.size() / 4),
                         static_cast<unsigned>(plan.column_blocks)),
            .block = kSpmmThreads},
           stream, kernel, windows.rows, dim, parts.parts.data(), parts.scratch.data(),
           windows.column_map.data(), windows.edge_pointers.data(), windows.places.data(),
           windows.edge_order.data(), weights.data(), csr.row_pointers.data(), csr.column_indices.data(),
           x.data(), y.data());
  };
  if (plan.slice == 32) {
    run(tc_spmm_kernel<32, 1, kMode>);
  } else if (plan.depth_warps == 4) {
    run(tc_spmm_kernel<16, 4, kMode>);
  } else if (plan.depth_warps == 2) {
    run(tc_spmm_kernel<16, 2, kMode>);
  } else {
    run(tc_spmm_kernel<16, 1, kMode>);
  }
  if (parts.splits.size() == 0) return;
  launch({.name = "sum_slots",
          .grid = dim3(static_cast<unsigned>(parts.splits.size() / 4),
                       blocks_for(kWindowRows * dim / 4, kSpmmThreads)),
          .block = kSpmmThreads},
         stream, sum_slots_kernel, windows.rows, dim, parts.splits.data(), parts.scratch.data(), y.data());
}

}  // namespace

template <class Target>
void tc_spmm(Stream<Target>& stream, const RowWindowsView<Target>& windows,
             const WindowPartsView<Target>& parts, int dim, DeviceSpan<Target, const float> weights,
             DeviceSpan<Target, const float> x, DeviceSpan<Target, float> y) {
  if (weights.size() == 0)
    return launch_spmm<Mode::plain, Target>("tc_spmm", stream, windows, parts, {}, dim, weights, x, y);
  check_windows("tc_spmm: weights", windows, weights.size());
  launch_spmm<Mode::weighted, Target>("tc_spmm_weighted", stream, windows, parts, {}, dim, weights, x, y);
}

template <class Target>
void hybrid_spmm(Stream<Target>& stream, const RowWindowsView<Target>& windows,
                 const WindowPartsView<Target>& parts, const CsrView<Target>& csr, int dim,
                 DeviceSpan<Target, const float> x, DeviceSpan<Target, float> y) {
  check_csr("hybrid_spmm", csr);
  check_windows("hybrid_spmm", windows, static_cast<std::size_t>(csr.edges()));
  if (csr.rows != windows.rows || csr.columns != windows.columns || csr.values.size() != 0)
    check_aggregation("hybrid_spmm", -1, 0, 0, 0, 0);
  launch_spmm<Mode::hybrid, Target>("hybrid_spmm", stream, windows, parts, csr, dim, {}, x, y);
}

template <class Target>
void csr_spmm(Stream<Target>& stream, const CsrView<Target>& csr, int dim, DeviceSpan<Target, const float> x,
              DeviceSpan<Target, float> y) {
  check_csr("csr_spmm", csr);
  check_aggregation("csr_spmm", csr.rows, csr.columns, dim, x.size(), y.size());
  const SpmmPlan plan = spmm_plan(dim);
  const auto run = [&](auto kernel) {
    launch({.name = "csr_spmm", .grid = grid_of(csr.rows, plan), .block = kSpmmThreads}, stream, kernel,
           csr.rows, dim, csr.row_pointers.data(), csr.column_indices.data(), csr.values.data(), x.data(),
           y.data());
  };
  switch (plan.columns()) {
    case 16:
      return run(csr_spmm_kernel<16>);
    case 32:
      return run(csr_spmm_kernel<32>);
    case 64:
      return run(csr_spmm_kernel<64>);
    default:
      run(csr_spmm_kernel<128>);
  }
}

template void tc_spmm(Stream<CompiledTarget>&, const RowWindowsView<CompiledTarget>&,
                      const WindowPartsView<CompiledTarget>&, int, DeviceSpan<CompiledTarget, const float>,
                      DeviceSpan<CompiledTarget, const float>, DeviceSpan<CompiledTarget, float>);
template void hybrid_spmm(Stream<CompiledTarget>&, const RowWindowsView<CompiledTarget>&,
                          const WindowPartsView<CompiledTarget>&, const CsrView<CompiledTarget>&, int,
                          DeviceSpan<CompiledTarget, const float>, DeviceSpan<CompiledTarget, float>);
template void csr_spmm(Stream<CompiledTarget>&, const CsrView<CompiledTarget>&, int,
                       DeviceSpan<CompiledTarget, const float>, DeviceSpan<CompiledTarget, float>);

}  // namespace remeasure::kernels
