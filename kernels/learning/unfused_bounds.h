// SPDX-License-Identifier: Apache-2.0
//
// The element-wise launches of bound propagation as frameworks run it: every array of the computation is
// written to memory. What surrounds a library's products in the unfused baseline. Each is one launch; spans
// of one call have the sizes that follow from the others, else std::invalid_argument.
#pragma once

#include "kernels/learning/linear_bounds.h"

namespace remeasure::kernels {

/// positive = max(x, 0), negative = min(x, 0).
template <class Target>
void split_signs(Stream<Target>& stream, DeviceSpan<Target, const float> x,
                 DeviceSpan<Target, float> positive, DeviceSpan<Target, float> negative);

/// out = a + factor * b.
template <class Target>
void add_scaled(Stream<Target>& stream, DeviceSpan<Target, const float> a, float factor,
                DeviceSpan<Target, const float> b, DeviceSpan<Target, float> out);

/// x[line, c] += offset[c].
template <class Target>
void add_offset(Stream<Target>& stream, DeviceSpan<Target, const float> offset, DeviceSpan<Target, float> x);

/// Dual norms of weights [rows, inputs, channels] over the inputs: [rows, channels].
template <class Target>
void input_norms(Stream<Target>& stream, const BoundShape& shape, const Ball& ball,
                 DeviceSpan<Target, const float> weights, DeviceSpan<Target, float> norms);

/// Slopes and intercepts of both lines of each interval.
template <class Target>
struct LineSpans {
  DeviceSpan<Target, float> lower_slope, lower_intercept, upper_slope, upper_intercept;
};
template <class Target>
void relaxation_lines(Stream<Target>& stream, Relaxation relaxation, DeviceSpan<Target, const float> lower,
                      DeviceSpan<Target, const float> upper, const LineSpans<Target>& lines);

/// out[r, i, c] = max(slope, 0) same + min(slope, 0) opposite (+ intercept) (+ out, if `accumulate`), slope
/// and intercept at [r, c / group]: `inputs` numbers i for each row, `channels` channels.
template <class Target>
void scale_sides(Stream<Target>& stream, int inputs, int channels, int group,
                 DeviceSpan<Target, const float> slope, DeviceSpan<Target, const float> same,
                 DeviceSpan<Target, const float> opposite, DeviceSpan<Target, const float> intercept,
                 bool accumulate, DeviceSpan<Target, float> out);

/// out[r, i, c] += slope[r, c] side(slope) of y[r, i, c / group]: a product's term in the coarser factor.
template <class Target>
void add_coarse_sides(Stream<Target>& stream, int inputs, int channels, int group,
                      DeviceSpan<Target, const float> slope, DeviceSpan<Target, const float> same,
                      DeviceSpan<Target, const float> opposite, DeviceSpan<Target, float> out);

/// out[r, c] = -x[r, c] y[r, c / group]: the constant of a product's plane.
template <class Target>
void plane_constants(Stream<Target>& stream, int channels, int group, DeviceSpan<Target, const float> x,
                     DeviceSpan<Target, const float> y, DeviceSpan<Target, float> out);

/// Sums of `group` neighbours, times `factor`.
template <class Target>
void sum_groups(Stream<Target>& stream, int group, float factor, DeviceSpan<Target, const float> x,
                DeviceSpan<Target, float> out);

/// z = scale (own (1 - 1/C) + own_of_other / C - mean of the other) + shift for both bounds: layer norm
/// without the variance of lower and upper [lines, channels] with their means [lines]; exchanged where scale
/// < 0. shift: empty for weights.
template <class Target>
void centre_and_scale(Stream<Target>& stream, DeviceSpan<Target, const float> scale,
                      DeviceSpan<Target, const float> shift, DeviceSpan<Target, const float> lower,
                      DeviceSpan<Target, const float> upper, DeviceSpan<Target, const float> lower_mean,
                      DeviceSpan<Target, const float> upper_mean, DeviceSpan<Target, float> lower_out,
                      DeviceSpan<Target, float> upper_out);

}  // namespace remeasure::kernels
