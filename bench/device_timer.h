// SPDX-License-Identifier: Apache-2.0
//
// Time on a GPU: the whole sequence, over an interface so small that a test can fake the device and the clock. Our own
// sampler decides, not Google Benchmark: its growth rule counts CPU time, of which an asynchronous launch has none.
//
// A cold sample of a variant, in this order:
//   1. before_sample()            poison, outside the timed span
//   2. device.flush_cache()       one flush buffer per device, larger than L2; enqueued, outside the timed span
//   3. device.start()             event
//   4. launch(set)                input sets rotate: a result cached under its pointer isn't found again
//   5. device.stop()              event; waits for it; GPU time between the two
// Before the first sample every variant is launched once untimed (modules, handles). Variants are interleaved, A B A B,
// and each goes on until stopping.h says enough. The closing sample runs on set 0: its outputs are the ones that
// are verified.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "bench/host_timer.h"
#include "bench/stopping.h"

namespace remeasure::bench {

class TimedDevice {
 public:
  virtual ~TimedDevice() = default;
  virtual void flush_cache() = 0;
  virtual void start() = 0;
  /// Seconds of GPU time since start().
  virtual double stop() = 0;
  /// Host clock in seconds, for caps on wall time.
  virtual double now() = 0;
};

struct DeviceSubject {
  std::string name;                                  ///< as HostSubject::name
  std::function<void(std::size_t set)> launch;
  std::size_t sets = 1;
  std::function<void()> before_sample;
  StopRule rule;
};

/// A GPU time below this measures the launch as much as the kernel.
inline constexpr double kLaunchBoundSeconds = 10e-6;

std::vector<Sampling> sample_on_device(TimedDevice& device, const std::vector<DeviceSubject>& subjects,
                                       const SamplingControl& control);

}  // namespace remeasure::bench
