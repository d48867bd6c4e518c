// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "bench/workbench.h"

namespace remeasure::bench {

std::size_t size_of(OutputType type);

/// The byte that an output is filled with before a checked run. 0xFF in every byte is a NaN in each
/// floating-point type and -1 or the largest value in integers; 0xCD is a value that no kernel writes by
/// accident into integers.
std::uint8_t poison_byte(OutputType type);

/// Raw bytes of an output as double, one per element.
std::vector<double> values_of(OutputType type, std::span<const std::byte> bytes);

/// A copy of one output at one moment.
struct OutputCopy {
  std::string name;
  OutputType type = OutputType::u8;
  std::vector<std::byte> bytes;

  std::vector<double> values() const { return values_of(type, bytes); }
  bool operator==(const OutputCopy&) const = default;
};

}  // namespace remeasure::bench
