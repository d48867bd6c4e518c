// SPDX-License-Identifier: Apache-2.0
#include "bench/gpu_ceilings.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <memory>
#include <utility>

#include "bench/hash.h"

namespace remeasure::bench {
namespace {

constexpr std::size_t kTrafficUnit = 4096;  // working sets are multiples of this

/// "nvidia-h200-1f6a...": fit for a file's name.
std::string machine_name(const DeviceProperties& device) {
  std::string name;
  for (const char c : device.name) {
    const auto letter = static_cast<unsigned char>(c);
    if (std::isalnum(letter))
      name += static_cast<char>(std::tolower(letter));
    else if (!name.empty() && name.back() != '-')
      name += '-';
  }
  if (name.ends_with('-')) name.pop_back();
  return name + "-" +
         hex(hash_text(fmt::format("{}|{}|{}|{}|{}", device.name, device.driver, device.multiprocessors,
                                   device.memory_bytes, device.l2_bytes)));
}

double rate(double amount, double seconds) {
  return seconds > 0 ? amount / seconds : 0;
}

/// The best bandwidth of several working sets, each passed over so often that one launch moves about 64 of
/// the largest.
double best_bandwidth(const GpuProbes& probes, Traffic traffic, const std::vector<std::size_t>& sets,
                      std::size_t least_bytes) {
  double best = 0;
  for (const std::size_t bytes : sets) {
    const int passes = static_cast<int>(std::max<std::size_t>(1, least_bytes / bytes));
    best = std::max(
        best, rate(static_cast<double>(bytes) * passes, probes.traffic_seconds(traffic, bytes, passes)));
  }
  return best;
}

double best_product_rate(const GpuProbes& probes, const std::string& dtype) {
  double best = 0;
  for (const int n : {2048, 4096, 8192}) {
    const auto elements = static_cast<std::size_t>(n) * static_cast<std::size_t>(n);
    if (3 * 8 * elements > probes.device.memory_bytes / 2) continue;
    best = std::max(best, rate(2.0 * n * static_cast<double>(elements), probes.product_seconds(dtype, n)));
  }
  return best;
}

std::size_t whole_units(std::size_t bytes) {
  return bytes / kTrafficUnit * kTrafficUnit;
}

}  // namespace

std::size_t dram_working_set(const DeviceProperties& device) {
  const std::size_t wanted = std::max(8 * device.l2_bytes, std::size_t{1} << 30);
  const std::size_t bytes = whole_units(std::min(wanted, device.memory_bytes / 4));
  return bytes > 4 * device.l2_bytes ? bytes : 0;
}

CeilingPlan gpu_ceiling_plan(const GpuProbes& given) {
  const auto probes = std::make_shared<const GpuProbes>(given);
  const DeviceProperties& device = probes->device;
  CeilingPlan plan{.machine = machine_name(device), .gpu = true, .levels = {}, .probes = {}};
  const std::pair<const char*, Traffic> kinds[] = {
      {"gpu-read-", Traffic::read}, {"gpu-copy-", Traffic::copy}, {"gpu-write-", Traffic::write}};
  const auto level = [&](const std::string& name, std::size_t bytes, std::vector<std::size_t> sets,
                         std::size_t least) {
    std::erase(sets, std::size_t{0});
    if (sets.empty()) return;
    plan.levels.push_back({name, bytes});
    for (const auto& [kind, traffic] : kinds) {
      plan.probes.push_back({kind + name, [probes, kind_of = traffic, sets, least] {
                               return best_bandwidth(*probes, kind_of, sets, least);
                             }});
    }
  };
  const std::size_t l2 = device.l2_bytes;
  level("l2", l2, {whole_units(l2 / 8), whole_units(l2 / 4), whole_units(l2 / 2)}, 32 * l2);
  level("dram", device.memory_bytes, {dram_working_set(device)}, 0);
  for (const std::string& dtype : kProductTypes) {
    plan.probes.push_back(
        {"gpu-mma-" + dtype, [probes, dtype] { return best_product_rate(*probes, dtype); }});
  }
  for (const char* dtype : {"f32", "f64"}) {
    plan.probes.push_back(
        {std::string("gpu-fma-") + dtype, [probes, dtype] { return probes->fma_rate(dtype); }});
  }
  plan.probes.push_back({"gpu-launch", [probes] { return probes->launch_seconds(false); }});
  plan.probes.push_back({"gpu-launch-graph", [probes] { return probes->launch_seconds(true); }});
  return plan;
}

}  // namespace remeasure::bench
