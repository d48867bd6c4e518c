// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "reports/record.h"

namespace remeasure::reports {

/// The rules of a record that its schema can't say, checked on write and on read. Throws RecordError, with
/// `origin` and the JSON pointer, for the first breach:
///  1. names are unique: cases; variants of a case by (name, where); metrics, plots and tables of a case;
///  claims
///  2. time, roofline and memory exist only where the status is `passed`; a time never on `simt`
///  3. `passed` has at least one accuracy, all of them passed, and each agrees with its own limits;
///     every other status has a reason
///  4. a time is positive, low <= median <= high, and its throttled indices point at samples; a fraction of
///  the
///     floor is at most 1; another mode than the quoted one has a time or says why not
///  5. a speedup joins two variants that have a time
///  6. a curve has as many x as y (and errors, where it has any); a table's rows are as long as its columns
///  7. a claim judged `reproduced`, `partly` or `not reproduced` has a measured value or text; the others say
///  why
///  8. a run that crashed or timed out says how
void check_rules(const Record& record, const std::string& origin);

}  // namespace remeasure::reports
