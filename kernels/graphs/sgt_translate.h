// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "kernels/graphs/row_windows.h"

namespace remeasure::kernels {

/// Windows with more edges are sorted in device memory.
inline constexpr int kSortedInShared = 4096;

template <class Target>
struct TranslationArrays {
  DeviceSpan<Target, std::int32_t> tile_pointers;  ///< [windows + 1]
  DeviceSpan<Target, std::int32_t>
      column_map;  ///< [8 tiles] or more: 8 most_tiles(rows, edges) always suffice
  DeviceSpan<Target, std::int32_t> edge_pointers;  ///< [tiles + 1] or more
  DeviceSpan<Target, std::uint8_t> places;         ///< [edges]
  DeviceSpan<Target, std::int32_t> edge_order;     ///< [edges]
  DeviceSpan<Target, std::int32_t> condensed;      ///< [edges]
};

/// The translation of row_windows.h on a device. `sorted`: scratch, [edges].
template <class Target>
void sgt_translate(Stream<Target>& stream, const CsrView<Target>& csr,
                   DeviceSpan<Target, std::uint64_t> sorted, const TranslationArrays<Target>& out);

}  // namespace remeasure::kernels
