// SPDX-License-Identifier: Apache-2.0
#include "kernels/learning/sign_split_matmul.h"

namespace remeasure::kernels {
namespace {

long long tiles(long long items, int tile) {
  return (items + tile - 1) / tile;
}

}  // namespace

SplitTile split_tile(const SplitShape& shape) {
  constexpr long long kMultiprocessors = 108;  // A100; H100 and H200 have 132
  const auto blocks = [&](SplitTile tile) {
    const SplitTiling t = split_tiling(tile);
    return tiles(shape.rows, t.rows) * tiles(shape.columns, t.columns);
  };
  if (blocks(SplitTile::rows128) >= 2 * kMultiprocessors) return SplitTile::rows128;
  return blocks(SplitTile::rows64) >= kMultiprocessors ? SplitTile::rows64 : SplitTile::rows32;
}

BoundWork bound_matmul_work(const BoundShape& shape, int columns, bool with_offset, SplitForm form,
                            SplitTile tile) {
  const long long weight_rows = static_cast<long long>(shape.rows) * shape.inputs;
  if (tile == SplitTile::automatic) tile = split_tile({weight_rows, shape.channels, columns});
  const SplitTiling t = split_tiling(tile);
  const auto padded_rows =
      static_cast<double>((tiles(weight_rows, t.rows) + tiles(shape.rows, t.rows)) * t.rows);
  const auto column_tiles = static_cast<double>(tiles(columns, t.columns));
  const auto padded_inner = static_cast<double>(tiles(shape.channels, t.kDepth) * t.kDepth);
  const double rows = static_cast<double>(weight_rows) + shape.rows, outputs = columns,
               inner = shape.channels;
  BoundWork work;
  work.flops = 4 * padded_rows * padded_inner * column_tiles * t.columns;
  if (form == SplitForm::centre)
    work.flops += 2 * padded_rows * padded_inner * column_tiles + 4 * rows * outputs;
  if (with_offset) work.flops += 2.0 * shape.rows * outputs;
  work.bytes = 4 * (2 * rows * (inner + outputs) + inner * outputs + (with_offset ? outputs : 0));
  return work;
}

BoundWork four_product_work(const BoundShape& shape, int columns) {
  const double rows = static_cast<double>(shape.weights() + shape.biases()) / shape.channels,
               inner = shape.channels, outputs = columns;
  const double matrix = inner * outputs, product = 2 * rows * inner * outputs;
  BoundWork work;
  work.flops = 4 * product + 2 * rows * outputs + 2.0 * shape.rows * outputs;
  // Masks: read and written twice. A product reads its rows and its matrix (once for weights, once for
  // biases) and writes; the second into the same sum also reads it. The offset: both biases read and written.
  work.bytes = 4 * (4 * matrix + 4 * (rows * inner + 2 * matrix + rows * outputs) + 2 * rows * outputs +
                    4.0 * shape.rows * outputs + outputs);
  return work;
}

double split_multiplies(const BoundShape& shape, int columns, bool fused) {
  const double rows = static_cast<double>(shape.weights() + shape.biases()) / shape.channels;
  return (fused ? 2 : 4) * rows * shape.channels * columns;
}

}  // namespace remeasure::kernels
