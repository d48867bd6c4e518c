// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace remeasure::bench {

/// Launches that surely fit into the driver's queue, which holds about a thousand: behind the kernel that
/// hides their latency nothing is taken out of it.
inline constexpr long kQueuedLaunches = 500;

/// For VariantInfo::synchronises of a variant with so many launches: why it is timed with their latency;
/// empty if it needn't be.
inline std::string beyond_launch_queue(long launches) {
  return launches > kQueuedLaunches
             ? std::to_string(launches) + " launches are more than the driver's queue holds"
             : std::string();
}

}  // namespace remeasure::bench
