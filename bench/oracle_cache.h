// SPDX-License-Identifier: Apache-2.0
//
// Oracles beside the datasets that they belong to: <data>/.oracle/<experiment>/<output>-<hash of the
// key>.bin. An oracle can be a thousand times slower than the variants it judges, and depends on nothing but
// its key.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "bench/trial.h"

namespace remeasure::bench {

/// Everything an oracle depends on. Its text is stored in the file and compared, so a hash collision isn't a
/// hit.
struct OracleKey {
  std::string experiment, case_name, output;
  int version = 0;
  std::uint64_t seed = 0;
  std::string data;  ///< content hashes of the datasets that the case opened

  std::string text() const;
};

class OracleCache {
 public:
  explicit OracleCache(std::filesystem::path folder) : folder_(std::move(folder)) {}

  /// The stored oracle, or `compute()`, stored if it took long enough to be worth a file. A file that is
  /// truncated, has another checksum or another key is ignored and replaced.
  OracleOutput get(const OracleKey& key, const std::function<OracleOutput()>& compute) const;

  std::filesystem::path path_of(const OracleKey& key) const;
  std::optional<OracleOutput> load(const OracleKey& key) const;
  /// Atomic: temporary name, then rename. A cache that can't be written is no error.
  bool store(const OracleKey& key, const OracleOutput& output) const;

  double worth_storing_seconds = 0.05;

 private:
  std::filesystem::path folder_;
};

/// Throws std::invalid_argument where an oracle can't judge: empty, NaN, indices or scales of another length.
void validate(const OracleOutput& oracle, const std::string& name);

}  // namespace remeasure::bench
