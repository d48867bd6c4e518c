// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace remeasure::simt {

/// CUDA's dim3: sizes of a grid or block (default 1), also used for indices.
struct Dim3 {
  unsigned x = 1;
  unsigned y = 1;
  unsigned z = 1;

  constexpr Dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
  constexpr std::uint64_t count() const { return std::uint64_t{x} * y * z; }
  constexpr bool operator==(const Dim3&) const = default;
};

/// The index whose position is `linear` in a space of size `dim`, x fastest.
constexpr Dim3 index_of(std::uint64_t linear, Dim3 dim) {
  return {static_cast<unsigned>(linear % dim.x), static_cast<unsigned>(linear / dim.x % dim.y),
          static_cast<unsigned>(linear / dim.x / dim.y)};
}

}  // namespace remeasure::simt
