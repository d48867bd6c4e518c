// SPDX-License-Identifier: Apache-2.0
//
// Quotients by a divisor that the host knows before the launch: one multiplication and a shift instead of the
// some twenty instructions of an integer division (Granlund and Montgomery, "Division by invariant integers
// using multiplication", PLDI 1994).
#pragma once

#include <cstdint>
#include <stdexcept>

#include "kernels/device/qualifiers.h"

namespace remeasure {

/// For dividends below 2^31. multiplier = floor(2^(31 + s) / d) + 1 with 2^(s-1) < d <= 2^s: its error, at
/// most 2^s in 2^(31 + s), stays below one for them.
class FastDivisor {
 public:
  FastDivisor() = default;
  explicit FastDivisor(int divisor) : divisor_(static_cast<std::uint32_t>(divisor)) {
    if (divisor < 1) throw std::invalid_argument("FastDivisor: a divisor must be positive");
    int s = 0;
    while ((std::uint64_t{1} << s) < divisor_) ++s;
    shift_ = 31 + s;
    multiplier_ = static_cast<std::uint32_t>((std::uint64_t{1} << shift_) / divisor_ + 1);
  }

  RM_HOST_DEVICE int quotient(int dividend) const {
    return static_cast<int>(static_cast<std::uint64_t>(dividend) * multiplier_ >> shift_);
  }
  RM_HOST_DEVICE int remainder(int dividend, int quotient) const {
    return dividend - quotient * static_cast<int>(divisor_);
  }

 private:
  std::uint32_t divisor_ = 1, multiplier_ = 0x80000001u;
  int shift_ = 31;
};

}  // namespace remeasure
