// SPDX-License-Identifier: Apache-2.0
#include "bench/roofline.h"

#include <algorithm>

namespace remeasure::bench {
namespace {

/// Name of the best bandwidth on the level that holds `footprint` bytes; empty if none was measured.
std::string bandwidth_for(std::size_t footprint, const Ceilings& ceilings) {
  for (const MemoryLevel& level : ceilings.levels) {
    if (footprint > level.bytes && &level != &ceilings.levels.back()) continue;
    const std::string read = "read-" + level.name, triad = "triad-" + level.name;
    if (ceilings.has(read) && ceilings.has(triad)) {
      return ceilings.values.at(read) >= ceilings.values.at(triad) ? read : triad;
    }
    if (ceilings.has(read)) return read;
    if (ceilings.has(triad)) return triad;
    return {};
  }
  return {};
}

std::string rate_for(const Work& work, const std::string& dtype) {
  if (!work.rate.empty()) return work.rate;
  if (dtype == "f64" || dtype == "f32") return "fma-" + dtype;
  if (dtype == "f16" || dtype == "bf16") return "fma-f32";
  return {};
}

}  // namespace

std::optional<Floor> floor_of(const Work& work, const std::string& dtype, std::size_t footprint,
                              const Ceilings& ceilings) {
  Floor floor;
  double memory = 0, compute = 0;
  if (work.bytes > 0) {
    floor.bandwidth = bandwidth_for(footprint > 0 ? footprint : static_cast<std::size_t>(work.bytes), ceilings);
    if (floor.bandwidth.empty()) return std::nullopt;
    memory = work.bytes / ceilings.values.at(floor.bandwidth);
  }
  if (work.flops > 0) {
    floor.rate = rate_for(work, dtype);
    if (!ceilings.has(floor.rate)) return std::nullopt;
    compute = work.flops / ceilings.values.at(floor.rate);
  }
  floor.seconds = std::max(memory, compute);
  if (!(floor.seconds > 0)) return std::nullopt;
  floor.bound = memory >= compute ? "memory" : "compute";
  return floor;
}

std::optional<Floor> hard_floor_of(const Work& work, const std::string& dtype, std::size_t footprint,
                                   const Ceilings& ceilings) {
  Work unrated = work;
  unrated.rate.clear();
  return floor_of(unrated, dtype, footprint, ceilings);
}

bool below_floor(double seconds, const Floor& floor) { return seconds < floor.seconds * (1 - kFloorMargin); }

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

}  // namespace remeasure::bench
