// SPDX-License-Identifier: Apache-2.0
#include "kernels/simt/operation_counts.h"

// The names that kernels/simt/counting/count_operations.awk writes into the kernels' assembly. Thread-local,
// as host code of a kernel's source file may run in any thread.
extern "C" {
constinit thread_local std::uint64_t remeasure_flops = 0;
constinit thread_local std::uint64_t remeasure_special_functions = 0;
constinit thread_local std::uint64_t remeasure_saved_register = 0;
}

namespace remeasure::simt {

void begin_operations() {
  remeasure_flops = remeasure_special_functions = 0;
}

void end_operations(std::array<std::uint64_t, kCounters>& counters) {
  counters[static_cast<std::size_t>(Counter::scalar_flops)] += remeasure_flops;
  counters[static_cast<std::size_t>(Counter::special_functions)] += remeasure_special_functions;
}

}  // namespace remeasure::simt
