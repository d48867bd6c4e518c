// SPDX-License-Identifier: Apache-2.0
#include "reports/schema.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <vector>

namespace remeasure::reports {
namespace {

using Json = nlohmann::json;
using Pointer = Json::json_pointer;

[[noreturn]] void breach(const Pointer& where, const std::string& found, const std::string& expected) {
  const std::string pointer = where.to_string();
  throw SchemaError(
      fmt::format("{}: found {}, expected {}", pointer.empty() ? "/" : pointer, found, expected));
}

bool has_type(const Json& value, const std::string& type) {
  if (type == "object") return value.is_object();
  if (type == "array") return value.is_array();
  if (type == "string") return value.is_string();
  if (type == "boolean") return value.is_boolean();
  if (type == "integer") return value.is_number_integer();
  if (type == "number") return value.is_number();
  throw SchemaError(fmt::format("the schema names a type that the validator doesn't know: {}", type));
}

class Validator {
 public:
  explicit Validator(const Json& root) : root_(root) {}

  void check(const Json& value, const Json& rules, const Pointer& where) const {
    for (const auto& [keyword, rule] : rules.items()) {
      if (keyword == "$ref") {
        const std::string target = rule.get<std::string>();
        if (target.rfind("#/definitions/", 0) != 0) {
          throw SchemaError(fmt::format("the schema refers to {}, outside its own definitions", target));
        }
        check(value, root_.at(Pointer(target.substr(1))), where);
      } else if (keyword == "type") {
        check_type(value, rule.get<std::string>(), where);
      } else if (keyword == "enum") {
        check_enum(value, rule, where);
      } else if (keyword == "minimum" && value.is_number() && value < rule) {
        breach(where, shown(value), fmt::format("at least {}", rule.dump()));
      } else if (keyword == "maximum" && value.is_number() && value > rule) {
        breach(where, shown(value), fmt::format("at most {}", rule.dump()));
      } else if (keyword == "items" && value.is_array()) {
        for (std::size_t i = 0; i < value.size(); ++i) {
          check(value[i], rule, where / i);
        }
      } else if (!known(keyword)) {
        throw SchemaError(
            fmt::format("the schema uses a keyword that the validator doesn't know: {}", keyword));
      }
    }
    if (value.is_object()) {
      check_properties(value, rules, where);
    }
  }

 private:
  static bool known(const std::string& keyword) {
    for (const char* name : {"minimum", "maximum", "items", "properties", "additionalProperties", "required",
                             "definitions", "$schema", "title", "description"}) {
      if (keyword == name) return true;
    }
    return false;
  }

  static void check_type(const Json& value, const std::string& type, const Pointer& where) {
    if (!has_type(value, type)) {
      breach(where, shown(value),
             (type == "integer" || type == "array" || type == "object" ? "an " : "a ") + type);
    }
    if (value.is_number_float() && !std::isfinite(value.get<double>())) {
      breach(where, shown(value), "a finite number");
    }
  }

  static void check_enum(const Json& value, const Json& allowed, const Pointer& where) {
    for (const Json& candidate : allowed) {
      if (candidate == value) return;
    }
    std::vector<std::string> names;
    for (const Json& candidate : allowed) {
      names.push_back(candidate.dump());
    }
    breach(where, shown(value),
           names.size() == 1 ? names[0] : fmt::format("one of {}", fmt::join(names, ", ")));
  }

  void check_properties(const Json& value, const Json& rules, const Pointer& where) const {
    for (const Json& name : rules.value("required", Json::array())) {
      if (!value.contains(name.get_ref<const std::string&>())) {
        breach(where / name.get<std::string>(), "nothing", "this field");
      }
    }
    const auto properties = rules.find("properties");
    const auto additional = rules.find("additionalProperties");
    for (const auto& [name, member] : value.items()) {
      if (properties != rules.end() && properties->contains(name)) {
        check(member, properties->at(name), where / name);
      } else if (additional != rules.end() && additional->is_object()) {
        check(member, *additional, where / name);
      } else if (additional != rules.end() && *additional == false) {
        breach(where / name, shown(member), "no field of this name");
      }
    }
  }

  const Json& root_;
};

}  // namespace

std::string shown(const nlohmann::json& value) {
  if (value.is_object()) return value.empty() ? "an empty object" : "an object";
  if (value.is_array()) return value.empty() ? "an empty array" : "an array";
  if (value.is_number_float() && !std::isfinite(value.get<double>()))
    return fmt::format("{}", value.get<double>());
  std::string text = value.dump(-1, ' ', true, Json::error_handler_t::replace);
  constexpr std::size_t kLongest = 60;
  return text.size() <= kLongest ? text : text.substr(0, kLongest - 4) + "...\"";
}

void validate(const nlohmann::json& document, const nlohmann::json& schema) {
  Validator(schema).check(document, schema, Pointer());
}

}  // namespace remeasure::reports
