// SPDX-License-Identifier: Apache-2.0
#include "reports/record_io.h"

#include <fmt/format.h>

#include <algorithm>

#include "reports/record_json.h"
#include "reports/record_rules.h"
#include "reports/schema.h"
#include "reports/text_file.h"

namespace remeasure::reports {
namespace {

using Json = nlohmann::json;

const Json& record_schema() {
  static const Json schema = Json::parse(record_schema_text);
  return schema;
}

void check_schema(const Json& document, const std::string& origin) {
  try {
    validate(document, record_schema());
  } catch (const SchemaError& error) {
    throw RecordError(fmt::format("{}: {}", origin, error.what()));
  }
}

void check_version(const Json& document, const std::string& origin) {
  if (!document.is_object() || !document.contains("version") || !document["version"].is_number_integer()) {
    return;  // the schema says what is missing
  }
  const auto version = document["version"].get<std::int64_t>();
  if (version > kRecordVersion) {
    throw RecordError(
        fmt::format("{}: /version: found {}, expected {}: written by a newer remeasure; read it with that "
                    "one",
                    origin, version, kRecordVersion));
  }
  if (version < kRecordVersion) {
    throw RecordError(
        fmt::format("{}: /version: found {}, expected {}: written by an older remeasure; run the "
                    "experiment again",
                    origin, version, kRecordVersion));
  }
}

}  // namespace

std::string to_json(const Record& record) {
  const std::string origin = fmt::format("record of \"{}\"", record.experiment);
  const Json document = to_document(record);
  check_version(document, origin);
  check_schema(document, origin);
  check_rules(record, origin);
  return to_text(document);
}

Record from_json(const std::string& text, const std::string& origin) {
  Json document;
  try {
    document = Json::parse(text);
  } catch (const Json::exception& error) {
    throw RecordError(
        fmt::format("{}: found text that isn't JSON, expected a record: {}", origin, error.what()));
  }
  check_version(document, origin);
  check_schema(document, origin);
  Record record = from_document(document);
  check_rules(record, origin);
  return record;
}

void write_record(const Record& record, const std::filesystem::path& path) {
  write_text_file(path, to_json(record));
}

Record read_record(const std::filesystem::path& path) {
  std::string text;
  try {
    text = read_text_file(path);
  } catch (const std::runtime_error& error) {
    throw RecordError(error.what());
  }
  return from_json(text, path.string());
}

std::vector<Record> read_records(const std::filesystem::path& folder) {
  std::error_code error;
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename().string();
    // Two JSON files beside the records are reports made from them (write_reports).
    if (entry.path().extension() == ".json" && name[0] != '.' && name != "results.json" &&
        name != "benchmark.json") {
      paths.push_back(entry.path());
    }
  }
  if (error) {
    throw RecordError(fmt::format("can't read the results folder {}: {}", folder.string(), error.message()));
  }
  std::sort(paths.begin(), paths.end());
  std::vector<Record> records;
  for (const auto& path : paths) {
    records.push_back(read_record(path));
  }
  std::stable_sort(records.begin(), records.end(),
                   [](const Record& a, const Record& b) { return a.experiment < b.experiment; });
  return records;
}

}  // namespace remeasure::reports
