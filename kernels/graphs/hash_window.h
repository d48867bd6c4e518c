// SPDX-License-Identifier: Apache-2.0
//
// The table of a block in scratchpad, for kernel sources: filling it, and turning it into sorted entries.
#pragma once

#include "kernels/device/kernel.h"
#include "kernels/graphs/block_scan.h"
#include "kernels/graphs/slot_hash.h"

namespace remeasure::kernels {

/// Open addressing with linear probing. All in shared memory: `tag` and `payload` [slots], the two counters
/// single words.
struct SlotTable {
  std::uint32_t* tag;
  std::uint32_t* payload;  ///< the sum's bits, or the entry's rank
  int* inserted;           ///< ranks given so far; used where the payload is one
  int* overflow;           ///< not zero once a tag found no slot
  int slots_log2;

  RM_DEVICE int slots() const { return 1 << slots_log2; }
  RM_DEVICE std::uint32_t after(std::uint32_t slot) const {
    return (slot + 1) & static_cast<std::uint32_t>(slots() - 1);
  }
};

/// Empties the table; a barrier is to follow. `payload`: 0 for sums, kNoTag for ranks.
RM_DEVICE inline void clear(const SlotTable& table, std::uint32_t payload) {
  for (int slot = static_cast<int>(threadIdx.x); slot < table.slots(); slot += static_cast<int>(blockDim.x)) {
    table.tag[slot] = kNoTag;
    table.payload[slot] = payload;
  }
  if (threadIdx.x == 0) {
    *table.inserted = 0;
    *table.overflow = 0;
  }
}

/// Whether to stop looking: all slots are seen, or the table is lost already, which is looked up now and
/// then.
RM_DEVICE inline bool gives_up(const SlotTable& table, int probes) {
  if (probes == table.slots()) {
    atomicExch(table.overflow, 1);
    return true;
  }
  return probes % 32 == 0 && atomicAdd(table.overflow, 0) != 0;
}

/// Adds a product to the sum of its tag. False if every slot holds another tag: then the table is marked.
RM_DEVICE inline bool add_to_table(const SlotTable& table, std::uint32_t tag, float product,
                                   std::uint32_t slot) {
  for (int probes = 1;; ++probes) {
    const std::uint32_t old = atomicCAS(&table.tag[slot], kNoTag, tag);
    if (old == kNoTag || old == tag) {
      atomicAdd(reinterpret_cast<float*>(&table.payload[slot]), product);
      return true;
    }
    if (gives_up(table, probes)) return false;
    slot = table.after(slot);
  }
}

/// The same for a warp, with the sums in sums[rank] in memory, zero before. Ranks are given to the warp's new
/// tags by one addition. A lane whose tag another has placed but not yet ranked comes back to it in the next
/// round: it can't wait for that lane, which may be one of its own warp.
RM_DEVICE inline void add_to_fragments(const SlotTable& table, bool active, std::uint32_t tag, float product,
                                       std::uint32_t slot, float* sums) {
  bool found = false;
  int probes = 0;
  while (__any_sync(kFullWarp, active)) {
    bool placed = false;
    if (active && !found) {
      const std::uint32_t old = atomicCAS(&table.tag[slot], kNoTag, tag);
      placed = old == kNoTag;
      found = placed || old == tag;
      if (!found) {
        slot = table.after(slot);
        active = !gives_up(table, ++probes);
      }
    }
    const unsigned places = __ballot_sync(kFullWarp, placed);
    if (places != 0) {
      const int leader = __ffs(static_cast<int>(places)) - 1;
      int rank = 0;
      if (lane_id() == leader) rank = atomicAdd(table.inserted, __popc(places));
      rank = __shfl_sync(kFullWarp, rank, leader) + __popc(places & ((1u << lane_id()) - 1u));
      if (placed) atomicExch(&table.payload[slot], static_cast<std::uint32_t>(rank));
    }
    if (active && found) {
      const std::uint32_t rank = atomicAdd(&table.payload[slot], 0u);
      if (rank != kNoTag) {
        atomicAdd(&sums[rank], product);
        active = false;
      }
    }
  }
}

/// Moves the slots in use to the front, in their order; returns how many there are. Begins and ends with a
/// barrier behind it.
RM_DEVICE inline int compact(const SlotTable& table) {
  int count = 0;
  for (int begin = 0; begin < table.slots(); begin += static_cast<int>(blockDim.x)) {
    const int slot = begin + static_cast<int>(threadIdx.x);
    const std::uint32_t tag = table.tag[slot], payload = table.payload[slot];
    int used = 0;
    const int place = count + block_exclusive_sum(tag != kNoTag ? 1 : 0, used);
    // Behind the barriers of the sum: all slots up to here are read, and no place lies beyond them.
    if (tag != kNoTag) {
      table.tag[place] = tag;
      table.payload[place] = payload;
    }
    count += used;
  }
  __syncthreads();
  return count;
}

/// Sorts the first `count` entries by tag: Batcher's bitonic network over the next power of two. Pairs at
/// distance 32 and less stay inside the 64 entries that a warp has, and need no barrier of the block. Ends
/// with one.
RM_DEVICE inline void sort_entries(const SlotTable& table, int count) {
  int size = 2;
  while (size < count) size *= 2;
  const int threads = static_cast<int>(blockDim.x), thread = static_cast<int>(threadIdx.x);
  for (int i = count + thread; i < size; i += threads) {
    table.tag[i] = kNoTag;
    table.payload[i] = 0;
  }
  __syncthreads();
  for (int run = 2; run <= size; run *= 2) {
    for (int distance = run / 2; distance > 0; distance /= 2) {
      for (int pair = thread; pair < size / 2; pair += threads) {
        const int low = pair & (distance - 1), i = 2 * (pair - low) + low, j = i + distance;
        const std::uint32_t first = table.tag[i], second = table.tag[j];
        const bool ascending = (i & run) == 0;
        if (first != second && (first > second) == ascending) {
          table.tag[i] = second;
          table.tag[j] = first;
          const std::uint32_t moved = table.payload[i];
          table.payload[i] = table.payload[j];
          table.payload[j] = moved;
        }
      }
      const int next = distance > 1 ? distance / 2 : run;
      if (distance > 32 || next > 32)
        __syncthreads();
      else
        __syncwarp();
    }
  }
  __syncthreads();
}

/// How many of the first `count` sorted tags are below `tag`.
RM_DEVICE inline int entries_below(const SlotTable& table, int count, std::uint32_t tag) {
  int low = 0, high = count;
  while (low < high) {
    const int middle = (low + high) / 2;
    if (table.tag[middle] < tag)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

}  // namespace remeasure::kernels
