// SPDX-License-Identifier: Apache-2.0
//
// The sweep of kernels/learning/minnorm_sweep.h by libraries: each (trial, p) is a least-squares problem of
// its own, as a user would write it. In float.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "kernels/learning/minnorm_sweep.h"

namespace remeasure::baselines {

using kernels::SweepData;
using kernels::SweepShape;

enum class EigenSolver {
  cholesky,    ///< LLT of the smaller Gram matrix; within the shape's double band by QR in double
  orthogonal,  ///< CompleteOrthogonalDecomposition of X: no squared condition number, what a careful user
               ///< takes
};

/// x: [trial, feature, sample], risk: [trial, size]. `threads`: 0 = all, over the problems.
void least_squares_eigen(const SweepShape& shape, std::span<const int> sizes, std::span<const float> x,
                         std::span<const float> y, std::span<const float> beta,
                         std::span<const float> variance, EigenSolver solver, std::span<float> risk,
                         int threads = 0);

enum class LibrarySolver {
  cholesky,  ///< Gram matrices, cusolverDnSpotrfBatched, cusolverDnSpotrsBatched
  qr,        ///< cublasSgelsBatched (Householder QR of X itself) where p <= n, its limit; beyond as cholesky
};

/// Each p by a batched solver over all trials, then estimates and risks by cuBLAS. Products are those of
/// baselines/matmul (cuBLAS's fastest algorithm): the first run() chooses them and is to be made before
/// anything is timed. Gram matrices in float throughout: near p = n they are as wrong as that makes them.
/// Only in builds with the CUDA toolkit.
class LeastSquaresCuda {
 public:
  LeastSquaresCuda(Stream<Cuda>& stream, const SweepShape& shape, std::span<const int> sizes,
                   LibrarySolver solver = LibrarySolver::cholesky);
  ~LeastSquaresCuda();
  LeastSquaresCuda(const LeastSquaresCuda&) = delete;
  LeastSquaresCuda& operator=(const LeastSquaresCuda&) = delete;

  void run(const SweepData<Cuda>& data, DeviceSpan<Cuda, float> risk);
  /// How many products there are, and the algorithm of the one that takes longest.
  std::string setting() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace remeasure::baselines
