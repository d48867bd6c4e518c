// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/device/device.h"
#include "kernels/device/qualifiers.h"

namespace remeasure::kernels {

/// What C4D says of a window; the numbers of the data set collective_delays.
enum class DelayFault : std::int32_t { none, sender, receiver, link, straggler, hang, communication_hang };

/// A window: `collectives` delay matrices of one communicator.
struct DelayShape {
  int windows = 0, collectives = 0, ranks = 0;
  bool ring = false;  ///< rank r sends to r + 1 alone; else everyone to everyone
  int timeout = 4;    ///< collectives that an operation may stand still
  float hot = 6;      ///< z above which a delay is hot

  RM_HOST_DEVICE constexpr int cells() const { return ranks * ranks; }
  RM_HOST_DEVICE constexpr int transfers() const { return ring ? ranks : ranks * (ranks - 1); }
  RM_HOST_DEVICE constexpr bool sends(int source, int destination) const {
    return ring ? destination == (source + 1 == ranks ? 0 : source + 1) : source != destination;
  }
};
inline constexpr int kDelayRanks = 192;  ///< at most
inline constexpr int kDelayVerdict =
    4;  ///< fault, source, destination (-1 = any), number of ranks or cells that are blamed
inline constexpr float kDelayHotPart = 0.8f;   ///< of a row or column, to blame its rank
inline constexpr float kDelayNearZero = 0.1f;  ///< of the median wait

template <class Target>
struct DelayLog {
  DeviceSpan<Target, const float> delay;                     ///< [windows, collectives, ranks, ranks]
  DeviceSpan<Target, const float> wait;                      ///< [windows, collectives, ranks]
  DeviceSpan<Target, const std::int32_t> entered, finished;  ///< [windows, collectives, ranks]
};

/// mean: [windows, ranks, ranks], 0 where nothing is sent; verdict: [windows, kDelayVerdict]
template <class Target>
void delay_localise(Stream<Target>& stream, const DelayShape& shape, const DelayLog<Target>& log,
                    DeviceSpan<Target, float> mean, DeviceSpan<Target, std::int32_t> verdict);

/// Floating-point operations of a window.
double delay_localise_flops(const DelayShape& shape);

}  // namespace remeasure::kernels
