// SPDX-License-Identifier: Apache-2.0
//
// Bounds through a dense layer: the product by which interval propagation and linear relaxation of networks
// live. With W+ = max(W, 0) and W- = min(W, 0)
//   lower' = lower W+^T + upper W-^T,   upper' = upper W+^T + lower W-^T
// for any rows of lower and upper: those of linear bounds (linear_bounds.h), or the two ends of intervals.
#pragma once

#include "kernels/learning/linear_bounds.h"

namespace remeasure::kernels {

/// How both sums come from one pass; the same numbers but for rounding.
enum class SplitForm {
  centre,  ///< sums of (upper + lower) w and of (upper - lower) |w|: two multiply-adds, and lower' <= upper'
           ///< whatever is rounded
  select,  ///< w > 0 ? lower : upper and the reverse: two multiply-adds and two selections
};

/// Tile of the output that a block computes: the sizes that were tuned by hand.
enum class SplitTile { automatic, rows32, rows64, rows128 };
struct SplitTiling {
  int rows, columns;
  static constexpr int kDepth = 16;
};
constexpr SplitTiling split_tiling(SplitTile tile) {
  return tile == SplitTile::rows128  ? SplitTiling{128, 64}
         : tile == SplitTile::rows64 ? SplitTiling{64, 64}
                                     : SplitTiling{32, 32};
}

/// `rows` rows of lower and upper, of `inner` values, times a matrix [columns, inner].
struct SplitShape {
  long long rows = 0;
  int inner = 0, columns = 0;
};

/// The largest tile that still gives every multiprocessor of an A100 two blocks (one, for the middle one).
SplitTile split_tile(const SplitShape& shape);

/// The dense layer of a bound object in one launch: `in` of `shape`, `out` of shape.with_channels(columns);
/// matrix [columns, channels]; offset [columns], added to the biases, or empty. Bitwise deterministic. Throws
/// std::invalid_argument for sizes that don't fit.
template <class Target>
void bound_matmul(Stream<Target>& stream, const BoundShape& shape, int columns,
                  const BoundSpans<Target, const float>& in, DeviceSpan<Target, const float> matrix,
                  DeviceSpan<Target, const float> offset, const BoundSpans<Target, float>& out,
                  SplitForm form = SplitForm::centre, SplitTile tile = SplitTile::automatic);

/// Both ends of `rows` intervals: lower and upper [rows, inner].
template <class Target>
void interval_matmul(Stream<Target>& stream, const SplitShape& shape, DeviceSpan<Target, const float> lower,
                     DeviceSpan<Target, const float> upper, DeviceSpan<Target, const float> matrix,
                     DeviceSpan<Target, const float> offset, DeviceSpan<Target, float> lower_out,
                     DeviceSpan<Target, float> upper_out, SplitForm form = SplitForm::centre,
                     SplitTile tile = SplitTile::automatic);

/// What bound_matmul executes, whole tiles, and must move.
BoundWork bound_matmul_work(const BoundShape& shape, int columns, bool with_offset,
                            SplitForm form = SplitForm::centre, SplitTile tile = SplitTile::automatic);
/// What the form with four products executes and moves: W+ and W- written (and W read for each), the four
/// products, of which two also read what they add to, for weights and biases; the offset.
BoundWork four_product_work(const BoundShape& shape, int columns);
/// Multiplications without padding: two a term fused, four with four products.
double split_multiplies(const BoundShape& shape, int columns, bool fused);

}  // namespace remeasure::kernels
