// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "bench/gpu_place.h"
#include "bench/trial_impl.h"
#include "kernels/device/device.h"

namespace remeasure::bench {

/// Devices and streams of one case, opened when first needed.
struct TrialImpl::Places {
  Device<Simt>& simt();
  Stream<Simt>& simt_stream();
  void simt_schedule_default();
  /// The injected place (RunOptions::gpu), or the CUDA device.
  GpuPlace& gpu();

  /// Waits for the device of that place, if it was opened; throws what an earlier call has left behind.
  void synchronize(reports::Where where);

  explicit Places(GpuPlace* injected) : injected_(injected) {}

 private:
  // In the order of construction: a stream goes before its device.
  std::unique_ptr<Device<Simt>> simt_;
  std::unique_ptr<Stream<Simt>> simt_stream_;
  GpuPlace* injected_;
  std::unique_ptr<GpuPlace> cuda_;
};

}  // namespace remeasure::bench
