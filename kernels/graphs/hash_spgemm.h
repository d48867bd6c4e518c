// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/device/device.h"
#include "kernels/graphs/product_windows.h"
#include "kernels/graphs/slot_hash.h"

namespace remeasure::kernels {

/// How the products of a window are dealt out to threads.
enum class WorkShare {
  rows,    ///< in advance: a row, or a part of one where there are more threads than rows, to a thread
  tokens,  ///< equal numbers of products, taken from a counter
};

/// Where sums grow.
enum class SumPlace {
  table,      ///< beside the tag, in scratchpad
  fragments,  ///< in a dense array in memory, in the order of insertion; the table holds the place
};

struct SmashVersion {
  const char* name;
  SlotHash hash;
  WorkShare share;
  SumPlace sums;
};

// The paper's three versions, and what a GPU is better off with: V2 with a hash that mixes.
inline constexpr SmashVersion kSmashV1{"smash_v1", SlotHash::high, WorkShare::rows, SumPlace::table};
inline constexpr SmashVersion kSmashV2{"smash_v2", SlotHash::low, WorkShare::tokens, SumPlace::table};
inline constexpr SmashVersion kSmashV3{"smash_v3", SlotHash::low, WorkShare::tokens, SumPlace::fragments};
inline constexpr SmashVersion kSmashMixed{"smash_mixed", SlotHash::mixed, WorkShare::tokens, SumPlace::table};

/// The windows of a product (WindowPlan). Room for `most` windows, of which there are `count[0]`.
template <class Target>
struct DeviceWindows {
  TablePlan table = {};
  DeviceSpan<Target, const std::int32_t> count = {};          ///< [1]
  DeviceSpan<Target, const std::int32_t> first_row = {};      ///< [most + 1]
  DeviceSpan<Target, const std::int64_t> first_product = {};  ///< [most + 1]
  std::int64_t products = 0;                                  ///< of all of them, or more

  std::size_t most() const { return first_row.size() - 1; }
};

/// Where the device plans its windows: as many as rows, in the worst case.
template <class Target>
struct WindowScratch {
  DeviceSpan<Target, std::int32_t> count = {};          ///< [1]
  DeviceSpan<Target, std::int32_t> first_row = {};      ///< [rows + 1]
  DeviceSpan<Target, std::int64_t> first_product = {};  ///< [rows + 1]
  DeviceSpan<Target, std::int64_t> products = {};       ///< [rows]: of each row
  DeviceSpan<Target, std::int32_t> start = {};          ///< [rows]: windows of each part, at its first row
  DeviceSpan<Target, std::int64_t> start_product = {};  ///< [rows]
  /// Of each of plan_parts(rows) parts how many, behind them how many before: [2 parts].
  DeviceSpan<Target, std::int32_t> part_windows = {};
  DeviceSpan<Target, std::int64_t> part_products = {};
};
constexpr std::size_t plan_parts(std::int64_t rows) {
  return rows == 0 ? 1 : (static_cast<std::size_t>(rows) + kPlanRows - 1) / kPlanRows;
}

/// Phase 1 on the device: the windows that plan_windows gives on the host. `products`: an upper bound, for
/// the result. Bitwise deterministic. Throws std::invalid_argument as the host's.
template <class Target>
DeviceWindows<Target> plan_windows(Stream<Target>& stream, const CsrView<Target>& a, const CsrView<Target>& b,
                                   const TablePlan& table, std::int64_t products,
                                   const WindowScratch<Target>& scratch);

/// Scratch of a product; `unsorted` for SumPlace::fragments alone.
template <class Target>
struct SmashScratch {
  /// [2]: the next window; how many tables overflowed and were filled again.
  DeviceSpan<Target, std::int32_t> counters = {};
  DeviceSpan<Target, std::int32_t> window_entries = {};   ///< [most windows]
  DeviceSpan<Target, std::int32_t> window_offset = {};    ///< [most windows + 1]
  DeviceSpan<Target, std::int32_t> row_start = {};        ///< [rows]: first entry of a row in its window
  DeviceSpan<Target, std::int32_t> fragment_column = {};  ///< [products]
  DeviceSpan<Target, float> fragment_value = {};          ///< [products]
  DeviceSpan<Target, float> unsorted = {};                ///< [products]
};

/// C, columns of a row ascending. `column` and `value` have room for as many entries as the caller expects;
/// row_pointers tell how many there are, and entries beyond the room aren't written.
template <class Target>
struct DeviceCsrResult {
  DeviceSpan<Target, std::int32_t> row_pointers = {};  ///< [A.rows + 1]
  DeviceSpan<Target, std::int32_t> column = {};
  DeviceSpan<Target, float> value = {};
};

/// C = A B. Order dependent: sums of three and more products are atomic additions. Entries of C are those
/// that any product falls on, also where they cancel. After it scratch.counters[1] is the number of tables
/// that overflowed. Throws std::invalid_argument for sizes that don't fit.
template <class Target>
void hash_spgemm(Stream<Target>& stream, const SmashVersion& version, const CsrView<Target>& a,
                 const CsrView<Target>& b, const DeviceWindows<Target>& windows,
                 const SmashScratch<Target>& scratch, const DeviceCsrResult<Target>& c);

/// Bytes of a block's table.
inline std::size_t table_bytes(const TablePlan& table) {
  return static_cast<std::size_t>(table.slots) * 8;
}

}  // namespace remeasure::kernels
