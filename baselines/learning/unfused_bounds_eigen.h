// SPDX-License-Identifier: Apache-2.0
//
// Bound propagation in Eigen as one writes it from the equations: masks and intermediate matrices exist, a
// dense layer is four products. In float the baseline, in double what the fused forms are compared with.
#pragma once

#include <span>

#include "kernels/learning/bound_verifier.h"

namespace remeasure::baselines {

using kernels::BoundArrays;

/// Who cuts the work for the cores. Which is faster depends on the size: a small product is over before a
/// thread has begun, and after each of four tall thin ones Eigen's threads wait for the last.
enum class EigenThreads {
  own,    ///< Eigen, product by product; what isn't a product runs on one thread
  tasks,  ///< blocks of rows, each through all of an operation on one thread
};

template <class Scalar>
void unfused_matmul_eigen(const kernels::BoundShape& shape, int columns,
                          const kernels::HostBounds<const Scalar>& in, std::span<const Scalar> matrix,
                          std::span<const Scalar> offset, const kernels::HostBounds<Scalar>& out,
                          EigenThreads threads = EigenThreads::tasks);

template <class Scalar>
void unfused_relax_eigen(kernels::Relaxation relaxation, const kernels::BoundShape& shape,
                         const kernels::Ball& ball, const kernels::HostBounds<const Scalar>& in,
                         const kernels::HostBounds<Scalar>& out, EigenThreads threads = EigenThreads::tasks);

/// Eight products a head: of x by the masked ends of y, and of the masked ends of x by y for each number of
/// the perturbation.
template <class Scalar>
void unfused_dot_eigen(const kernels::DotShape& shape, const kernels::HostBounds<const Scalar>& x,
                       std::span<const Scalar> x_lower, const kernels::HostBounds<const Scalar>& y,
                       std::span<const Scalar> y_lower, std::span<const Scalar> y_upper,
                       const kernels::HostBounds<Scalar>& out, EigenThreads threads = EigenThreads::tasks);

/// Bounds of the margin by the whole unfused chain: [1, inputs, 1].
template <class Scalar>
BoundArrays<Scalar> unfused_margin_eigen(const kernels::VerifiedTransformer& model, int label,
                                         std::span<const float> embedding,
                                         const kernels::Perturbation& perturbation,
                                         EigenThreads threads = EigenThreads::tasks);

}  // namespace remeasure::baselines
