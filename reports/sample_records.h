// SPDX-License-Identifier: Apache-2.0
//
// Records made up for the tests: every status, verdict and kind of content, the same on every machine.
#pragma once

#include <vector>

#include "reports/record.h"

namespace remeasure::reports::samples {

/// A GPU experiment: all three places, an incorrect and a timed-out variant, real and generated data, memory.
Record attention();
/// A CPU experiment on a machine without a GPU: rows not run, a table, a withheld speedup, a failed check.
Record bessel();
/// An experiment without times in its claims: plots, metrics, statements.
Record double_descent();
/// An experiment whose process crashed.
Record crashed();

/// All of them.
std::vector<Record> all();

/// A time whose samples lie within `spread` (relative) around `seconds`.
TimeResult time_of(double seconds, double spread = 0.005);

}  // namespace remeasure::reports::samples
