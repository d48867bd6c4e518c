// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "kernels/simt/options.h"

namespace remeasure::simt {

struct EngineTiming {
  std::string name;    ///< of the kernel
  double items = 0;    ///< elements or multiply-adds that one launch does
  double seconds = 0;  ///< the fastest of the repetitions
  std::vector<double> samples;
};

/// Times three kernels on the engine: saxpy of 2^20 elements, a 256 x 256 x 256 matrix product in 16 x 16
/// tiles with two barriers a step, and the sum of 2^20 values by 32-lane shuffles. Checks each result; throws
/// std::runtime_error when one is wrong. These are times of the engine, never of a GPU.
std::vector<EngineTiming> run_engine_benchmark(const EngineOptions& options = {}, int repetitions = 20);

}  // namespace remeasure::simt
