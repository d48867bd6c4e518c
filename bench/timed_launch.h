// SPDX-License-Identifier: Apache-2.0
//
// One timed sample on a device: steps 5 to 11 of device_timer.h, for one launch and for a batch.
#pragma once

#include <functional>
#include <stdexcept>
#include <string>

#include "bench/timed_device.h"

namespace remeasure::bench {

/// The blocking kernel ended by itself. The text has the remedy.
struct LaunchWaits : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct TimedSample {
  double seconds = 0;  ///< of all launches together
  ClockReading clock;
};

/// `launch()` once. `blocked` false leaves out the blocking kernel: for launches that wait for the GPU.
TimedSample timed_launch(TimedDevice& device, bool blocked, const std::function<void()>& launch);

/// `launch()` `count` times between two events. Only the first two wait behind the blocking kernel: a queue
/// that is full makes the host wait, and nobody would unblock.
TimedSample timed_batch(TimedDevice& device, bool blocked, std::size_t count,
                        const std::function<void()>& launch);

}  // namespace remeasure::bench
