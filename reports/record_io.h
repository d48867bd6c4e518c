// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

#include "reports/record.h"

namespace remeasure::reports {

/// A result file that can't be used: names file, JSON pointer, what is there and what was expected.
struct RecordError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Sorted keys, fixed number format (shortest that round-trips), trailing newline. Throws RecordError where
/// the record breaks a rule of the schema (a time without `passed`, NaN, a simt time, duplicate names, ...).
std::string to_json(const Record& record);

/// Parses and validates; `origin` names the text in errors.
Record from_json(const std::string& text, const std::string& origin);

/// Written to a temporary file beside `path`, synced, renamed: a reader sees the old or the new file, never
/// half.
void write_record(const Record& record, const std::filesystem::path& path);
Record read_record(const std::filesystem::path& path);

/// Every `*.json` record of a results folder, sorted by experiment. Throws RecordError for a broken one.
std::vector<Record> read_records(const std::filesystem::path& folder);

}  // namespace remeasure::reports
