// SPDX-License-Identifier: Apache-2.0
#include "bench/cpu_ceilings.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>

#include "bench/cpu_probes.h"
#include "bench/system.h"

namespace remeasure::bench {
namespace {

/// "32K" -> 32768; 0 where the file isn't there.
std::size_t cache_bytes(int level) {
  for (int index = 0; index < 8; ++index) {
    const std::string folder = fmt::format("/sys/devices/system/cpu/cpu0/cache/index{}/", index);
    std::ifstream level_file(folder + "level"), type_file(folder + "type"), size_file(folder + "size");
    int found = 0;
    std::string type, size;
    if (!(level_file >> found) || !(type_file >> type) || !(size_file >> size)) continue;
    if (found != level || type == "Instruction") continue;
    const std::size_t unit = size.back() == 'K' ? 1024 : size.back() == 'M' ? 1024 * 1024 : 1;
    return static_cast<std::size_t>(std::strtoull(size.c_str(), nullptr, 10)) * unit;
  }
  return 0;
}

}  // namespace

CeilingPlan cpu_ceiling_plan() {
  const int threads = usable_cores();
  const auto cores = static_cast<std::size_t>(threads);
  CeilingPlan plan;
  plan.machine = system_info().id;
  // Private caches count once per core; L3 once (sysfs shows the slice that the first core shares).
  const std::size_t l1 = cache_bytes(1) * cores, l2 = cache_bytes(2) * cores, l3 = cache_bytes(3);
  const auto memory =
      static_cast<std::size_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<std::size_t>(sysconf(_SC_PAGE_SIZE));
  const auto add = [&](const std::string& name, std::size_t bytes, std::size_t working_set) {
    plan.levels.push_back({name, bytes});
    const std::size_t each = working_set / cores;
    plan.probes.push_back({"read-" + name, [=] { return read_bandwidth(threads, each); }});
    plan.probes.push_back({"triad-" + name, [=] { return triad_bandwidth(threads, each); }});
  };
  if (l1 > 0) add("l1", l1, l1 / 2);
  if (l2 > l1) add("l2", l2, l2 / 2);
  if (l3 > l2) add("l3", l3, std::max(l3 / 2, l2));
  const std::size_t largest = std::max({l1, l2, l3, std::size_t{16} << 20});
  add("dram", memory, std::min({4 * largest, std::size_t{512} << 20, memory / 4}));
  plan.probes.push_back({"fma-f64", [=] { return fma_rate<double>(threads); }});
  plan.probes.push_back({"fma-f32", [=] { return fma_rate<float>(threads); }});
  plan.probes.push_back({"gemm-f64", [] { return gemm_rate<double>(); }});
  plan.probes.push_back({"gemm-f32", [] { return gemm_rate<float>(); }});
  return plan;
}

}  // namespace remeasure::bench
