// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdexcept>
#include <string>

namespace remeasure::bench::cli {

/// What the program says to the shell. Of several reasons the first in this order decides: incorrect,
/// interrupted, tool error, crash, regression, nothing comparable.
enum ExitCode : int {
  kFine = 0,
  kRegression = 1,  ///< or a kernel that nothing launched
  kUsageOrToolError = 2,
  kNothingComparable = 3,
  kIncorrect = 4,
  kCrash = 5,
  kInterrupted = 130,
};

/// Ends a command with kUsageOrToolError; the text is the one line that the user gets.
struct CommandError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// The table of `remeasure help exit-codes`.
std::string exit_codes_text();

}  // namespace remeasure::bench::cli
