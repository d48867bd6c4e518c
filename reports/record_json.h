// SPDX-License-Identifier: Apache-2.0
//
// Record <-> JSON document, without rules: those are the schema's (schema.h) and record_rules.h's.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "reports/record.h"

namespace remeasure::reports {

nlohmann::json to_document(const Record& record);

/// The document must have passed the schema.
Record from_document(const nlohmann::json& document);

/// The text form of any document: keys sorted, two spaces, whatever fits into 100 columns on one line,
/// numbers as short as round-trips; so a diff of two files shows what changed. Text that isn't UTF-8 is
/// replaced, not refused.
std::string to_text(const nlohmann::json& document);

}  // namespace remeasure::reports
