// SPDX-License-Identifier: Apache-2.0
//
// What most definitions of a dataset say alike: parameters from numbers and words, axes that are called as
// the parameters that set their lengths.
#pragma once

#include <concepts>
#include <initializer_list>
#include <span>
#include <string>
#include <utility>

#include "datasets/dataset.h"

namespace remeasure::datasets {

/// A parameter's value as it stands in a file's name and attributes: 512, 0.25, "gauss".
struct ParameterValue {
  template <std::integral Number>
  ParameterValue(Number number)
      : text(std::to_string(number)) {
  }                               // NOLINT(google-explicit-constructor): a table of parameters reads so
  ParameterValue(double number);  // NOLINT(google-explicit-constructor): shortest form that reads back as the
                                  // same number
  ParameterValue(std::string word) : text(std::move(word)) {}  // NOLINT(google-explicit-constructor)
  ParameterValue(const char* word) : text(word) {}             // NOLINT(google-explicit-constructor)
  std::string text;
};

/// parameters({{"batch", 2}, {"order", "random"}}, seed). A name that stands twice is std::invalid_argument.
Parameters parameters(std::initializer_list<std::pair<const char*, ParameterValue>> values,
                      std::uint64_t seed);

/// Lengths of axes that are parameters of the same name, in this order. Throws DatasetError as
/// Parameters::extent does.
Shape shape_of(const Parameters& parameters, std::span<const char* const> axes);
Extents extents_of(const Parameters& parameters, std::span<const char* const> axes);

}  // namespace remeasure::datasets
