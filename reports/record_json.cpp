// SPDX-License-Identifier: Apache-2.0
#include "reports/record_json.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string_view>

#include "reports/record_fields.h"
#include "reports/record_names.h"

namespace remeasure::reports {
namespace {

using Json = nlohmann::json;

template <class T>
constexpr bool kIsOptional = false;
template <class T>
constexpr bool kIsOptional<std::optional<T>> = true;

template <class T>
bool is_empty(const T& value) {
  if constexpr (std::is_same_v<T, bool>) {
    return !value;
  } else if constexpr (kIsOptional<T>) {
    return !value.has_value();
  } else {
    return value.empty();
  }
}

// --- writing ---

struct Writer;
template <class T>
requires std::is_class_v<T> Json encode(const T& value);

Json encode(bool value) {
  return value;
}
Json encode(int value) {
  return value;
}
Json encode(double value) {
  return value;
}
Json encode(std::int64_t value) {
  return value;
}
Json encode(std::uint64_t value) {
  return value;
}
Json encode(const std::string& value) {
  return value;
}
Json encode(Status value) {
  return to_string(value);
}
Json encode(Verdict value) {
  return to_string(value);
}
Json encode(Where value) {
  return to_string(value);
}
Json encode(RunState value) {
  return to_string(value);
}
template <class T>
Json encode(const std::optional<T>& value) {
  return encode(*value);
}
template <class T>
Json encode(const std::vector<T>& values) {
  Json array = Json::array();
  for (const T& value : values) {
    array.push_back(encode(value));
  }
  return array;
}
template <class T>
Json encode(const std::map<std::string, T>& values) {
  Json object = Json::object();
  for (const auto& [key, value] : values) {
    object[key] = encode(value);
  }
  return object;
}

struct Writer {
  Json object = Json::object();
  template <class T>
  void always(const char* key, const T& value) {
    object[key] = encode(value);
  }
  template <class T>
  void unless_empty(const char* key, const T& value) {
    if (!is_empty(value)) {
      always(key, value);
    }
  }
  void unless_infinite(const char* key, double value) {
    if (std::isfinite(value)) {
      always(key, value);
    }
  }
};

template <class T>
requires std::is_class_v<T> Json encode(const T& value) {
  Writer writer;
  describe(writer, value);
  return std::move(writer.object);
}

// --- reading: the schema has been checked, so the types fit ---

template <class T>
requires std::is_class_v<T>
void decode(const Json& json, T& value);

template <class T>
requires std::is_arithmetic_v<T>
void decode(const Json& json, T& value) {
  value = json.get<T>();
}
void decode(const Json& json, std::string& value) {
  value = json.get<std::string>();
}

template <class Enum, std::size_t Count>
void decode_name(const Json& json, Enum& value, const std::array<const char*, Count>& names) {
  const std::string_view name = json.get_ref<const std::string&>();
  for (std::size_t i = 0; i < Count; ++i) {
    if (name == names[i]) {
      value = static_cast<Enum>(i);
    }
  }
}
void decode(const Json& json, Status& value) {
  decode_name(json, value, kStatusNames);
}
void decode(const Json& json, Verdict& value) {
  decode_name(json, value, kVerdictNames);
}
void decode(const Json& json, Where& value) {
  decode_name(json, value, kWhereNames);
}
void decode(const Json& json, RunState& value) {
  decode_name(json, value, kRunStateNames);
}

template <class T>
void decode(const Json& json, std::optional<T>& value) {
  decode(json, value.emplace());
}
template <class T>
void decode(const Json& json, std::vector<T>& values) {
  values.clear();
  values.reserve(json.size());
  for (const Json& element : json) {
    decode(element, values.emplace_back());
  }
}
template <class T>
void decode(const Json& json, std::map<std::string, T>& values) {
  for (const auto& [key, element] : json.items()) {
    decode(element, values[key]);
  }
}

struct Reader {
  const Json& object;
  template <class T>
  void always(const char* key, T& value) {
    if (const auto found = object.find(key); found != object.end()) {
      decode(*found, value);
    }
  }
  template <class T>
  void unless_empty(const char* key, T& value) {
    always(key, value);
  }
  void unless_infinite(const char* key, double& value) {
    value = std::numeric_limits<double>::infinity();
    always(key, value);
  }
};

template <class T>
requires std::is_class_v<T>
void decode(const Json& json, T& value) {
  Reader reader{json};
  describe(reader, value);
}

// --- text ---

constexpr std::size_t kColumns = 100;

std::string scalar(const Json& json) {
  if (json.is_number_float()) {
    const double value = json.get<double>();
    return value == 0 && std::signbit(value) ? "-0.0" : fmt::format("{}", value);
  }
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

/// Appends the one-line form; false where it gets longer than `room`.
bool append_line(const Json& json, std::size_t room, std::string& line) {
  if (!json.is_structured()) {
    line += scalar(json);
    return line.size() <= room;
  }
  line += json.is_object() ? '{' : '[';
  bool first = true;
  for (auto it = json.begin(); it != json.end(); ++it) {
    line += first ? "" : ", ";
    first = false;
    if (json.is_object()) {
      line += scalar(Json(it.key())) + ": ";
    }
    if (line.size() > room || !append_line(*it, room, line)) {
      return false;
    }
  }
  line += json.is_object() ? '}' : ']';
  return line.size() <= room;
}

void append(const Json& json, std::size_t indent, std::size_t used, std::string& out) {
  std::string line;
  if (append_line(json, kColumns - std::min(kColumns, used), line) || !json.is_structured()) {
    out += line;
    return;
  }
  const std::string margin(indent + 2, ' ');
  out += json.is_object() ? '{' : '[';
  std::size_t column = kColumns;  // the first element starts a line
  bool first = true;
  for (auto it = json.begin(); it != json.end(); ++it) {
    std::string element;
    if (json.is_object()) {
      element = scalar(Json(it.key())) + ": ";
    }
    append(*it, indent + 2, indent + 2 + element.size(), element);
    // Numbers fill their lines: a thousand samples aren't a thousand lines.
    const bool fill = json.is_array() && it->is_number() && column + element.size() + 2 < kColumns;
    out += first ? "" : ",";
    out += fill ? " " : "\n" + margin;
    column = (fill ? column + 2 : indent + 2) + element.size();
    out += element;
    first = false;
  }
  out += "\n" + std::string(indent, ' ') + (json.is_object() ? '}' : ']');
}

}  // namespace

nlohmann::json to_document(const Record& record) {
  return encode(record);
}

Record from_document(const nlohmann::json& document) {
  Record record;
  decode(document, record);
  return record;
}

std::string to_text(const nlohmann::json& document) {
  std::string out;
  append(document, 0, 0, out);
  return out + "\n";
}

}  // namespace remeasure::reports
