// SPDX-License-Identifier: Apache-2.0
//
// For tests: a case in a few lines, run through the real frame.
#pragma once

#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "bench/run_case.h"
#include "bench/trial.h"

namespace remeasure::bench::testing {

/// A folder that is gone with the test.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "remeasure-bench-XXXXXX").string();
    if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no temporary folder " + pattern);
    path_ = pattern;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

/// The operation of these tests: out = 3 in + 1 for a 32 x 32 array of f32, with an oracle in f64.
inline constexpr std::size_t kSide = 32;
inline constexpr std::size_t kElements = kSide * kSide;

inline std::vector<float> inputs_of(std::uint64_t seed) {
  std::vector<float> values(kElements);
  for (std::size_t i = 0; i < kElements; ++i) {
    values[i] = static_cast<float>(std::sin(static_cast<double>(i + 1) * static_cast<double>(seed + 7)));
  }
  return values;
}

/// What a variant does with one input set.
using Body = std::function<void(std::span<const float> in, std::span<float> out)>;

inline void right(std::span<const float> in, std::span<float> out) {
  for (std::size_t i = 0; i < in.size(); ++i) out[i] = 3 * in[i] + 1;
}

inline VariantInfo info_of(const std::string& name) {
  VariantInfo info;
  info.name = name;
  info.what = "3 x + 1";
  info.dtype = "f32";
  info.accept = {
      {.output = "out", .metric = ErrorMetric::max_scaled, .limit = 1e-6, .reason = "one f32 rounding"}};
  return info;
}

/// Declares the oracle and one host variant per body.
struct HostVariant {
  VariantInfo info;
  Body body;
};

inline void declare_oracle(Trial& trial) {
  trial.oracle("out", 1, [seed = trial.seed()] {
    OracleOutput oracle;
    for (const float value : inputs_of(seed)) oracle.values.push_back(3.0 * static_cast<double>(value) + 1);
    return oracle;
  });
}

inline void declare_host(Trial& trial, const HostVariant& variant, std::vector<std::vector<float>>& sets) {
  trial.host(variant.info, [&sets, body = variant.body](HostBench& bench) -> std::function<void()> {
    const auto in = bench.input(sets[bench.set()]);
    const auto out = bench.output<float>("out", kElements);
    return [=] { body(in, out); };
  });
}

struct Fixture {
  TemporaryFolder folder;
  Experiment experiment = {.paper = {.id = "test"}};
  RunOptions options;

  Fixture() {
    options.data_root = folder.path();
    options.min_time = 1e-3;
  }
  reports::CaseResult run(std::function<void(Trial&)> body) {
    const CaseDefinition definition{.name = {{"n", "32"}}, .run = std::move(body)};
    return run_case({&experiment, "testing"}, definition, options);
  }
  /// Runs host variants of the standard operation; the row of each.
  reports::CaseResult run(const std::vector<HostVariant>& variants) {
    std::vector<std::vector<float>> sets;
    for (std::uint64_t set = 0; set < kInputSets; ++set) sets.push_back(inputs_of(options.seed + 1000 * set));
    return run([&](Trial& trial) {
      declare_oracle(trial);
      for (const HostVariant& variant : variants) declare_host(trial, variant, sets);
      trial.measure();
    });
  }
};

}  // namespace remeasure::bench::testing
