// SPDX-License-Identifier: Apache-2.0
//
// Phase 1 of SMASH (arXiv 2105.14156) on the device: windows of rows whose products fit a table.
//
//   for (i = 0; i < rows; ++i) {
//     products = sum over k in A[i] of entries of B[k];
//     if (rows > 0 && (sum + products > planned || rows == most || i % 1024 == 0))
//       close the window before i, rows = sum = 0;
//     ++rows, sum += products;
//   }
//
// Greedy packing goes from row to row; parts of 1024 rows are packed apart. A warp packs a part: 32 rows at a
// time are summed up and a vote says how many still fit, so that a window takes two steps, not its rows.
//
// Launch: products: 8 lanes a row; pack: a warp for each part; parts: 1 block; place: a block for each part.
// Integers only. Bytes: A's and B's pointers, A's columns; 8 a row written and read, 12 a window written,
// read and written.
#include <stdexcept>
#include <string>

#include "kernels/device/kernel.h"
#include "kernels/device/warp_tile.h"
#include "kernels/graphs/block_scan.h"
#include "kernels/graphs/hash_spgemm.h"

namespace remeasure::kernels {
namespace {

using Lanes = WarpTile<8>;
constexpr int kRowsPerBlock = 256 / Lanes::kSize;

__global__ void __launch_bounds__(256)
    products_kernel(int rows, const std::int32_t* __restrict__ a_rows,
                    const std::int32_t* __restrict__ a_column, const std::int32_t* __restrict__ b_rows,
                    std::int64_t* __restrict__ products) {
  const int row = static_cast<int>(blockIdx.x) * kRowsPerBlock + Lanes::index_in_block();
  std::int64_t sum = 0;
  if (row < rows) {
    for (int entry = a_rows[row] + Lanes::rank(); entry < a_rows[row + 1]; entry += Lanes::kSize) {
      const int k = a_column[entry];
      sum += b_rows[k + 1] - b_rows[k];
    }
  }
  sum = Lanes::sum(sum);
  if (row < rows && Lanes::rank() == 0) products[row] = sum;
}

__global__ void __launch_bounds__(32)
    pack_kernel(int rows, int planned, int most_rows, const std::int64_t* __restrict__ products,
                std::int32_t* __restrict__ start, std::int64_t* __restrict__ start_product,
                std::int32_t* __restrict__ part_windows, std::int64_t* __restrict__ part_products) {
  RM_SHARED(std::int64_t, of_row, [kPlanRows]);
  const int part = static_cast<int>(blockIdx.x), begin = part * kPlanRows, lane = lane_id();
  const int end = begin + kPlanRows < rows ? begin + kPlanRows : rows;
  for (int row = begin + lane; row < end; row += 32) of_row[row - begin] = products[row];
  __syncwarp();
  int windows = 0;
  std::int64_t before = 0;
  for (int row = begin; row < end;) {
    int count = 0;
    std::int64_t sum = 0;
    for (;;) {
      const int place = count + lane;
      const bool exists = row + place < end && place < most_rows;
      std::int64_t inclusive = exists ? of_row[row + place - begin] : 0;
      for (unsigned distance = 1; distance < 32; distance *= 2) {
        const std::int64_t other = __shfl_up_sync(kFullWarp, inclusive, distance);
        if (lane >= static_cast<int>(distance)) inclusive += other;
      }
      // Sums ascend, so the lanes that fit are the first ones.
      const unsigned fits = __ballot_sync(kFullWarp, exists && sum + inclusive <= planned);
      const int more = __popc(fits);
      const std::int64_t added = __shfl_sync(kFullWarp, inclusive, more > 0 ? more - 1 : 0);
      if (more > 0) sum += added;
      count += more;
      if (more < 32) break;
    }
    if (count == 0) {  // a row that is too large has a window of its own
      count = 1;
      sum = of_row[row - begin];
    }
    if (lane == 0) {
      start[begin + windows] = row;
      start_product[begin + windows] = before;
    }
    ++windows;
    before += sum;
    row += count;
  }
  if (lane == 0) {
    part_windows[part] = windows;
    part_products[part] = before;
  }
}

/// Windows and products before each part, behind how many it has; the ends.
__global__ void __launch_bounds__(128)
    parts_kernel(int parts, int rows, std::int32_t* __restrict__ part_windows,
                 std::int64_t* __restrict__ part_products, std::int32_t* __restrict__ count,
                 std::int32_t* __restrict__ first_row, std::int64_t* __restrict__ first_product) {
  int windows = 0;
  std::int64_t products = 0;
  for (int begin = 0; begin < parts; begin += static_cast<int>(blockDim.x)) {
    const int part = begin + static_cast<int>(threadIdx.x);
    const bool exists = part < parts;
    int windows_here = 0;
    std::int64_t products_here = 0;
    const int windows_before = block_exclusive_sum(exists ? part_windows[part] : 0, windows_here);
    const std::int64_t products_before =
        block_exclusive_sum(exists ? part_products[part] : std::int64_t{0}, products_here);
    if (exists) {
      part_windows[parts + part] = windows + windows_before;
      part_products[parts + part] = products + products_before;
    }
    windows += windows_here;
    products += products_here;
  }
  if (threadIdx.x == 0) {
    *count = windows;
    first_row[windows] = rows;
    first_product[windows] = products;
  }
}

__global__ void __launch_bounds__(128)
    place_kernel(int parts, const std::int32_t* __restrict__ start,
                 const std::int64_t* __restrict__ start_product,
                 const std::int32_t* __restrict__ part_windows,
                 const std::int64_t* __restrict__ part_products, std::int32_t* __restrict__ first_row,
                 std::int64_t* __restrict__ first_product) {
  const int part = static_cast<int>(blockIdx.x), begin = part * kPlanRows;
  const int to = part_windows[parts + part];
  for (int window = static_cast<int>(threadIdx.x); window < part_windows[part];
       window += static_cast<int>(blockDim.x)) {
    first_row[to + window] = start[begin + window];
    first_product[to + window] = part_products[parts + part] + start_product[begin + window];
  }
}

void require(const char* what, std::size_t found, std::size_t wanted) {
  if (found >= wanted) return;
  throw std::invalid_argument(std::string("plan_windows: ") + what + " has " + std::to_string(found) +
                              " elements, expected " + std::to_string(wanted));
}

}  // namespace

template <class Target>
DeviceWindows<Target> plan_windows(Stream<Target>& stream, const CsrView<Target>& a, const CsrView<Target>& b,
                                   const TablePlan& table, std::int64_t products,
                                   const WindowScratch<Target>& scratch) {
  check_table(table, b.columns);
  if (a.columns != b.rows) {
    throw std::invalid_argument("plan_windows: A has " + std::to_string(a.columns) + " columns, B " +
                                std::to_string(b.rows) + " rows");
  }
  check_csr("plan_windows: A", a);
  check_csr("plan_windows: B", b);
  const auto rows = static_cast<std::size_t>(a.rows), parts = plan_parts(a.rows);
  require("the number of windows", scratch.count.size(), 1);
  require("first rows", scratch.first_row.size(), rows + 1);
  require("first products", scratch.first_product.size(), rows + 1);
  require("products of rows", scratch.products.size(), rows);
  require("starts", scratch.start.size(), rows);
  require("products before starts", scratch.start_product.size(), rows);
  require("windows of parts", scratch.part_windows.size(), 2 * parts);
  require("products of parts", scratch.part_products.size(), 2 * parts);
  const auto blocks = static_cast<unsigned>(parts);
  const auto row_count = static_cast<int>(a.rows);
  launch({.name = "smash_products", .grid = blocks_for(rows, kRowsPerBlock), .block = 256}, stream,
         products_kernel, row_count, a.row_pointers.data(), a.column_indices.data(), b.row_pointers.data(),
         scratch.products.data());
  launch({.name = "smash_pack", .grid = blocks, .block = 32}, stream, pack_kernel, row_count,
         table.products(), table.most_rows, scratch.products.data(), scratch.start.data(),
         scratch.start_product.data(), scratch.part_windows.data(), scratch.part_products.data());
  launch({.name = "smash_parts", .block = 128}, stream, parts_kernel, static_cast<int>(parts), row_count,
         scratch.part_windows.data(), scratch.part_products.data(), scratch.count.data(),
         scratch.first_row.data(), scratch.first_product.data());
  launch({.name = "smash_place", .grid = blocks, .block = 128}, stream, place_kernel, static_cast<int>(parts),
         scratch.start.data(), scratch.start_product.data(), scratch.part_windows.data(),
         scratch.part_products.data(), scratch.first_row.data(), scratch.first_product.data());
  return {table, scratch.count, scratch.first_row, scratch.first_product, products};
}

template DeviceWindows<CompiledTarget> plan_windows(Stream<CompiledTarget>&, const CsrView<CompiledTarget>&,
                                                    const CsrView<CompiledTarget>&, const TablePlan&,
                                                    std::int64_t, const WindowScratch<CompiledTarget>&);

}  // namespace remeasure::kernels
