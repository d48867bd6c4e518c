// SPDX-License-Identifier: Apache-2.0
#include "bench/ceilings.h"

#include <algorithm>
#include <array>

namespace remeasure::bench {
namespace {

void make_monotonic(Ceilings& ceilings) {
  for (const char* kind : traffic_kinds(ceilings.gpu)) {
    double best = 0;
    for (auto level = ceilings.levels.rbegin(); level != ceilings.levels.rend(); ++level) {
      const auto value = ceilings.values.find(kind + level->name);
      if (value == ceilings.values.end()) continue;
      best = value->second = std::max(value->second, best);
    }
  }
}

}  // namespace

std::span<const char* const> traffic_kinds(bool gpu) {
  static constexpr std::array kCpu{"read-", "triad-"};
  static constexpr std::array kGpu{"gpu-read-", "gpu-copy-", "gpu-write-"};
  if (gpu) return kGpu;
  return kCpu;
}

std::function<double(const std::string&)> measure_again_of(const CeilingPlan& plan) {
  return [probes = plan.probes](const std::string& name) {
    const auto probe =
        std::find_if(probes.begin(), probes.end(), [&](const Probe& it) { return it.name == name; });
    return probe == probes.end() ? 0.0 : probe->measure();
  };
}

Ceilings measure_ceilings(const CeilingPlan& plan) {
  Ceilings ceilings;
  ceilings.levels = plan.levels;
  ceilings.machine = plan.machine;
  ceilings.gpu = plan.gpu;
  for (const Probe& probe : plan.probes) {
    if (const double value = probe.measure(); value > 0)
      ceilings.values[probe.name] = value;
    else
      ceilings.not_here.push_back(probe.name);
  }
  make_monotonic(ceilings);
  ceilings.measure_again = measure_again_of(plan);
  return ceilings;
}

Ceilings measured_ceilings(const CeilingPlan& plan, const std::filesystem::path& folder) {
  if (auto stored = stored_ceilings(plan, folder)) return *std::move(stored);
  Ceilings ceilings = measure_ceilings(plan);
  store_ceilings(ceilings, folder);
  return ceilings;
}

std::filesystem::path ceilings_folder(const std::filesystem::path& data_folder) {
  return data_folder / ".ceilings";
}

}  // namespace remeasure::bench
