// SPDX-License-Identifier: Apache-2.0
//
// The proof of the roofline without a GPU: kernels of ours run under the counting engine, and their
// operations and bytes are compared with the formulas that the experiment itself declares (Work). Only
// programs that are linked with the checked kernels count anything.
#pragma once

#include <string>
#include <vector>

#include "bench/run_case.h"
#include "bench/trial.h"

namespace remeasure::simt {
class Engine;
}

namespace remeasure::bench {

/// A formula may be off by this, relative to the count.
inline constexpr double kWorkTolerance = 0.05;

/// All launches of one run, in the units of Work.
struct Counted {
  double flops = 0;
  double bytes = 0;
  double special = 0;
};

struct CountedVariant {
  std::string case_name = {}, variant = {};
  Work work = {};
  Counted counted = {};
  std::string not_run = {};  ///< why it didn't run on Simt; then nothing was counted
};

/// What the engine has counted since its last reset.
Counted counted_by(const simt::Engine& engine);

/// Runs the kernels of all smoke cases once each, through the experiment's own code. Verifies nothing and
/// times nothing. Throws std::runtime_error that names the case where one fails.
std::vector<CountedVariant> count_work(const Registered& experiment, RunOptions options = {});

/// A sentence for each formula that is missing or off by more than kWorkTolerance: case, variant, formula and
/// count.
std::vector<std::string> disagreements(const CountedVariant& variant);

/// A line for each variant: formula and count of flops, special functions and bytes, and their ratio.
std::string table_of(const std::vector<CountedVariant>& variants);

}  // namespace remeasure::bench
