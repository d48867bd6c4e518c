// SPDX-License-Identifier: Apache-2.0
#include "bench/system.h"

#include <fmt/format.h>
#include <sched.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <thread>

#include "bench/build_info.h"
#include "bench/hash.h"
#include "kernels/device/device.h"
#include "kernels/device/faults.h"
#include "kernels/device/nvml.h"

namespace remeasure::bench {
namespace {

std::string first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

/// Value of the first "key : value" or "key=value" line.
std::string field(const std::string& path, const std::string& key, char separator) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with(key)) continue;
    const std::size_t at = line.find(separator);
    if (at == std::string::npos) continue;
    std::string name = line.substr(0, at);
    while (!name.empty() && (name.back() == ' ' || name.back() == '\t')) name.pop_back();
    if (name != key) continue;
    std::string value = line.substr(at + 1);
    std::erase(value, '"');
    const std::size_t first = value.find_first_not_of(" \t");
    return first == std::string::npos ? std::string() : value.substr(first);
  }
  return {};
}

std::string simd_level() {
#if defined(__AVX512F__)
  return "AVX-512";
#elif defined(__AVX2__) && defined(__FMA__)
  return "AVX2+FMA";
#elif defined(__AVX__)
  return "AVX";
#elif defined(__SSE2__)
  return "SSE2";
#elif defined(__ARM_NEON)
  return "NEON";
#else
  return "none";
#endif
}

double memory_bytes() {
  const long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGE_SIZE);
  return pages > 0 && page > 0 ? static_cast<double>(pages) * static_cast<double>(page) : 0;
}

/// Sizes of the caches that the first core sees: "L1d 32K, L2 1024K, L3 32768K".
std::string caches() {
  std::string text;
  for (int index = 0; index < 8; ++index) {
    const std::string folder = fmt::format("/sys/devices/system/cpu/cpu0/cache/index{}/", index);
    const std::string size = first_line(folder + "size"), type = first_line(folder + "type");
    if (size.empty()) break;
    if (type == "Instruction") continue;
    text += fmt::format("{}L{}{} {}", text.empty() ? "" : ", ", first_line(folder + "level"),
                        type == "Data" ? "d" : "", size);
  }
  return text;
}

}  // namespace

reports::Build build_info() {
  reports::Build build;
  build.version = REMEASURE_VERSION;
  build.git_commit = REMEASURE_GIT_COMMIT;
  build.git_dirty = REMEASURE_GIT_DIRTY;
  build.compiler = REMEASURE_COMPILER;
  build.flags = REMEASURE_FLAGS;
  build.cuda_toolkit = REMEASURE_CUDA_VERSION;
  build.simd = simd_level();
  return build;
}

std::string cpu_name() {
  // "model name" on x86; ARM kernels give numbers alone.
  std::string name = field("/proc/cpuinfo", "model name", ':');
  if (name.empty()) name = field("/proc/cpuinfo", "Model", ':');
  if (!name.empty()) return name;
  utsname kernel{};
  return uname(&kernel) == 0 ? std::string(kernel.machine) + " CPU" : "unknown CPU";
}

int usable_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) == 0) return std::max(1, CPU_COUNT(&set));
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

std::string why_no_gpu() {
  if (Device<Cuda>::count() > 0) return {};
  return "no CUDA device (" + Device<Cuda>::why_not() + ")";
}

std::string gpu_name() {
  if (Device<Cuda>::count() == 0) return {};
  try {
    return Device<Cuda>().properties().name;
  } catch (const DeviceError&) {
    return {};  // there, but out of order: why_no_gpu's caller sees the error when it opens the device itself
  }
}

reports::System system_info() {
  reports::System system;
  utsname kernel{};
  if (uname(&kernel) == 0) {
    system.host = kernel.nodename;
    system.more["kernel"] = std::string(kernel.sysname) + " " + kernel.release;
  }
  system.os = field("/etc/os-release", "PRETTY_NAME", '=');
  system.cpu = cpu_name();
  system.cores = usable_cores();
  system.governor = first_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor");
  system.memory_bytes = memory_bytes();
  system.more["caches"] = caches();
  if (Device<Cuda>::count() > 0) {
    try {
      const Device<Cuda> device;
      const DeviceProperties& properties = device.properties();
      system.gpu = properties.name;
      system.gpu_driver = properties.driver;
      system.more["compute capability"] = std::to_string(properties.compute_capability);
      system.more["multiprocessors"] = std::to_string(properties.multiprocessors);
      system.more["l2 bytes"] = std::to_string(properties.l2_bytes);
      system.more["gpu memory bytes"] = std::to_string(properties.memory_bytes);
      const Nvml nvml(properties.pci_bus_id);
      if (!nvml.missing().empty()) system.more["gpu settings"] = nvml.missing();
      for (const auto& [key, value] : nvml.settings()) system.more["gpu " + key] = value;
    } catch (const DeviceError& error) {
      system.more["gpu error"] = error.what();
    }
  }
  if (const std::string faults = faults::planned_text(); !faults.empty())
    system.more["injected faults"] = faults;
  system.id = stable_id(system);
  return system;
}

std::string stable_id(const reports::System& system) {
  const double gib = system.memory_bytes / (1024.0 * 1024 * 1024);
  const auto caches_of = system.more.find("caches");
  return hex(hash_text(fmt::format("{}|{}|{:.0f} GiB|{}|{}", system.cpu, system.cores, gib,
                                   caches_of == system.more.end() ? "" : caches_of->second, system.gpu)));
}

}  // namespace remeasure::bench
