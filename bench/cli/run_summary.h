// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "bench/cli/options.h"
#include "bench/runner/runner.h"

namespace remeasure::bench::cli {

/// What `run` says at its end: a row per experiment, what was not run or went wrong and why (grouped by
/// reason), the verdicts in numbers, where the results are and what to do with them.
std::string run_summary(const runner::RunReport& report, const RunCommand& options, std::size_t width,
                        bool colour);

/// The command that goes on where this one ended.
std::string resume_command(const RunCommand& options);

}  // namespace remeasure::bench::cli
