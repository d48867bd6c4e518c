// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "bench/cli/commands.h"

namespace remeasure::bench::cli {

/// The whole program: reads the command line, runs a command, reports errors. The result is main's. Also the
/// life of the workers that `run` starts from the same program.
int run_program(int argc, const char* const* argv, const Program& program);

}  // namespace remeasure::bench::cli
