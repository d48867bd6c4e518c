// SPDX-License-Identifier: Apache-2.0
//
// What the made-up records (sample_records.h) are put together from.
#pragma once

#include "reports/record.h"

namespace remeasure::reports::samples {

System gpu_machine();
System cpu_machine();

/// A complete record without cases and machine.
Record header(const char* id, const char* theme, const char* title);
Accuracy within(const char* output, double value, double limit, const char* reason);
VariantResult variant(const char* name, const char* what, Where where, const char* device, const char* dtype);
VariantResult not_run(const char* name, const char* what, const char* reason);

}  // namespace remeasure::reports::samples
