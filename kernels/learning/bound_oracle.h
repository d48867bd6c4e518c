// SPDX-License-Identifier: Apache-2.0
//
// The operations of sign_split_matmul.h and bound_ops.h as plain loops in double, straight from their
// equations: what everything else is compared with. They share the lines of relaxation.h with the kernels,
// which relaxation_test.cpp holds against the functions themselves. Slow; one thread.
#pragma once

#include <span>

#include "kernels/learning/bound_arrays.h"

namespace remeasure::kernels::oracle {

/// lower, upper [rows, inner], matrix [columns, inner], offset [columns] or empty.
void interval_matmul(std::span<const double> lower, std::span<const double> upper,
                     std::span<const double> matrix, std::span<const double> offset, int inner, int columns,
                     std::span<double> lower_out, std::span<double> upper_out);
BoundArrays<double> matmul(const BoundArrays<double>& in, int columns, std::span<const double> matrix,
                           std::span<const double> offset);

struct Intervals {
  std::vector<double> lower, upper;  ///< [rows, channels]
};
Intervals concretise(const BoundArrays<double>& in, const Ball& ball);
BoundArrays<double> relax(Relaxation relaxation, const BoundArrays<double>& in, const Ball& ball);
BoundArrays<double> product(const BoundArrays<double>& x, const BoundArrays<double>& y, int group,
                            const Ball& ball);
BoundArrays<double> group_sum(const BoundArrays<double>& in, int group);
BoundArrays<double> add_normalise(const BoundArrays<double>& a, const BoundArrays<double>& b,
                                  std::span<const double> scale, std::span<const double> shift);
/// One number of the perturbation (shape.inputs for the biases): lower and upper [rows, heads, columns].
Intervals dot_of_input(const DotShape& shape, const BoundArrays<double>& x, const Intervals& x_interval,
                       const BoundArrays<double>& y, const Intervals& y_interval, int input);
BoundArrays<double> dot(const DotShape& shape, const BoundArrays<double>& x, const Intervals& x_interval,
                        const BoundArrays<double>& y, const Intervals& y_interval);

}  // namespace remeasure::kernels::oracle
