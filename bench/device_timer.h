// SPDX-License-Identifier: Apache-2.0
//
// Time on a GPU: the whole sequence, over an interface so small that a test can fake the device and the
// clock. Our own sampler decides, not Google Benchmark: its growth rule counts CPU time, of which an
// asynchronous launch has none.
//
// A cold sample of a variant, in this order; only the span between 6 and 8 is timed:
//   1. before_sample()           poison; left out where rotation keeps the cache cold, since it would warm
//   the outputs
//   2. reset_persisting_l2()     lines that an earlier kernel pinned
//   3. flush_cache()             or rotation of the input sets, where they are larger than 3 x L2
//   (plan_cache)
//   4. wait()                    until 1-3 are done
//   5. block(watchdog)           a kernel that spins on a host flag: the launch's latency passes behind it
//   6. start()                   event
//   7. launch(set)               input sets rotate: a result cached under its pointer isn't found again
//   8. stop()                    event
//   9. unblock()                 also where 6-8 threw
//  10. clock()                   while the GPU works: SM clock, and what limits it
//  11. wait()                    GPU time; whether the watchdog fired
//
// The watchdog: a launch that waits for the GPU can't return while the GPU waits for unblock(). The blocking
// kernel then ends by itself, and the row fails with the remedy: VariantInfo::synchronises, with which steps
// 5 and 9 are left out.
//
// All variants of a case, mode after mode, A B A B within each:
//   warm-up   every set launched once, untimed and unblocked: modules, handles, workspace
//   cold      until stopping.h says enough; then a closing sample on set 0 (always poisoned and flushed)
//   hot       set 0 again and again: batches of launches between two events, doubled until long enough
//   graph     kernels under 20 us: a captured batch, so that not even the launch rate is measured
// Between two modes the GPU idles, so that a batch doesn't heat or slow what follows. The outputs of every
// mode's last sample are verified (DeviceSubject::verify): no mode has a number that wasn't.
//
// A limited clock (power, heat) flags its sample; a pause follows, growing, kPauses times at most. Such a
// sample is kept but doesn't count towards the least number of samples until the pauses are used up. Then all
// count: no endless run, no row without a number.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "bench/host_timer.h"
#include "bench/stopping.h"
#include "bench/timed_device.h"

namespace remeasure::bench {

struct DeviceSubject {
  std::string name;      ///< as HostSubject::name
  std::string who = {};  ///< "kernel@gpu": who is blamed for a device that is broken
  std::function<void(std::size_t set)> launch;
  std::size_t sets = 1;
  std::size_t set_bytes = 0;            ///< inputs and outputs of one set
  std::function<void()> before_sample;  ///< poisons the outputs of set 0
  std::function<bool()> verify = {};    ///< after the last sample of a mode; false ends this subject
  StopRule rule;
  std::string synchronises = {};  ///< why launch() waits for the GPU; empty: it doesn't
};

/// One more way to time the same launch, beside the cold one.
struct ModeSampling {
  std::string mode;
  std::vector<double> samples = {};         ///< seconds per launch
  std::size_t launches = 1;                 ///< in each sample
  std::vector<std::size_t> throttled = {};  ///< as DeviceSampling
  std::vector<double> sm_mhz = {};
  std::string missing = {};  ///< why there are no samples
};

struct DeviceSampling : Sampling {
  std::vector<std::size_t> throttled;  ///< indices of samples taken while the clock was limited
  std::vector<double> sm_mhz;          ///< one per sample, or empty where the device doesn't say
  std::string cache;                   ///< how it was kept cold
  reports::GpuCondition before, after;
  std::vector<ModeSampling> others;
};

/// A GPU time below this measures the launch as much as the kernel.
inline constexpr double kLaunchBoundSeconds = 10e-6;
/// Below this a graph is timed too.
inline constexpr double kGraphBelowSeconds = 20e-6;
/// A launch that takes longer than this waits for the GPU.
inline constexpr double kWatchdogSeconds = 5;
/// How often a limited clock is waited for: 0.05 s, then twice as long each time, 0.5 s at most.
inline constexpr int kPauses = 5;
/// GPU time of a hot batch, or of one replay of a graph.
inline constexpr double kBatchSeconds = 2e-3;

/// How L2 is kept cold between samples.
struct CachePlan {
  bool flush = true;
  std::string words;  ///< for the record
};
/// Rotation alone is cold where three sets or more are together larger than 3 x L2; else L2 is flushed.
CachePlan plan_cache(std::size_t sets, std::size_t set_bytes, std::size_t l2_bytes);

/// Throws Interrupted, and DeviceBroken for an error that no later call of this process survives.
std::vector<DeviceSampling> sample_on_device(TimedDevice& device, const std::vector<DeviceSubject>& subjects,
                                             const SamplingControl& control);

}  // namespace remeasure::bench
