// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "bench/experiment.h"
#include "bench/gpu_ceilings.h"

namespace remeasure::bench::runner {

/// The life of a worker process: runs the cases of one experiment, writes its record after each, and says
/// what it does on kMessageDescriptor. Returns the process's exit status: 0 if the record is final.
/// `gpu_probes` may be empty: then a GPU's times have no floor. `ptxas_output` (see kernels/ptxas_output.h)
/// gives the record its kernels' static figures; empty where there are none.
int run_worker(const std::string& assignment, std::span<const Registered> experiments,
               const OpenGpuProbes& gpu_probes, std::string_view ptxas_output);

}  // namespace remeasure::bench::runner
