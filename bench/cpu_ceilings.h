// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "bench/ceilings.h"

namespace remeasure::bench {

/// Bandwidths of every cache level and of memory, rates of multiply-adds and of Eigen's product: about one
/// second.
CeilingPlan cpu_ceiling_plan();

}  // namespace remeasure::bench
