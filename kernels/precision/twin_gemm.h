// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/device/device.h"

namespace remeasure::kernels {

struct TwinGemmShape {
  int matrices = 1;  ///< products with the same steps
  int rows = 0;
  int inner = 0;  ///< a multiple of 16: padded with zeros
  int columns = 0;
  int bits = 8;  ///< of a code: flag << (bits - 1) | magnitude

  std::size_t a_size() const { return size(rows, inner); }
  std::size_t b_size() const { return size(columns, inner); }
  std::size_t out_size() const { return size(rows, columns); }

 private:
  std::size_t size(int x, int y) const {
    return static_cast<std::size_t>(matrices) * static_cast<std::size_t>(x) * static_cast<std::size_t>(y);
  }
};

/// What a code's magnitude counts for: `low` below the split (negative after GELU), `high` above it.
struct TwinSteps {
  float low = 0, high = 0;
};

/// out = column_step * (high sum_{flag 1} a b + low sum_{flag 0} a b): activations as twin codes times
/// weights as signed ones. a: [matrices, rows, inner] u8 codes; b: [matrices, columns, inner] s8;
/// column_step: [columns]; out: [matrices, rows, columns].
template <class Target>
void twin_gemm(Stream<Target>& stream, const TwinGemmShape& shape, const TwinSteps& steps,
               DeviceSpan<Target, const std::uint8_t> a, DeviceSpan<Target, const std::int8_t> b,
               DeviceSpan<Target, const float> column_step, DeviceSpan<Target, float> out);

}  // namespace remeasure::kernels
