// SPDX-License-Identifier: Apache-2.0
//
// What the depthwise kernels share: the sums of a thread's results, and pairs of channels. Device code, for
// .cu files.
#pragma once

#include "kernels/convolution/depthwise_plan.h"
#include "kernels/convolution/epilogue_device.h"
#include "kernels/device/kernel.h"

namespace remeasure::kernels {

/// Two neighbouring channels in float.
template <class Element>
RM_DEVICE inline float2 load_pair(const Element* from) {
  if constexpr (sizeof(Element) == 4) {
    return *reinterpret_cast<const float2*>(from);
  } else {
    const auto pair = *reinterpret_cast<const std::uint32_t*>(from);
    return make_float2(static_cast<float>(unpack2<Element>(pair, 0)),
                       static_cast<float>(unpack2<Element>(pair, 1)));
  }
}
template <class Element>
RM_DEVICE inline void store_pair(Element* to, float first, float second) {
  if constexpr (sizeof(Element) == 4) {
    *reinterpret_cast<float2*>(to) = make_float2(first, second);
  } else {
    *reinterpret_cast<std::uint32_t*>(to) = pack2(static_cast<Element>(first), static_cast<Element>(second));
  }
}

RM_DEVICE inline void add_product(float& sum, float a, float b) {
  sum += a * b;
}
RM_DEVICE inline void add_product(float2& sum, float2 a, float2 b) {
  sum.x += a.x * b.x;
  sum.y += a.y * b.y;
}

/// sums[r][c] += weight * source over the taps of each result. `load(i, j)`: the source `i` rows below and
/// `j` columns beside the first, 0 beside the picture; `row_exists(i)`: whether that row is in it;
/// `weight(tap_y, tap_x)`. Each source is loaded once for all results.
template <class Taps, int kKernel, int kRows, int kColumns, class Value, class RowExists, class Load,
          class Weight>
RM_DEVICE inline void add_taps(Value (&sums)[kRows][kColumns], RowExists row_exists, Load load,
                               Weight weight) {
  constexpr int kSourceRows = Taps::sources(kRows), kSourceColumns = Taps::sources(kColumns);
#pragma unroll
  for (int i = 0; i < kSourceRows; ++i) {
    if (!row_exists(i)) continue;
    Value source[kSourceColumns];
#pragma unroll
    for (int j = 0; j < kSourceColumns; ++j) source[j] = load(i, j);
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      const int tap_y = Taps::tap(i, r);
      if (tap_y < 0 || tap_y >= kKernel) continue;
#pragma unroll
      for (int tap_x = 0; tap_x < kKernel; ++tap_x) {
        const Value w = weight(tap_y, tap_x);
#pragma unroll
        for (int c = 0; c < kColumns; ++c) {
#pragma unroll
          for (int j = 0; j < kSourceColumns; ++j) {
            if (Taps::tap(j, c) == tap_x) add_product(sums[r][c], source[j], w);
          }
        }
      }
    }
  }
}

}  // namespace remeasure::kernels
