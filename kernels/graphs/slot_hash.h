// SPDX-License-Identifier: Apache-2.0
//
// Where linear probing begins for a tag, by the bits of the tag that decide. A table has 2^slots_log2 slots.
#pragma once

#include <cstdint>

#include "kernels/device/qualifiers.h"

namespace remeasure::kernels {

enum class SlotHash {
  high,   ///< the tag's high-order bits: neighbours stay neighbours, so the table is nearly sorted, and
          ///< clusters
  low,    ///< its low-order bits: neighbours still follow one another, but the keys of a range are spread
  mixed,  ///< the high bits of its product with 2^32 / golden ratio (Knuth, TAOCP 3, 6.4): no order is left
};

/// No tag: the largest number of 32 bits, which the limits on tags leave free.
inline constexpr std::uint32_t kNoTag = 0xffffffffu;

/// Tags are row << key_bits | key with row < rows and key < 2^key_bits, and below 2^31.
template <SlotHash kHash>
RM_HOST_DEVICE constexpr std::uint32_t home_slot(std::uint32_t tag, int slots_log2, int rows, int key_bits) {
  if constexpr (kHash == SlotHash::high) {
    // tag * slots / (rows * 2^key_bits), in integers: the table is the range of tags, scaled.
    const std::uint64_t scaled = (static_cast<std::uint64_t>(tag) << slots_log2) >> key_bits;
    return static_cast<std::uint32_t>(scaled) / static_cast<std::uint32_t>(rows);
  } else if constexpr (kHash == SlotHash::low) {
    return tag & ((1u << slots_log2) - 1u);
  } else {
    return tag * 2654435761u >> (32 - slots_log2);
  }
}

}  // namespace remeasure::kernels
