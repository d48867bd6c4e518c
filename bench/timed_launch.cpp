// SPDX-License-Identifier: Apache-2.0
#include "bench/timed_launch.h"

#include <fmt/format.h>

#include <algorithm>

#include "bench/device_timer.h"

namespace remeasure::bench {
namespace {

constexpr std::size_t kBehindBlock = 2;

/// Leaves the device unblocked, whatever throws while it is blocked.
class Blockade {
 public:
  explicit Blockade(TimedDevice& device) : device_(device) {}
  Blockade(const Blockade&) = delete;
  Blockade& operator=(const Blockade&) = delete;
  ~Blockade() { lift(); }
  void arm() {
    armed_ = true;  // before the call: it may throw after the kernel is enqueued
    device_.block(kWatchdogSeconds);
  }
  void lift() {
    if (armed_) device_.unblock();
    armed_ = false;
  }

 private:
  TimedDevice& device_;
  bool armed_ = false;
};

TimedSample waited(TimedDevice& device) {
  TimedSample sample;
  sample.clock = device.clock();
  const TimedDevice::Elapsed elapsed = device.wait();
  if (elapsed.watchdog_fired) {
    throw LaunchWaits(fmt::format(
        "the launch didn't return within {:.2g} s while the GPU was held back to hide its latency: it waits "
        "for the GPU (synchronises, allocates, loads a module) or enqueues more than the driver's queue "
        "holds. Make it asynchronous, or say why it can't be in VariantInfo::synchronises: then it is timed "
        "with its launch latency",
        kWatchdogSeconds));
  }
  sample.seconds = elapsed.seconds;
  return sample;
}

}  // namespace

TimedSample timed_launch(TimedDevice& device, bool blocked, const std::function<void()>& launch) {
  Blockade blockade(device);
  if (blocked) blockade.arm();
  device.start();
  launch();
  device.stop();
  blockade.lift();
  return waited(device);
}

TimedSample timed_batch(TimedDevice& device, bool blocked, std::size_t count,
                        const std::function<void()>& launch) {
  Blockade blockade(device);
  if (blocked) blockade.arm();
  device.start();
  for (std::size_t i = 0; i < count; ++i) {
    if (i == kBehindBlock) blockade.lift();
    launch();
  }
  device.stop();
  blockade.lift();
  return waited(device);
}

}  // namespace remeasure::bench
