// SPDX-License-Identifier: Apache-2.0
//
// Ceilings between runs: one JSON file per machine and build.
#include <fmt/format.h>
#include <unistd.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "bench/ceilings.h"
#include "bench/hash.h"
#include "bench/system.h"

namespace remeasure::bench {
namespace {

/// 2: a probe that this machine can't run is listed as zero.
constexpr int kVersion = 2;

/// Two builds may vectorise differently; their ceilings aren't the same.
std::string build_id() {
  const reports::Build build = build_info();
  return hex(hash_text(build.compiler + "|" + build.flags + "|" + build.simd + "|" + build.cuda_toolkit));
}

std::filesystem::path file_of(const std::string& machine, const std::filesystem::path& folder) {
  return folder / fmt::format("ceilings-{}-{}.json", machine, build_id());
}

/// The same probes and levels, each with a number; else the file is another program's.
std::optional<Ceilings> read(const nlohmann::json& json, const CeilingPlan& plan) {
  if (json.at("version") != kVersion || json.at("machine") != plan.machine) return std::nullopt;
  Ceilings ceilings;
  ceilings.machine = plan.machine;
  ceilings.gpu = plan.gpu;
  ceilings.levels = plan.levels;
  for (const Probe& probe : plan.probes) {
    const double value = json.at("values").at(probe.name).get<double>();
    if (!(value >= 0 && std::isfinite(value))) return std::nullopt;
    if (value > 0)
      ceilings.values[probe.name] = value;
    else
      ceilings.not_here.push_back(probe.name);
  }
  const nlohmann::json& levels = json.at("levels");
  if (levels.size() != plan.levels.size() || ceilings.values.empty()) return std::nullopt;
  for (std::size_t i = 0; i < plan.levels.size(); ++i) {
    if (levels[i].at("name") != plan.levels[i].name || levels[i].at("bytes") != plan.levels[i].bytes)
      return std::nullopt;
  }
  return ceilings;
}

}  // namespace

std::optional<Ceilings> stored_ceilings(const CeilingPlan& plan, const std::filesystem::path& folder) {
  std::ifstream file(file_of(plan.machine, folder));
  if (!file) return std::nullopt;
  try {
    auto ceilings = read(nlohmann::json::parse(file), plan);
    if (ceilings) ceilings->measure_again = measure_again_of(plan);
    return ceilings;
  } catch (const nlohmann::json::exception&) {
    return std::nullopt;  // half-written or edited: measured again
  }
}

void store_ceilings(const Ceilings& ceilings, const std::filesystem::path& folder) {
  nlohmann::json json = {{"version", kVersion}, {"machine", ceilings.machine}, {"values", ceilings.values}};
  for (const std::string& name : ceilings.not_here) json["values"][name] = 0.0;
  json["levels"] = nlohmann::json::array();
  for (const MemoryLevel& level : ceilings.levels)
    json["levels"].push_back({{"name", level.name}, {"bytes", level.bytes}});
  const std::filesystem::path path = file_of(ceilings.machine, folder);
  const std::filesystem::path temporary = path.string() + fmt::format(".tmp-{}", ::getpid());
  std::error_code ignored;  // a file that can't be written costs a second next time, nothing else
  std::filesystem::create_directories(folder, ignored);
  std::ofstream file(temporary);
  file << json.dump(2) << '\n';
  file.close();
  if (file) {
    std::filesystem::rename(temporary, path, ignored);
  } else {
    std::filesystem::remove(temporary, ignored);
  }
}

}  // namespace remeasure::bench
