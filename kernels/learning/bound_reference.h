// SPDX-License-Identifier: Apache-2.0
//
// The paper's method on a CPU: each operation on bound objects in one pass over them, a template on the
// scalar (float: the timed method; double: whole verifications that others are compared with). `threads`: 0 =
// all. Everything throws std::invalid_argument for sizes that don't fit.
#pragma once

#include <span>

#include "kernels/learning/bound_arrays.h"

namespace remeasure::kernels {

/// Blocks of 64 rows: their centres and radii, two products of Eigen, both sums; W+, W- and masks don't
/// exist.
template <class Scalar>
void bound_matmul_reference(const BoundShape& shape, int columns, const HostBounds<const Scalar>& in,
                            std::span<const Scalar> matrix, std::span<const Scalar> offset,
                            const HostBounds<Scalar>& out, int threads = 0);

template <class Scalar>
void bound_concretise_reference(const BoundShape& shape, const Ball& ball, const HostBounds<const Scalar>& in,
                                std::span<Scalar> lower, std::span<Scalar> upper, int threads = 0);

/// `out` may be `in`.
template <class Scalar>
void bound_relax_reference(Relaxation relaxation, const BoundShape& shape, const Ball& ball,
                           const HostBounds<const Scalar>& in, const HostBounds<Scalar>& out,
                           int threads = 0);

template <class Scalar>
void bound_product_reference(const BoundShape& shape, int group, const Ball& ball,
                             const HostBounds<const Scalar>& x, const HostBounds<const Scalar>& y,
                             const HostBounds<Scalar>& out, int threads = 0);

template <class Scalar>
void bound_group_sum_reference(const BoundShape& shape, int group, const HostBounds<const Scalar>& in,
                               const HostBounds<Scalar>& out, int threads = 0);

template <class Scalar>
void bound_add_normalise_reference(const BoundShape& shape, const HostBounds<const Scalar>& a,
                                   const HostBounds<const Scalar>& b,
                                   const Normalisation<std::span<const Scalar>>& normalisation,
                                   const HostBounds<Scalar>& out, int threads = 0);

/// Per number of the perturbation and head: six products of small matrices, of which two serve both bounds.
template <class Scalar>
void bound_dot_reference(const DotShape& shape, const HostBounds<const Scalar>& x,
                         std::span<const Scalar> x_lower, const HostBounds<const Scalar>& y,
                         std::span<const Scalar> y_lower, std::span<const Scalar> y_upper,
                         const HostBounds<Scalar>& out, int threads = 0);

}  // namespace remeasure::kernels
