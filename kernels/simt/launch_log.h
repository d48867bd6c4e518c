// SPDX-License-Identifier: Apache-2.0
//
// Shapes of launches, gathered over many programs and engines: what the tests launch tells the occupancy of
// kernel instantiations that no smoke run launches (`make kernels`). One line per kernel and shape:
//
//   _ZN9remeasure...<tab>saxpy.cu<tab>256<tab>0        symbol, file, threads of a block, dynamic shared bytes
//
// The file is the one that the environment's REMEASURE_LAUNCH_LOG names; without it nothing is written.
#pragma once

#include <cstddef>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "kernels/simt/engine.h"

namespace remeasure::simt {

struct LoggedLaunch {
  std::string symbol = {};  ///< mangled
  std::string file = {};    ///< see ProgramSymbol
  unsigned block_threads = 0;
  std::size_t shared_bytes = 0;  ///< dynamic

  auto operator<=>(const LoggedLaunch&) const = default;
};

/// Adds those that the file doesn't have yet. Each engine does so when it meets a shape for the first time,
/// into REMEASURE_LAUNCH_LOG.
/// Throws std::runtime_error where the file can't be written.
void log_launches(const std::filesystem::path& path, const std::set<LaunchShape>& shapes);

/// Throws std::runtime_error that names the file, and the line that isn't a launch.
std::vector<LoggedLaunch> read_launch_log(const std::filesystem::path& path);

}  // namespace remeasure::simt
