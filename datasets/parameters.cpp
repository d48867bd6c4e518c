// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <charconv>
#include <cmath>

#include "datasets/dataset.h"

namespace remeasure::datasets {
namespace {

template <class Number>
Number parse(const std::string& name, const std::string& text, const char* kind) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) {
    throw DatasetError(fmt::format("parameter {}=\"{}\": expected {}", name, text, kind));
  }
  return number;
}

}  // namespace

const std::string& Parameters::text(const std::string& name) const {
  const auto found = values.find(name);
  if (found == values.end()) {
    std::string known;
    for (const auto& [other, value] : values)
      known += fmt::format("{}{}={}", known.empty() ? "" : ", ", other, value);
    throw DatasetError(
        fmt::format("parameter \"{}\" is missing; given: {}", name, known.empty() ? "none" : known));
  }
  return found->second;
}

std::int64_t Parameters::integer(const std::string& name) const {
  return parse<std::int64_t>(name, text(name), "an integer");
}

std::uint64_t Parameters::extent(const std::string& name) const {
  const std::int64_t value = integer(name);
  if (value < 1 || value > std::int64_t{1} << 40) {
    throw DatasetError(fmt::format("parameter {}={}: expected a length from 1 to 2^40", name, value));
  }
  return static_cast<std::uint64_t>(value);
}

double Parameters::real(const std::string& name) const {
  const double value = parse<double>(name, text(name), "a number");
  if (!std::isfinite(value))
    throw DatasetError(fmt::format("parameter {}={}: expected a finite number", name, value));
  return value;
}

const Definition* find_definition(std::span<const Definition* const> catalogue, std::string_view name) {
  for (const Definition* definition : catalogue) {
    if (definition->name == name) return definition;
  }
  return nullptr;
}

}  // namespace remeasure::datasets
