// SPDX-License-Identifier: Apache-2.0
//
// Operations and bytes of the kernels of bound_ops.h, counted from their loops.
#include "kernels/learning/bound_ops.h"

namespace remeasure::kernels {
namespace {

constexpr double kWarp = 32, kSlices = 8, kWarpSum = 5 * kWarp;

double padded(int items, int tile) {
  return static_cast<double>((items + tile - 1) / tile * tile);
}
double whole(std::size_t size) {
  return static_cast<double>(size);
}
double values(const BoundShape& shape) {
  return 2 * whole(shape.weights() + shape.biases());
}

/// dual_norms of `arrays` arrays and the interval's ends: elements, then the slices' parts by as many warps
/// as there are arrays.
double norm_flops(const BoundShape& shape, const Ball& ball, double arrays) {
  const double per_element = ball.norm == BallNorm::two ? 2 : ball.norm == BallNorm::infinity ? 1 : 0;
  const double per_word =
      (ball.norm == BallNorm::one ? 0 : kSlices - 1) + (ball.norm == BallNorm::two ? 1 : 0) + 1;
  const double lanes = shape.rows * padded(shape.channels, 32);
  return arrays * per_element * whole(shape.weights()) + lanes * arrays * arrays * ball.words * per_word;
}

}  // namespace

BoundWork relaxation_cost(Relaxation relaxation) {
  switch (relaxation) {
    case Relaxation::relu:
      return {.flops = 3, .bytes = 0, .special = 0};
    case Relaxation::tanh:
      return {.flops = 158, .bytes = 0, .special = 25};  // 24 functions over both signs, 26 over one
    case Relaxation::exponential:
      return {.flops = 14, .bytes = 0, .special = 3};
    case Relaxation::reciprocal:
      return {.flops = 8, .bytes = 0, .special = 0};
    case Relaxation::square_root:
      return {.flops = 11, .bytes = 0, .special = 0};
    case Relaxation::square:
      break;
  }
  return {.flops = 6, .bytes = 0, .special = 0};
}

BoundWork bound_concretise_work(const BoundShape& shape, const Ball& ball) {
  return {.flops = norm_flops(shape, ball, 2) + 4 * whole(shape.biases()),
          .bytes = 4 * (values(shape) + 2 * whole(shape.biases())),
          .special = 0};
}

BoundWork bound_relax_work(Relaxation relaxation, const BoundShape& shape, const Ball& ball) {
  const BoundWork line = relaxation_cost(relaxation);
  const double elements = whole(shape.biases());
  // Both warps make the interval; a bias is scaled and shifted.
  return {.flops = norm_flops(shape, ball, 2) + elements * (8 + line.flops + 4) + 2 * whole(shape.weights()),
          .bytes = 8 * values(shape),
          .special = elements * line.special};
}

BoundWork bound_product_work(const BoundShape& shape, int group, const Ball& ball) {
  const BoundShape y = shape.with_channels(shape.channels / group);
  // Intervals 8 (of which x's lower end, and y's two), constants 2, biases 2 (2 + 1 + 1).
  return {.flops = norm_flops(shape, ball, 3) + 16 * whole(shape.biases()) + 6 * whole(shape.weights()),
          .bytes = 4 * (2 * values(shape) + values(y)),
          .special = 0};
}

BoundWork bound_group_sum_work(const BoundShape& shape, int group) {
  const BoundShape after = shape.with_channels(shape.channels / group);
  return {.flops = values(shape) + values(after) * kWarpSum,
          .bytes = 4 * (values(shape) + values(after)),
          .special = 0};
}

BoundWork bound_add_normalise_work(const BoundShape& shape, bool normalise) {
  const double lines = static_cast<double>(shape.rows) * (shape.inputs + 1.0);
  if (!normalise) return {.flops = values(shape), .bytes = 12 * values(shape), .special = 0};
  return {.flops = 8 * values(shape) + lines * (2 * kWarpSum + 2 * kWarp) + 2 * whole(shape.biases()),
          .bytes = 12 * values(shape) + 8.0 * shape.channels,
          .special = 0};
}

BoundWork bound_dot_work(const DotShape& shape) {
  const int tile = dot_tile(shape);
  const double terms =
      padded(shape.rows, tile) * padded(shape.columns, tile) * padded(shape.inner, kDotDepth) * shape.heads;
  const double per_line = shape.inputs + 1.0, x_channels = shape.heads * static_cast<double>(shape.inner);
  const double y_channels =
      shape.heads * static_cast<double>(shape.kind == DotKind::scores ? shape.inner : shape.columns);
  const double x = shape.rows * x_channels, y = shape.y_rows() * y_channels,
               out = whole(shape.out_shape().biases());
  // Bounds of x, y and the output; one end of x's intervals, both of y's.
  return {.flops = terms * (8 * per_line + 4),
          .bytes = 4 * (2 * per_line * (x + y + out) + x + 2 * y),
          .special = 0};
}

}  // namespace remeasure::kernels
