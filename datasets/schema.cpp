// SPDX-License-Identifier: Apache-2.0
#include "datasets/schema.h"

#include <fmt/format.h>

#include <stdexcept>

namespace remeasure::datasets {

ParameterValue::ParameterValue(double number) : text(fmt::format("{}", number)) {}

Parameters parameters(std::initializer_list<std::pair<const char*, ParameterValue>> values,
                      std::uint64_t seed) {
  Parameters result{.values = {}, .seed = seed};
  for (const auto& [name, value] : values) {
    if (!result.values.emplace(name, value.text).second) {
      throw std::invalid_argument(fmt::format("parameters: '{}' stands twice", name));
    }
  }
  return result;
}

Shape shape_of(const Parameters& parameters, std::span<const char* const> axes) {
  Shape shape;
  for (const char* axis : axes) shape.push_back(parameters.extent(axis));
  return shape;
}

Extents extents_of(const Parameters& parameters, std::span<const char* const> axes) {
  Extents result;
  for (const char* axis : axes) result[axis] = parameters.extent(axis);
  return result;
}

}  // namespace remeasure::datasets
