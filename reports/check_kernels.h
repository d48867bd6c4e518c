// SPDX-License-Identifier: Apache-2.0
//
// Rule 24 of check.h: static figures of the kernels, on any machine. Of one kernel on one architecture let s
// be the spilled bytes, f the stack, o the theoretical occupancy, r the registers and m the static shared
// memory; b before, a after:
//   (24a) worse:   s_a > s_b  or  f_a > f_b
//   (24b) worse:   o_a < o_b, where both are known
//   (24c) unclear: r_a > (1 + 3 %) r_b  or  m_a > (1 + 3 %) m_b
//   (24d) worse:   the kernel is gone from a run that says it is complete; else unclear
// 24c doesn't fail a check: registers and shared memory that fit cost nothing, and where they no longer fit
// 24a or 24b says so. After a change of the toolkit whatever would be worse is unclear. An architecture that
// the run has no kernel of was not built, which is said and not compared; the same for a run without any
// figures.
#pragma once

#include "reports/check.h"

namespace remeasure::reports {

/// Adds rows and what was not compared to `result`.
void compare_kernels(const Record& before, const Record& after, CheckResult& result);

}  // namespace remeasure::reports
