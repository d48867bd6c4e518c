// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "kernels/simt/engine.h"

namespace remeasure::simt {

/// Does some launches on the engine and returns the bytes that they computed. Must begin from the same inputs
/// each time.
using ScheduledRun = std::function<std::vector<std::byte>()>;

/// The results of `run` under each seed, in order. The engine has its old schedule afterwards.
std::vector<std::vector<std::byte>> run_schedules(Engine& engine, std::span<const std::uint64_t> seeds,
                                                  const ScheduledRun& run);

/// Runs under each seed, and under the first one with the other timing of cp.async. Throws EngineError
/// (order-dependent) that names the two schedules and the first byte that differs, unless a launch of the run
/// was declared order_dependent.
void expect_schedule_independent(Engine& engine, std::span<const std::uint64_t> seeds,
                                 const ScheduledRun& run);

}  // namespace remeasure::simt
