// SPDX-License-Identifier: Apache-2.0
//
// What this machine can reach: the denominators of every "% of floor". All are measured here; a ceiling that wasn't
// measured doesn't exist, and then there is no roofline.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace remeasure::bench {

/// A level of the memory hierarchy: what fits into `bytes` can run at the bandwidth named `read-<name>`/`triad-<name>`.
struct MemoryLevel {
  std::string name;                    ///< "l1", "l2", "l3", "dram"
  std::size_t bytes = 0;               ///< of all cores together; dram: all of the memory
};

struct Ceilings {
  /// "read-l1" ... "read-dram", "triad-l1" ... "triad-dram": bytes/s of all cores on a working set of that level.
  /// "gemm-f64", "gemm-f32": flop/s of Eigen's product on all cores; "fma-f64", "fma-f32": of independent FMAs, which
  /// no program can pass.
  std::map<std::string, double> values;
  std::vector<MemoryLevel> levels;     ///< from small to large
  std::string machine;                 ///< System::id they belong to

  /// Measures the named ceiling again and keeps the better value: used when a variant was faster than its floor, so
  /// that a disturbed measurement of the ceiling doesn't condemn a good variant. Empty for ceilings made by hand.
  std::function<double(const std::string&)> measure_again;

  bool has(const std::string& name) const { return values.contains(name); }
};

/// Measures everything on this CPU: about one second.
Ceilings measure_ceilings();

/// From `<folder>/ceilings-<system id>-<build>.json` if it is there and valid, else measured and written to it.
Ceilings measured_ceilings(const std::filesystem::path& folder);

/// Atomic write of the cache file (after `measure_again` raised a value).
void store_ceilings(const Ceilings& ceilings, const std::filesystem::path& folder);

}  // namespace remeasure::bench
