// SPDX-License-Identifier: Apache-2.0
//
// Whether a CPU time was taken on a machine that had other things to do. Where others keep the cores busy, a
// call of several threads waits for the scheduler: a row of 0.1 ms was seen at 4.0 ms, a tick, with an
// interval of 0.5 %. Nothing inside the samples tells of it.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace remeasure::bench {

/// CPU seconds on the cores that this process may use, since some moment in the past.
struct CpuUse {
  double all = 0;  ///< of every process, the kernel and, in a virtual machine, its neighbours ("steal")
  double own = 0;  ///< of this process
  int cores = 1;
  std::chrono::steady_clock::time_point at = {};
};

/// Nothing where /proc/stat isn't there or doesn't list the cores.
std::optional<CpuUse> cpu_use();

/// Seconds in use of these cores, from a text as /proc/stat has it, in ticks of 1/ticks_per_second. Nothing
/// if one of the cores isn't in it.
std::optional<double> busy_seconds(std::string_view proc_stat, const std::vector<int>& cores,
                                   double ticks_per_second);

/// "others kept 1.3 of 2 cores busy": if between the two others used more than 10 % of the cores, and more
/// than the two ticks a core by which the kernel's account may be off. Else empty.
std::string disturbance(const CpuUse& before, const CpuUse& after);

}  // namespace remeasure::bench
