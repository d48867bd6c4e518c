// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/device/philox.h"

namespace remeasure::kernels::testing {

/// N(0, deviation^2), a function of (seed, index); rounded to Element, so that an oracle sees what a kernel
/// does.
template <class Element = float>
std::vector<float> normal_values(std::size_t size, std::uint64_t seed, double deviation = 1) {
  std::vector<float> values(size);
  for (std::size_t i = 0; i < size; ++i) {
    const Philox4 random = philox(seed, i);
    const float normal = normal_float(random.word[0], random.word[1]).first;
    values[i] = static_cast<float>(Element(static_cast<float>(deviation) * normal));
  }
  return values;
}

}  // namespace remeasure::kernels::testing
