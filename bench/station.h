// SPDX-License-Identifier: Apache-2.0
//
// One variant set up on one place (CPU, GPU, SIMT engine), up to three input sets of it. What the frame does
// to every variant before it believes it is written once on top of this.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "bench/output_values.h"
#include "bench/trial.h"
#include "bench/workbench.h"
#include "kernels/device/device.h"
#include "reports/record.h"

namespace remeasure::bench {

class Station {
 public:
  virtual ~Station() = default;
  /// Inputs, outputs and launch of one set. Not timed.
  virtual void prepare(std::size_t set) = 0;
  /// Enqueues (GPU) or does (CPU) the work once.
  virtual void launch(std::size_t set) = 0;
  /// Waits until everything launched is done.
  virtual void finish() = 0;
  /// Fills every output with its poison.
  virtual void poison(std::size_t set) = 0;
  virtual std::uint64_t input_hash(std::size_t set) = 0;
  /// Host variants share the caller's inputs: what one destroys is put back, so that the others aren't blamed
  /// for it.
  virtual void save_inputs(std::size_t set) { static_cast<void>(set); }
  virtual void restore_inputs() {}
  virtual std::vector<OutputCopy> outputs(std::size_t set) = 0;
  /// One launch under the memory meters.
  virtual reports::Memory run_metered(std::size_t set) = 0;
  /// The repeat run of the determinism check: other schedule where the place has schedules.
  virtual void repeat(std::size_t set) {
    launch(set);
    finish();
  }
  /// Bytes of inputs, outputs and workspace of one set.
  virtual std::size_t footprint() const = 0;
  /// What the variant said of its setting while set 0 was prepared.
  virtual std::string setting() const = 0;
};

using PrepareHost = std::function<std::function<void()>(HostBench&)>;
template <class Target>
using PrepareDevice = std::function<std::function<void()>(DeviceBench<Target>&)>;

std::unique_ptr<Station> host_station(PrepareHost prepare, int threads);

/// `device` outlives the station; one stream of its own.
template <class Target>
std::unique_ptr<Station> device_station(Device<Target>& device, Stream<Target>& stream,
                                        PrepareDevice<Target> prepare);

}  // namespace remeasure::bench
