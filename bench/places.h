// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "bench/device_timer.h"
#include "bench/trial_impl.h"
#include "kernels/device/device.h"

namespace remeasure::bench {

/// Devices and streams of one case, opened when first needed.
struct TrialImpl::Places {
  Device<Simt>& simt();
  Stream<Simt>& simt_stream();
  void simt_schedule_default();
  Device<Cuda>& gpu();
  Stream<Cuda>& gpu_stream();
  TimedDevice& gpu_timer();

 private:
  // In the order of construction: streams and timers go before their devices.
  std::unique_ptr<Device<Simt>> simt_;
  std::unique_ptr<Stream<Simt>> simt_stream_;
  std::unique_ptr<Device<Cuda>> gpu_;
  std::unique_ptr<Stream<Cuda>> gpu_stream_;
  std::unique_ptr<TimedDevice> gpu_timer_;
};

}  // namespace remeasure::bench
