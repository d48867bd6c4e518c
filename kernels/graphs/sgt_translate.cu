// SPDX-License-Identifier: Apache-2.0
//
// Sparse graph translation (TC-GNN, USENIX ATC 2023, section 4) on the device.
//
//   for (window w) {
//     keys = sort { (column of e, e) : e in rows 16 w .. 16 w + 15 };
//     tiles[w] = ceil(number of distinct columns / 8);
//   }
//   tile_pointers = prefix sums of tiles;
//   for (window w) for (i-th key) {
//     c = distinct columns before it;   column_map[8 tile_pointers[w] + c] = column;
//     condensed[e] = c;   places[i] = 8 row of e + c % 8;   edge_order[i] = e;   edge_pointers[...] = i
//     where c % 8 is 0;
//   }
//
// Optimisation: the edges of a CSR come by rows, so one sort by (column, edge) brings them into tile order
// too, with the rows of a column ascending; ranks are then counts of first occurrences. Bitonic, in
// shared memory for windows of up to 4,096 edges, else in place in device memory; all comparisons ascend (the
// first step of a merge is a flip), so that lengths that are no power of two need no padding.
// Launch: a block of 256 per window, one block of 1024 for the prefix sums, a block of 256 per window.
// Integer work alone. Bytes: reads 4 (N + E) twice over and 8 E of keys, writes 8 E keys, 9 E of edges, 4 (9
// T + 2 N / 16). Limits: a hub's window is sorted by one block.
#include "kernels/device/kernel.h"
#include "kernels/graphs/block_scan.h"
#include "kernels/graphs/sgt_translate.h"

namespace remeasure::kernels {
namespace {

constexpr int kThreads = 256;
constexpr int kScanThreads = 1024;

RM_DEVICE void order(std::uint64_t* keys, int low, int high, int count) {
  if (high >= count) return;  // what lies beyond is greater than everything
  const std::uint64_t a = keys[low], b = keys[high];
  if (a <= b) return;
  keys[low] = b;
  keys[high] = a;
}

/// Ascending. By the whole block; ends with a barrier.
RM_DEVICE void sort_keys(std::uint64_t* keys, int count) {
  int padded = 1;
  while (padded < count) padded *= 2;
  const int thread = static_cast<int>(threadIdx.x);
  for (int size = 2; size <= padded; size *= 2) {
    for (int i = thread; i < padded / 2; i += kThreads) {
      const int first = i / (size / 2) * size, offset = i % (size / 2);
      order(keys, first + offset, first + size - 1 - offset, count);
    }
    __syncthreads();
    for (int stride = size / 4; stride > 0; stride /= 2) {
      for (int i = thread; i < padded / 2; i += kThreads) {
        const int low = i / stride * 2 * stride + i % stride;
        order(keys, low, low + stride, count);
      }
      __syncthreads();
    }
  }
}

RM_DEVICE int column_of(std::uint64_t key) {
  return static_cast<int>(key >> 32);
}
RM_DEVICE bool is_first(const std::uint64_t* keys, int i) {
  return i == 0 || column_of(keys[i]) != column_of(keys[i - 1]);
}

/// Loads the window's keys, sorts them, and counts their distinct columns.
RM_DEVICE int sort_window(std::uint64_t* keys, const int* __restrict__ columns, int count) {
  for (int i = static_cast<int>(threadIdx.x); i < count; i += kThreads) {
    const std::uint64_t column = static_cast<std::uint64_t>(columns[i]);
    keys[i] = column << 32 | static_cast<std::uint64_t>(i);
  }
  __syncthreads();
  sort_keys(keys, count);
  int distinct = 0;
  for (int i = static_cast<int>(threadIdx.x); i < count; i += kThreads) distinct += is_first(keys, i) ? 1 : 0;
  return block_sum(distinct);
}

__global__ void __launch_bounds__(kThreads)
    sort_windows_kernel(long long rows, const int* __restrict__ row_pointers, const int* __restrict__ columns,
                        std::uint64_t* sorted, int* __restrict__ tile_pointers) {
  RM_SHARED(std::uint64_t, keys, [kSortedInShared]);
  const long long window = blockIdx.x, row = window * kWindowRows;
  const int first = row_pointers[row], count = row_pointers[min(rows, row + kWindowRows)] - first;
  int distinct;
  if (count <= kSortedInShared) {
    distinct = sort_window(keys, columns + first, count);
    for (int i = static_cast<int>(threadIdx.x); i < count; i += kThreads) sorted[first + i] = keys[i];
  } else {
    distinct = sort_window(sorted + first, columns + first, count);
  }
  if (threadIdx.x == 0) {
    tile_pointers[window + 1] = (distinct + kTileColumns - 1) / kTileColumns;
    if (window == 0) tile_pointers[0] = 0;
  }
}

/// values[i] = values[0] + ... + values[i], by one block.
__global__ void __launch_bounds__(kScanThreads) prefix_sum_kernel(long long count, int* values) {
  int carried = 0;
  for (long long base = 0; base < count; base += kScanThreads) {
    const long long i = base + threadIdx.x;
    const int value = i < count ? values[i] : 0;
    int total;
    const int sum = value + block_exclusive_sum(value, total);
    if (i < count) values[i] = carried + sum;
    carried += total;
  }
}

__global__ void __launch_bounds__(kThreads)
    place_edges_kernel(long long rows, const int* __restrict__ row_pointers,
                       const std::uint64_t* __restrict__ sorted, const int* __restrict__ tile_pointers,
                       int* __restrict__ column_map, int* __restrict__ edge_pointers,
                       std::uint8_t* __restrict__ places, int* __restrict__ edge_order,
                       int* __restrict__ condensed) {
  RM_SHARED(int, row_begin, [kWindowRows + 1]);
  const long long window = blockIdx.x, row0 = window * kWindowRows;
  const int thread = static_cast<int>(threadIdx.x);
  if (thread <= kWindowRows) row_begin[thread] = row_pointers[min(rows, row0 + thread)];
  __syncthreads();
  const int first = row_begin[0], count = row_begin[kWindowRows] - first;
  const int tile0 = tile_pointers[window], tiles = tile_pointers[window + 1] - tile0;
  int distinct = 0;  // columns before this round's keys
  for (int base = 0; base < count; base += kThreads) {
    const int i = base + thread;
    const bool exists = i < count, opens = exists && is_first(sorted + first, i);
    int total;
    const int before = block_exclusive_sum(opens ? 1 : 0, total);
    if (exists) {
      const std::uint64_t key = sorted[first + i];
      const int rank = distinct + before - (opens ? 0 : 1);
      const int edge = first + static_cast<int>(key & 0xffffffffu);
      int row = 0;  // the last one that begins at or before the edge
      for (int step = kWindowRows / 2; step > 0; step /= 2) row += row_begin[row + step] <= edge ? step : 0;
      condensed[edge] = rank;
      edge_order[first + i] = edge;
      places[first + i] = static_cast<std::uint8_t>(row * kTileColumns + rank % kTileColumns);
      if (opens) {
        column_map[static_cast<long long>(tile0) * kTileColumns + rank] = column_of(key);
        if (rank % kTileColumns == 0) edge_pointers[tile0 + rank / kTileColumns] = first + i;
      }
    }
    distinct += total;
  }
  for (int c = distinct + thread; c < tiles * kTileColumns; c += kThreads) {
    column_map[static_cast<long long>(tile0) * kTileColumns + c] = -1;
  }
  if (window + 1 == gridDim.x && thread == 0) edge_pointers[tile0 + tiles] = first + count;
}

}  // namespace

template <class Target>
void sgt_translate(Stream<Target>& stream, const CsrView<Target>& csr,
                   DeviceSpan<Target, std::uint64_t> sorted, const TranslationArrays<Target>& out) {
  check_csr("sgt_translate", csr);
  const auto windows = static_cast<std::size_t>(window_count(csr.rows));
  const auto edges = static_cast<std::size_t>(csr.edges());
  if (windows == 0 || sorted.size() < edges || out.tile_pointers.size() != windows + 1 ||
      out.column_map.size() % kTileColumns != 0 ||
      out.edge_pointers.size() != out.column_map.size() / kTileColumns + 1 || out.places.size() != edges ||
      out.edge_order.size() != edges || out.condensed.size() != edges) {
    throw std::invalid_argument(
        "sgt_translate: no rows, or arrays that don't fit them: windows + 1 tile pointers, 8 columns a tile, "
        "tiles + 1 edge pointers, and as many keys, places, orders and condensed columns as edges");
  }
  const auto grid = static_cast<unsigned>(windows);
  launch({.name = "sort_windows", .grid = grid, .block = kThreads}, stream, sort_windows_kernel, csr.rows,
         csr.row_pointers.data(), csr.column_indices.data(), sorted.data(), out.tile_pointers.data());
  launch({.name = "prefix_sum", .grid = 1, .block = kScanThreads}, stream, prefix_sum_kernel,
         static_cast<long long>(windows) + 1, out.tile_pointers.data());
  launch({.name = "place_edges", .grid = grid, .block = kThreads}, stream, place_edges_kernel, csr.rows,
         csr.row_pointers.data(), sorted.data(), out.tile_pointers.data(), out.column_map.data(),
         out.edge_pointers.data(), out.places.data(), out.edge_order.data(), out.condensed.data());
}

template void sgt_translate(Stream<CompiledTarget>&, const CsrView<CompiledTarget>&,
                            DeviceSpan<CompiledTarget, std::uint64_t>,
                            const TranslationArrays<CompiledTarget>&);

}  // namespace remeasure::kernels
