// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "bench/experiment.h"
#include "bench/runner/settings.h"
#include "reports/record.h"

namespace remeasure::bench::runner {

/// A record without cases: subject, build and machine filled in.
reports::Record blank_record(const Registered& registered, const Assignment& assignment);

/// Now, in UTC, ISO 8601.
std::string utc_now();

}  // namespace remeasure::bench::runner
