// SPDX-License-Identifier: Apache-2.0
//
// What the driver says of a GPU's clocks, heat and settings: NVML (NVIDIA Management Library), opened at run
// time from the driver's libnvidia-ml.so.1, so that nothing links with it and its absence is a reason in
// words, not an error.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

namespace remeasure {

class Nvml {
 public:
  /// `pci_bus_id` as in DeviceProperties: ordinals of CUDA and NVML differ. Never throws for a missing
  /// library or device.
  explicit Nvml(const std::string& pci_bus_id, const std::string& library = "libnvidia-ml.so.1");
  ~Nvml();
  Nvml(const Nvml&) = delete;
  Nvml& operator=(const Nvml&) = delete;

  /// Why nothing below has a value; empty if NVML answers.
  const std::string& missing() const;

  /// One call each, some microseconds; absent where this GPU or driver doesn't say.
  std::optional<double> sm_mhz() const;
  std::optional<double> memory_mhz() const;
  std::optional<double> celsius() const;
  std::optional<double> watts() const;
  /// What limits the clock now, in words, joined by ", "; empty: nothing. Idling and clocks that someone set
  /// (locked clocks are what one wants for measuring) are no limits.
  std::string limited_by() const;
  /// "driver", "max SM clock", "power limit", "ECC", "MIG", "persistence", "processes", ...: what it says of
  /// these.
  std::map<std::string, std::string> settings() const;

 private:
  struct Library;
  std::unique_ptr<Library> library_;
};

/// The words for a bit mask of clock event reasons (nvmlClocksEventReasons).
std::string clock_limits(unsigned long long reasons);

}  // namespace remeasure
