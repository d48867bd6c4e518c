// SPDX-License-Identifier: Apache-2.0
#include "reports/record.h"

#include "reports/record_names.h"

namespace remeasure::reports {

namespace {

template <class Enum, std::size_t Count>
const char* name_of(Enum value, const std::array<const char*, Count>& names) {
  const auto index = static_cast<std::size_t>(value);
  return index < Count ? names[index] : "?";
}

}  // namespace

const char* to_string(Status status) {
  return name_of(status, kStatusNames);
}
const char* to_string(Verdict verdict) {
  return name_of(verdict, kVerdictNames);
}
const char* to_string(Where where) {
  return name_of(where, kWhereNames);
}
const char* to_string(RunState state) {
  return name_of(state, kRunStateNames);
}

}  // namespace remeasure::reports
