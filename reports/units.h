// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <compare>

namespace remeasure {

/// A number with its unit in its type. Explicit on the way in and out; no arithmetic across units.
template <class Unit, class Number>
struct Quantity {
  Number value{};
  auto operator<=>(const Quantity&) const = default;
};

using Bytes = Quantity<struct BytesUnit, double>;  ///< bytes; a double, since formulas give fractions
using Seconds = Quantity<struct SecondsUnit, double>;
using Flops = Quantity<struct FlopsUnit, double>;  ///< floating-point operations (FMA = 2), not a rate

/// A closed interval. A single value has low == high.
struct Interval {
  double low = 0;
  double high = 0;
  bool operator==(const Interval&) const = default;
};

}  // namespace remeasure
