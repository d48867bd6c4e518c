// SPDX-License-Identifier: Apache-2.0
//
// Signatures and constants are those of NVML's documented C interface, which is stable between drivers.
#include "kernels/device/nvml.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <array>

namespace remeasure {

namespace {

using Handle = void*;  // nvmlDevice_t
constexpr int kSuccess = 0, kInsufficientSize = 7;
enum ClockType : int { kClockSm = 1, kClockMemory = 2 };
constexpr int kTemperatureOfGpu = 0;

struct Limit {
  unsigned long long bit;
  const char* words;
};
constexpr std::array kLimits = {Limit{0x04, "power cap"},        Limit{0x08, "hardware slowdown"},
                                Limit{0x10, "sync boost"},       Limit{0x20, "software thermal"},
                                Limit{0x40, "hardware thermal"}, Limit{0x80, "power brake"}};

}  // namespace

std::string clock_limits(unsigned long long reasons) {
  std::string text;
  for (const Limit& limit : kLimits) {
    if ((reasons & limit.bit) != 0) text += (text.empty() ? "" : ", ") + std::string(limit.words);
  }
  return text;
}

struct Nvml::Library {
  void* file = nullptr;
  Handle device = nullptr;
  bool initialised = false;
  std::string missing;

  template <class... Parameters>
  using Function = int (*)(Parameters...);

  /// The function of this name, or null.
  template <class... Parameters>
  Function<Parameters...> find(const char* name) const {
    return file == nullptr ? nullptr : reinterpret_cast<Function<Parameters...>>(dlsym(file, name));
  }

  /// A number that NVML writes through its last parameter.
  template <class Value, class... Arguments>
  std::optional<Value> ask(const char* name, Arguments... arguments) const {
    const auto function = find<Handle, Arguments..., Value*>(name);
    Value value{};
    if (device == nullptr || function == nullptr || function(device, arguments..., &value) != kSuccess)
      return {};
    return value;
  }

  /// A setting and the one that a restart will bring, of which only the first is told.
  template <class Value>
  std::optional<Value> ask_current(const char* name) const {
    const auto function = find<Handle, Value*, Value*>(name);
    Value current{}, pending{};
    if (device == nullptr || function == nullptr || function(device, &current, &pending) != kSuccess)
      return {};
    return current;
  }

  void open(const std::string& pci_bus_id, const std::string& name) {
    file = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (file == nullptr) {
      const char* why = dlerror();
      missing = fmt::format("no NVML: {}", why == nullptr ? name : why);
      return;
    }
    const auto init = find<>("nvmlInit_v2");
    const auto by_bus_id = find<const char*, Handle*>("nvmlDeviceGetHandleByPciBusId_v2");
    if (init == nullptr || by_bus_id == nullptr) {
      missing = fmt::format("no NVML: {} lacks nvmlInit_v2 or nvmlDeviceGetHandleByPciBusId_v2", name);
      return;
    }
    if (const int status = init(); status != kSuccess) {
      missing = fmt::format("no NVML: nvmlInit_v2 failed with {}", status);
      return;
    }
    initialised = true;
    if (const int status = by_bus_id(pci_bus_id.c_str(), &device); status != kSuccess) {
      device = nullptr;
      missing = fmt::format("NVML doesn't know the device {}: error {}", pci_bus_id, status);
    }
  }

  ~Library() {
    if (const auto shutdown = find<>("nvmlShutdown"); initialised && shutdown != nullptr) (void)shutdown();
    if (file != nullptr) (void)dlclose(file);
  }
};

Nvml::Nvml(const std::string& pci_bus_id, const std::string& library)
    : library_(std::make_unique<Library>()) {
  library_->open(pci_bus_id, library);
}
Nvml::~Nvml() = default;

const std::string& Nvml::missing() const {
  return library_->missing;
}

std::optional<double> Nvml::sm_mhz() const {
  return library_->ask<unsigned>("nvmlDeviceGetClockInfo", int{kClockSm});
}

std::optional<double> Nvml::memory_mhz() const {
  return library_->ask<unsigned>("nvmlDeviceGetClockInfo", int{kClockMemory});
}

std::optional<double> Nvml::celsius() const {
  return library_->ask<unsigned>("nvmlDeviceGetTemperature", kTemperatureOfGpu);
}

std::optional<double> Nvml::watts() const {
  const auto milliwatts = library_->ask<unsigned>("nvmlDeviceGetPowerUsage");
  if (!milliwatts) return {};
  return *milliwatts * 1e-3;
}

std::string Nvml::limited_by() const {
  auto reasons = library_->ask<unsigned long long>("nvmlDeviceGetCurrentClocksEventReasons");
  // Its name before driver 535.
  if (!reasons) reasons = library_->ask<unsigned long long>("nvmlDeviceGetCurrentClocksThrottleReasons");
  return clock_limits(reasons.value_or(0));
}

std::map<std::string, std::string> Nvml::settings() const {
  const Library& nvml = *library_;
  std::map<std::string, std::string> told;
  const auto tell = [&](const char* key, const std::optional<unsigned>& value, const char* unit) {
    if (value) told[key] = fmt::format("{} {}", *value, unit);
  };
  const auto switched = [&](const char* key, const auto& value) {
    if (value) told[key] = *value != 0 ? "on" : "off";
  };
  std::array<char, 96> text{};
  const auto version = nvml.find<char*, unsigned>("nvmlSystemGetDriverVersion");
  if (nvml.device != nullptr && version != nullptr && version(text.data(), text.size()) == kSuccess) {
    told["driver"] = text.data();
  }
  tell("max SM clock", nvml.ask<unsigned>("nvmlDeviceGetMaxClockInfo", int{kClockSm}), "MHz");
  tell("max memory clock", nvml.ask<unsigned>("nvmlDeviceGetMaxClockInfo", int{kClockMemory}), "MHz");
  tell("application SM clock", nvml.ask<unsigned>("nvmlDeviceGetApplicationsClock", int{kClockSm}), "MHz");
  if (const auto limit = nvml.ask<unsigned>("nvmlDeviceGetEnforcedPowerLimit")) {
    told["power limit"] = fmt::format("{:.0f} W", *limit * 1e-3);
  }
  switched("ECC", nvml.ask_current<int>("nvmlDeviceGetEccMode"));
  switched("MIG", nvml.ask_current<unsigned>("nvmlDeviceGetMigMode"));
  switched("persistence", nvml.ask<int>("nvmlDeviceGetPersistenceMode"));
  // Asked with room for none, it answers how many there are.
  const auto processes = nvml.find<Handle, unsigned*, void*>("nvmlDeviceGetComputeRunningProcesses_v3");
  unsigned count = 0;
  if (nvml.device != nullptr && processes != nullptr) {
    const int status = processes(nvml.device, &count, nullptr);
    if (status == kSuccess || status == kInsufficientSize) told["processes"] = fmt::format("{}", count);
  }
  return told;
}

}  // namespace remeasure
