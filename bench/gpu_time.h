// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "bench/device_timer.h"
#include "bench/trial.h"
#include "reports/record.h"

namespace remeasure::bench {

/// What a record holds of a device sampling, but for the estimate, the samples and the reason to stop. Where
/// the variant quotes another mode than the cold one and that mode has samples, `sampling`'s samples become
/// that mode's, and the cold ones stand among the other modes; where it has none, the cold time is quoted and
/// says so.
reports::TimeResult time_result_of(DeviceSampling& sampling, const VariantInfo& info);

}  // namespace remeasure::bench
