// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>
#include <system_error>

namespace remeasure::testing {

/// What a test needs beyond itself: `name` beside the running program where it is there (a bundle, moved
/// anywhere), else `in_sources`, the path that it had when it was built.
inline std::filesystem::path beside_program(const std::string& name,
                                            const std::filesystem::path& in_sources) {
  std::error_code failed;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", failed);
  const auto beside = program.parent_path() / name;
  return !failed && std::filesystem::exists(beside, failed) ? beside : in_sources;
}

}  // namespace remeasure::testing
