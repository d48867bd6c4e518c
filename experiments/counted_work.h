// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace remeasure::experiments {

/// The test `counted work: <id>`, which the build makes for every experiment: prints formulas and counts of
/// all its kernels at smoke size, and fails for each that disagrees.
void check_counted_work(const char* id);

}  // namespace remeasure::experiments
