// SPDX-License-Identifier: Apache-2.0
#include "reports/schema.h"

#include <testing/catch.h>

namespace remeasure::reports {
namespace {

using Catch::Matchers::ContainsSubstring;
using Json = nlohmann::json;

std::string breach(const char* document, const char* schema) {
  try {
    validate(Json::parse(document), Json::parse(schema));
  } catch (const SchemaError& error) {
    return error.what();
  }
  return "";
}

TEST_CASE("each keyword of the schema subset accepts and refuses", "[cpu]") {
  CHECK(breach("1", R"({"type": "integer"})").empty());
  CHECK(breach("1.5", R"({"type": "integer"})") == "/: found 1.5, expected an integer");
  CHECK(breach("1.5", R"({"type": "number"})").empty());
  CHECK(breach("true", R"({"type": "number"})") == "/: found true, expected a number");
  CHECK(breach("null", R"({"type": "string"})") == "/: found null, expected a string");
  CHECK(breach("[1, 2, \"3\"]", R"({"items": {"type": "integer"}})") ==
        "/2: found \"3\", expected an integer");
  CHECK(breach("-1", R"({"minimum": 0})") == "/: found -1, expected at least 0");
  CHECK(breach("8", R"({"maximum": 7})") == "/: found 8, expected at most 7");
  CHECK(breach("7", R"({"minimum": 7, "maximum": 7})").empty());
  CHECK(breach("\"c\"", R"({"enum": ["a", "b"]})") == "/: found \"c\", expected one of \"a\", \"b\"");
  CHECK(breach("{}", R"({"required": ["a"]})") == "/a: found nothing, expected this field");
  CHECK(breach(R"({"b": 1})", R"({"additionalProperties": false})") ==
        "/b: found 1, expected no field of this name");
  CHECK(breach(R"({"b": "x"})", R"({"additionalProperties": {"type": "number"}})") ==
        "/b: found \"x\", expected a number");
  CHECK(breach(R"({"a": {"b/c": 1}})",
               R"({"properties": {"a": {"$ref": "#/definitions/A"}},
                   "definitions": {"A": {"additionalProperties": {"type": "string"}}}})") ==
        "/a/b~1c: found 1, expected a string");
}

TEST_CASE("a schema keyword that would not be checked is an error", "[cpu]") {
  CHECK_THAT(breach("1", R"({"multipleOf": 2})"), ContainsSubstring("doesn't know: multipleOf"));
  CHECK_THAT(breach("1", R"({"type": "int"})"), ContainsSubstring("doesn't know: int"));
  CHECK_THAT(breach("1", R"({"$ref": "http://example.org"})"),
             ContainsSubstring("outside its own definitions"));
}

TEST_CASE("the record's schema is strict: no object takes unknown fields", "[cpu]") {
  const Json schema = Json::parse(record_schema_text);
  CHECK_THROWS_WITH(validate(Json::object(), schema), ContainsSubstring("found nothing"));
  CHECK(schema["additionalProperties"] == false);
  for (const Json& definition : schema["definitions"]) {
    CHECK(definition["additionalProperties"] == false);
    CHECK(definition["type"] == "object");
  }
}

}  // namespace
}  // namespace remeasure::reports
