// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "reports/record.h"

namespace remeasure::bench {

/// How this program was built: commit, compiler, flags, toolkit, SIMD level in use.
reports::Build build_info();

/// The machine it runs on. Asks /proc, /sys and, where there is one, the CUDA device; nothing is cached.
reports::System system_info();

/// What `check` and --resume call the same machine: a hash of CPU, cores that may be used, memory (whole
/// GiB), caches and GPU. Not of names, drivers, kernels or settings: they change with an update.
std::string stable_id(const reports::System& system);

/// The CPU's model name, as `VariantResult::device` has it.
std::string cpu_name();

/// Threads this process may run on (affinity respected).
int usable_cores();

/// The first CUDA device's name, or empty.
std::string gpu_name();
/// Why there is none: "no CUDA device (no NVIDIA driver)", "built without the CUDA toolkit"; empty if there
/// is one.
std::string why_no_gpu();

}  // namespace remeasure::bench
