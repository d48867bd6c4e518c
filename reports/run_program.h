// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace remeasure::reports {

struct ProgramResult {
  bool found = true;  ///< false: there is no such program
  bool timed_out = false;
  int exit_code = -1;  ///< -1: ended by a signal
  std::string errors;  ///< the beginning of what it wrote to stderr
};

/// Runs a program (a name on PATH or a file) without a shell, its stdout and stderr going to files in
/// `folder`. It is killed after `timeout_seconds`.
ProgramResult run_program(const std::vector<std::string>& arguments, const std::filesystem::path& folder,
                          double timeout_seconds);

}  // namespace remeasure::reports
