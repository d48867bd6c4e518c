// SPDX-License-Identifier: Apache-2.0
//
// What a transformer needs beside dense layers, on bound objects (linear_bounds.h): intervals, relaxations,
// softmax's product, sums, layer norm, attention's inner products. All launches are bitwise deterministic and
// throw std::invalid_argument for sizes that don't fit. An element-wise output may be its input.
#pragma once

#include "kernels/learning/linear_bounds.h"

namespace remeasure::kernels {

/// The intervals of a bound object: lower and upper [rows, channels].
template <class Target>
void bound_concretise(Stream<Target>& stream, const BoundShape& shape, const Ball& ball,
                      const BoundSpans<Target, const float>& in, DeviceSpan<Target, float> lower,
                      DeviceSpan<Target, float> upper);

/// Bounds of f(z): intervals, lines and scaled bounds in one launch.
template <class Target>
void bound_relax(Stream<Target>& stream, Relaxation relaxation, const BoundShape& shape, const Ball& ball,
                 const BoundSpans<Target, const float>& in, const BoundSpans<Target, float>& out);

/// Bounds of x[r, c] y[r, c / group]: softmax's exponentials by the reciprocals of their sums. y has
/// shape.channels / group channels.
template <class Target>
void bound_product(Stream<Target>& stream, const BoundShape& shape, int group, const Ball& ball,
                   const BoundSpans<Target, const float>& x, const BoundSpans<Target, const float>& y,
                   const BoundSpans<Target, float>& out);

/// Bounds of the sums over `group` neighbouring channels.
template <class Target>
void bound_group_sum(Stream<Target>& stream, const BoundShape& shape, int group,
                     const BoundSpans<Target, const float>& in, const BoundSpans<Target, float>& out);

/// Bounds of a + b, or of its layer norm without the variance.
template <class Target>
void bound_add_normalise(Stream<Target>& stream, const BoundShape& shape,
                         const BoundSpans<Target, const float>& a, const BoundSpans<Target, const float>& b,
                         const Normalisation<DeviceSpan<Target, const float>>& normalisation,
                         const BoundSpans<Target, float>& out);

/// Bounds of attention's inner products (DotShape). The intervals of x and y are those of their whole
/// objects.
template <class Target>
void bound_dot(Stream<Target>& stream, const DotShape& shape, const BoundSpans<Target, const float>& x,
               DeviceSpan<Target, const float> x_lower, const BoundSpans<Target, const float>& y,
               DeviceSpan<Target, const float> y_lower, DeviceSpan<Target, const float> y_upper,
               const BoundSpans<Target, float>& out);

/// Lines of the elements of one relaxation: flops and special functions that the kernel executes for an
/// element (mixed signs, for ReLU).
BoundWork relaxation_cost(Relaxation relaxation);
BoundWork bound_concretise_work(const BoundShape& shape, const Ball& ball);
BoundWork bound_relax_work(Relaxation relaxation, const BoundShape& shape, const Ball& ball);
BoundWork bound_product_work(const BoundShape& shape, int group, const Ball& ball);
BoundWork bound_group_sum_work(const BoundShape& shape, int group);
BoundWork bound_add_normalise_work(const BoundShape& shape, bool normalise);
BoundWork bound_dot_work(const DotShape& shape);

/// Side of the square of outputs that a block of bound_dot computes.
constexpr int dot_tile(const DotShape& shape) {
  return shape.rows <= 16 || shape.columns <= 16 ? 16 : 32;
}
inline constexpr int kDotDepth = 16;

}  // namespace remeasure::kernels
