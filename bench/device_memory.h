// SPDX-License-Identifier: Apache-2.0
//
// Two counts of the same memory: ours (MemoryLedger: every allocation of this program, to the byte) and the
// driver's (whole device, in its own units, with what libraries allocate inside).
#pragma once

#include <cstddef>
#include <optional>
#include <string>

namespace remeasure::bench {

/// What is held on a device at one moment.
struct DeviceMemoryCount {
  std::size_t ledger = 0;             ///< bytes
  std::size_t allocations = 0;        ///< how many they are
  std::optional<std::size_t> driver;  ///< Device::bytes_in_use(); empty where nobody counts
};

/// What cudaMalloc hands out from: an allocation of its own is rounded up to it.
inline constexpr std::size_t kAllocationGranularity = std::size_t{2} << 20;

struct DeviceMemoryVerdict {
  std::optional<double> used;  ///< bytes that the driver counts more than before; never below zero
  std::string note;            ///< empty where both counts agree within a granularity per allocation
};

/// Holds the growth of both counts from `before` to `after` against each other.
DeviceMemoryVerdict compare_counts(const DeviceMemoryCount& before, const DeviceMemoryCount& after);

}  // namespace remeasure::bench
