// SPDX-License-Identifier: Apache-2.0
#include "kernels/precision/apnn.h"

#include <algorithm>
#include <array>

namespace remeasure::kernels {
namespace {

constexpr int ceil_div(int a, int b) {
  return (a + b - 1) / b;
}
constexpr LowBitTiling kLarge{4, 2}, kSmall{2, 1};
constexpr int kEnoughBlocks = 128;

int tiles(const LowBitShape& shape, bool pool, const LowBitTiling& tiling) {
  return ceil_div(low_bit_computed_rows(shape, pool), tiling.rows()) *
         ceil_div(shape.outputs, tiling.outputs());
}

}  // namespace

bool has_low_bit_kernel(const LowBitShape& shape) {
  using Bits = std::array<int, 2>;
  const Bits bits{shape.weight_bits, shape.activation_bits};
  const auto is_one_of = [&](std::initializer_list<Bits> list) {
    return std::find(list.begin(), list.end(), bits) != list.end();
  };
  switch (shape.encoding) {
    case Encoding::signs:
    case Encoding::signs_by_and:
      return is_one_of({{1, 1}});
    case Encoding::signed_weights:
      return is_one_of({{1, 2}, {1, 3}, {1, 4}, {1, 8}});
    case Encoding::unsigned_codes:
      return is_one_of({{1, 1}, {1, 2}, {1, 3}, {1, 4}, {1, 8}, {2, 2}, {2, 8}, {4, 4}});
  }
  return false;
}

LowBitTiling low_bit_tiling(const LowBitShape& shape, bool pool) {
  return tiles(shape, pool, kLarge) >= kEnoughBlocks ? kLarge : kSmall;
}

double low_bit_operations(const LowBitShape& shape, bool pool) {
  const LowBitTiling tiling = low_bit_tiling(shape, pool);
  const double outputs = static_cast<double>(tiles(shape, pool, tiling)) * tiling.rows() * tiling.outputs();
  return 2 * outputs * 256.0 * ceil_div(shape.chunks(), 2) * shape.weight_bits * shape.activation_bits;
}

}  // namespace remeasure::kernels
