// SPDX-License-Identifier: Apache-2.0
//
// A validator for the part of JSON Schema (draft 7) that record.schema.json uses: type, required, properties,
// additionalProperties, enum, items, minimum, maximum, and $ref to its own definitions. Any other keyword in
// a schema is an error, so that a rule can't be written and silently not be checked.
#pragma once

#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <string_view>

namespace remeasure::reports {

/// The text of record.schema.json, put in by the build.
extern const std::string_view record_schema_text;

struct SchemaError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Throws SchemaError "<JSON pointer>: found ..., expected ..." for the first breach. Numbers must be finite.
void validate(const nlohmann::json& document, const nlohmann::json& schema);

/// A value as an error message shows it: short, on one line.
std::string shown(const nlohmann::json& value);

}  // namespace remeasure::reports
