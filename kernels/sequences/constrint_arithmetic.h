// SPDX-License-Identifier: Apache-2.0
//
// Values of sums of products in 128 bits, for the solver and for the check of its solutions.
#pragma once

#include <algorithm>

#include "kernels/sequences/constrint.h"

namespace remeasure::kernels::constrint {

__extension__ using Wide = __int128;

inline constexpr Wide kInfinite = Wide{1} << 100;
/// Saturates: terms beyond 2^100 only ever compare as too large.
inline Wide times(Wide a, Wide b) {
  return a != 0 && b > kInfinite / a ? kInfinite : a * b;
}
inline Wide plus(Wide a, Wide b) {
  return std::min(kInfinite, a + b);
}

template <class ValueOf>
Wide evaluate(const Product& product, ValueOf value_of) {
  Wide result = product.coefficient;
  for (const Power& power : product.powers) {
    for (int i = 0; i < power.exponent; ++i) result = times(result, value_of(power.variable));
  }
  return result;
}
template <class ValueOf>
Wide evaluate(const Sum& sum, ValueOf value_of) {
  Wide result = 0;
  for (const Product& product : sum) result = plus(result, evaluate(product, value_of));
  return result;
}

}  // namespace remeasure::kernels::constrint
