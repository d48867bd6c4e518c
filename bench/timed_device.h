// SPDX-License-Identifier: Apache-2.0
//
// What the sampler (device_timer.h) asks of a GPU: steps so small that a test fakes them with a clock of its
// own, and that the real ones (gpu_place.cpp) are one call each.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>

#include "reports/record.h"

namespace remeasure::bench {

/// The clock during one sample.
struct ClockReading {
  std::optional<double> sm_mhz = {};
  std::string limited_by = {};  ///< as reports::GpuCondition
};

class TimedDevice {
 public:
  virtual ~TimedDevice() = default;
  virtual std::size_t l2_bytes() = 0;
  virtual void reset_persisting_l2() = 0;
  /// Enqueues a write of one buffer, allocated once and larger than L2.
  virtual void flush_cache() = 0;
  /// Enqueues the blocking kernel: what is enqueued after it waits for unblock(), or `watchdog_seconds` at
  /// most.
  virtual void block(double watchdog_seconds) = 0;
  virtual void unblock() noexcept = 0;
  /// Enqueue the two events.
  virtual void start() = 0;
  virtual void stop() = 0;
  struct Elapsed {
    double seconds = 0;           ///< GPU time from start() to stop()
    bool watchdog_fired = false;  ///< since the last block(): unblock() came too late
  };
  /// Waits until everything enqueued is done.
  virtual Elapsed wait() = 0;
  /// Records what `launches` enqueues as one graph, instead of running it; gives back what enqueues the
  /// graph. Throws where something in it can't be captured.
  virtual std::function<void()> capture(const std::function<void()>& launches) = 0;
  virtual ClockReading clock() = 0;
  virtual reports::GpuCondition condition() = 0;
  /// Host clock in seconds, for caps on wall time; and a sleep by it.
  virtual double now() = 0;
  virtual void sleep(double seconds) = 0;
};

}  // namespace remeasure::bench
