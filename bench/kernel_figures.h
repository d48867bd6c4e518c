// SPDX-License-Identifier: Apache-2.0
//
// Static figures of an experiment's kernels: what the compiler said of them (bench/ptxas.h), joined with the
// shapes that the SIMT engine saw them launched in. Nobody lists an experiment's kernels: they are those that
// its cases launched, and their neighbours in the same source file, which are instantiations for other sizes
// and types.
#pragma once

#include <cstddef>
#include <filesystem>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/simt/engine.h"
#include "reports/record.h"

namespace remeasure::bench {

/// A kernel by the names that both compilers agree on, in one of its shapes.
struct KernelLaunch {
  std::string kernel = {};  ///< kernel_name()
  std::string file = {};    ///< "nm_sparse_sddmm.cu"; empty where the name alone must do
  int block_threads = 0;
  std::size_t shared_bytes = 0;  ///< dynamic

  auto operator<=>(const KernelLaunch&) const = default;
};

/// Names the functions that an engine of this program launched. A stripped program gives nothing.
std::vector<KernelLaunch> named_launches(const std::set<simt::LaunchShape>& shapes);

/// Those of a log that test programs wrote (kernels/simt/launch_log.h). Throws what read_launch_log throws.
std::vector<KernelLaunch> logged_launches(const std::filesystem::path& log);

/// Figures of every kernel that `ptxas_output` tells of, by source, name and architecture. A launched kernel
/// has the shape in which its occupancy is lowest. Throws what parse_ptxas throws.
std::vector<reports::KernelFigures> all_kernel_figures(std::string_view ptxas_output,
                                                       const std::vector<KernelLaunch>& launches);

/// Of those, the kernels of files from which at least one kernel was launched.
std::vector<reports::KernelFigures> used_kernel_figures(std::string_view ptxas_output,
                                                        const std::vector<KernelLaunch>& launches);

/// What is left until all kernels of `figures` were launched as a GPU could launch them: "source: kernel",
/// each once for all its architectures. A source that ends in _cuda.cu is compiled for a GPU alone, so no
/// launch of its kernels can be known.
struct LaunchGaps {
  std::vector<std::string> never = {};      ///< launched in no shape
  std::vector<std::string> too_large = {};  ///< in a shape of which no multiprocessor holds a single block
  std::size_t exempt = 0;                   ///< kernels of a GPU alone
};
LaunchGaps launch_gaps(const std::vector<reports::KernelFigures>& figures);

/// The launches that figures tell of: what a finished case leaves behind for a run that goes on later.
std::vector<KernelLaunch> launches_of(const std::vector<reports::KernelFigures>& figures);

}  // namespace remeasure::bench
