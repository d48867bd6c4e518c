// SPDX-License-Identifier: Apache-2.0
//
// What a machine can reach: the denominators of every "% of floor". All are measured; a ceiling that wasn't
// measured doesn't exist, and then there is no roofline. A plan says what to measure (cpu_ceilings.h,
// gpu_ceilings.h); what came out is kept in a file per machine.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace remeasure::bench {

/// A level of the memory hierarchy: what fits into `bytes` can run at the bandwidths named after it.
struct MemoryLevel {
  std::string name;       ///< "l1", "l2", "l3", "dram"
  std::size_t bytes = 0;  ///< of all cores together; dram: all of the memory
};

/// One thing to measure, and again where a variant was faster. Zero: this machine can't (no bf16, say).
struct Probe {
  std::string name;
  std::function<double()> measure;
};

/// What to measure on one machine: its CPU, or one GPU.
struct CeilingPlan {
  std::string machine;  ///< what the values belong to; part of a file's name
  bool gpu = false;
  std::vector<MemoryLevel> levels;  ///< from small to large
  std::vector<Probe> probes;
};

struct Ceilings {
  /// On a CPU: "read-l1" ... "read-dram", "triad-l1" ... "triad-dram": bytes/s of all cores on a working set
  /// of that level; "gemm-f64", "gemm-f32": flop/s of Eigen's product on all cores; "fma-f64", "fma-f32": of
  /// independent FMAs, which no program can pass. On a GPU: gpu_ceilings.h.
  std::map<std::string, double> values;
  std::vector<MemoryLevel> levels;  ///< from small to large
  std::string machine;              ///< CeilingPlan::machine
  bool gpu = false;
  std::vector<std::string> not_here;  ///< probes that gave nothing: this machine can't

  /// Measures the named ceiling again and keeps the better value: used when a variant was faster than its
  /// floor, so that a disturbed measurement of the ceiling doesn't condemn a good variant. Empty for ceilings
  /// made by hand.
  std::function<double(const std::string&)> measure_again;

  bool has(const std::string& name) const { return values.contains(name); }
};

/// Beginnings of the names of bandwidths, to which a level's name is added: "read-", "triad-"; "gpu-read-",
/// ...
std::span<const char* const> traffic_kinds(bool gpu);

/// Ceilings::measure_again for a plan: zero for a name that it doesn't have.
std::function<double(const std::string&)> measure_again_of(const CeilingPlan& plan);

/// Runs every probe of the plan. A level is never slower than a larger one: what streams from memory also
/// streams from cache.
Ceilings measure_ceilings(const CeilingPlan& plan);

/// From `<folder>/ceilings-<machine>-<build>.json` if it is there, valid, and has every probe; else measured
/// and written.
Ceilings measured_ceilings(const CeilingPlan& plan, const std::filesystem::path& folder);

/// What the file has, measuring nothing.
std::optional<Ceilings> stored_ceilings(const CeilingPlan& plan, const std::filesystem::path& folder);

/// Atomic write of the file (after `measure_again` raised a value).
void store_ceilings(const Ceilings& ceilings, const std::filesystem::path& folder);

/// <data folder>/.ceilings
std::filesystem::path ceilings_folder(const std::filesystem::path& data_folder);

}  // namespace remeasure::bench
