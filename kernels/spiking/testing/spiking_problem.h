// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "kernels/device/philox.h"
#include "kernels/device/testing/relative_error.h"

namespace remeasure::kernels::testing {

/// N(0, scale^2), a function of (seed, index).
inline std::vector<float> noise(std::size_t size, std::uint64_t seed, float scale = 1) {
  std::vector<float> values(size);
  for (std::size_t i = 0; i < size; ++i) {
    const Philox4 random = philox(seed, i);
    values[i] = scale * normal_float(random.word[0], random.word[1]).first;
  }
  return values;
}

}  // namespace remeasure::kernels::testing
