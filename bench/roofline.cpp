// SPDX-License-Identifier: Apache-2.0
#include "bench/roofline.h"

#include <fmt/format.h>

#include <algorithm>
#include <initializer_list>
#include <vector>

namespace remeasure::bench {
namespace {

enum class Kind { usual, hard };

/// The best of the named ceilings that were measured; empty if none was.
template <class Names>
std::string best_of(const Names& names, const Ceilings& ceilings) {
  std::string best;
  for (const std::string& name : names) {
    if (ceilings.has(name) && (best.empty() || ceilings.values.at(name) > ceilings.values.at(best)))
      best = name;
  }
  return best;
}

std::string bandwidth_on(const MemoryLevel& level, const Ceilings& ceilings) {
  std::vector<std::string> names;
  for (const char* kind : traffic_kinds(ceilings.gpu)) names.push_back(kind + level.name);
  return best_of(names, ceilings);
}

/// The smallest level that holds `footprint` bytes, else the largest; null if there is none.
const MemoryLevel* level_for(std::size_t footprint, const Ceilings& ceilings) {
  for (const MemoryLevel& level : ceilings.levels) {
    if (footprint <= level.bytes || &level == &ceilings.levels.back()) return &level;
  }
  return nullptr;
}

/// Seconds for the work's bytes; fills in the names. No value if a bandwidth is missing.
std::optional<double> memory_seconds(const Work& work, std::size_t footprint, const Ceilings& ceilings,
                                     Kind kind, Floor& floor) {
  const auto all = static_cast<std::size_t>(work.bytes);
  const std::size_t touched = footprint == 0 ? all : ceilings.gpu ? std::min(footprint, all) : footprint;
  const MemoryLevel* level = level_for(touched, ceilings);
  if (level == nullptr) return std::nullopt;
  floor.bandwidth = bandwidth_on(*level, ceilings);
  if (floor.bandwidth.empty()) return std::nullopt;
  const double from_level = work.bytes / ceilings.values.at(floor.bandwidth);
  if (kind == Kind::usual || !ceilings.gpu || level == &ceilings.levels.front()) return from_level;
  const MemoryLevel& cache = *(level - 1);
  floor.cache_bandwidth = bandwidth_on(cache, ceilings);
  const double kept = std::min(1.0, static_cast<double>(cache.bytes) / static_cast<double>(touched));
  const double from_cache =
      floor.cache_bandwidth.empty() ? 0 : work.bytes / ceilings.values.at(floor.cache_bandwidth);
  return std::max(from_level * (1 - kept), from_cache);
}

std::string cpu_rate(const std::string& dtype) {
  if (dtype == "f64" || dtype == "f32") return "fma-" + dtype;
  if (dtype == "f16" || dtype == "bf16") return "fma-f32";
  return {};
}

std::string gpu_rate(const std::string& dtype, const Ceilings& ceilings, Kind kind) {
  std::vector<std::string> names{"gpu-mma-" + dtype, "gpu-fma-" + dtype};
  if (dtype == "f32" && kind == Kind::hard) names.push_back("gpu-mma-tf32");
  return best_of(names, ceilings);
}

std::string rate_for(const Work& work, const std::string& dtype, const Ceilings& ceilings, Kind kind) {
  const std::string& named = work.rate;
  if (kind == Kind::hard || named.empty())
    return ceilings.gpu ? gpu_rate(dtype, ceilings, kind) : cpu_rate(dtype);
  if (ceilings.gpu && named.starts_with("gemm-")) return "gpu-mma-" + named.substr(5);
  if (ceilings.gpu && named.starts_with("fma-")) return "gpu-fma-" + named.substr(4);
  return named;
}

std::optional<Floor> make_floor(const Work& work, const std::string& dtype, std::size_t footprint,
                                const Ceilings& ceilings, Kind kind) {
  Floor floor;
  double memory = 0, compute = 0;
  if (work.bytes > 0) {
    const auto seconds = memory_seconds(work, footprint, ceilings, kind, floor);
    if (!seconds) return std::nullopt;
    memory = *seconds;
  }
  if (work.flops > 0) {
    floor.rate = rate_for(work, dtype, ceilings, kind);
    if (!ceilings.has(floor.rate)) return std::nullopt;
    compute = work.flops / ceilings.values.at(floor.rate);
  }
  floor.seconds = std::max(memory, compute);
  if (!(floor.seconds > 0)) return std::nullopt;
  floor.bound = memory >= compute ? "memory" : "compute";
  return floor;
}

}  // namespace

std::optional<Floor> floor_of(const Work& work, const std::string& dtype, std::size_t footprint,
                              const Ceilings& ceilings) {
  return make_floor(work, dtype, footprint, ceilings, Kind::usual);
}

std::optional<Floor> hard_floor_of(const Work& work, const std::string& dtype, std::size_t footprint,
                                   const Ceilings& ceilings) {
  return make_floor(work, dtype, footprint, ceilings, Kind::hard);
}

bool below_floor(double seconds, const Floor& floor) {
  return seconds < floor.seconds * (1 - kFloorMargin);
}

reports::Roofline roofline_of(const Work& work, const std::optional<Floor>& floor, double seconds) {
  reports::Roofline roofline;
  roofline.flops = work.flops;
  roofline.bytes = work.bytes;
  if (!floor) return roofline;
  roofline.floor_seconds = floor->seconds;
  roofline.fraction_of_floor = std::min(1.0, floor->seconds / seconds);
  roofline.bound = floor->bound;
  roofline.ceilings = floor->bandwidth;
  if (!floor->rate.empty()) roofline.ceilings += (roofline.ceilings.empty() ? "" : ", ") + floor->rate;
  return roofline;
}

FloorJudgement judge_time(const Work& work, const std::string& dtype, std::size_t footprint, double seconds,
                          Ceilings& ceilings) {
  std::optional<Floor> hard = hard_floor_of(work, dtype, footprint, ceilings);
  if (hard && below_floor(seconds, *hard) && ceilings.measure_again) {
    for (const std::string& name : {hard->bandwidth, hard->cache_bandwidth, hard->rate}) {
      if (!name.empty())
        ceilings.values[name] = std::max(ceilings.values[name], ceilings.measure_again(name));
    }
    hard = hard_floor_of(work, dtype, footprint, ceilings);
  }
  if (hard && below_floor(seconds, *hard)) {
    return {fmt::format("the time {:.3g} s is below the floor {:.3g} s ({}: {}): either the work isn't done "
                        "or its formula is "
                        "wrong",
                        seconds, hard->seconds, hard->bound,
                        hard->bound == "memory" ? hard->bandwidth : hard->rate),
            {}};
  }
  const auto floor = floor_of(work, dtype, footprint, ceilings);
  if (!floor) return {};
  return {{}, roofline_of(work, floor, seconds)};
}

}  // namespace remeasure::bench
