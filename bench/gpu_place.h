// SPDX-License-Identifier: Apache-2.0
//
// Where the GPU's rows come from: the CUDA device, or in a test a stand-in with a clock of its own, so that
// everything between a variant's declaration and a row of a report is proved on a machine without a GPU.
#pragma once

#include <memory>
#include <string>

#include "bench/station.h"
#include "bench/timed_device.h"
#include "bench/trial.h"

namespace remeasure::bench {

class GpuPlace {
 public:
  virtual ~GpuPlace() = default;
  virtual std::string name() const = 0;
  /// Why nothing can run here; empty if it can.
  virtual std::string why_not() const = 0;
  /// Sets up `info`'s variant. The place outlives the station.
  virtual std::unique_ptr<Station> station(const VariantInfo& info, const DevicePrepare& prepare) = 0;
  virtual TimedDevice& timer() = 0;
  /// Waits, if it was opened; throws what an earlier call has left behind.
  virtual void synchronize() = 0;
};

/// The first CUDA device; opened when the first station or timer is asked for.
std::unique_ptr<GpuPlace> cuda_place();

}  // namespace remeasure::bench
