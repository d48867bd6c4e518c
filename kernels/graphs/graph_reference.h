// SPDX-License-Identifier: Apache-2.0
//
// Aggregation over a graph in plain loops; in double they are the oracles. X is [columns, dim] row-major.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/graphs/row_windows.h"

namespace remeasure::kernels {

/// y[i, :] = sum over the edges e of row i of value[e] x[column[e], :].  y: [rows, dim]
template <class Scalar>
void spmm_reference(const HostCsr& csr, int dim, std::span<const float> x, std::span<Scalar> y);

/// The scale of its errors: sum of |value[e]| |x[column[e], :]|.
void spmm_scale(const HostCsr& csr, int dim, std::span<const float> x, std::span<double> scale);

/// scores[e] = <a[row of e, :], b[column of e, :]>: the sampled product of dense matrices.  scores: [edges]
template <class Scalar>
void sddmm_reference(const HostCsr& csr, int dim, std::span<const float> a, std::span<const float> b,
                     std::span<Scalar> scores);

/// The scale of its errors: |a| |b|, norms of the two rows.
void sddmm_scale(const HostCsr& csr, int dim, std::span<const float> a, std::span<const float> b,
                 std::span<double> scale);

/// A layer of AGNN (Thekumparampil et al., arXiv 1803.03735): weights = softmax over row i's edges of beta
/// cos(x_i, x_j), y_i = weighted sum of x_j. A zero row of x has cosine 0 with every other.  y: [rows, dim];
/// rows = columns.
template <class Scalar>
void agnn_reference(const HostCsr& csr, Scalar beta, int dim, std::span<const float> x, std::span<Scalar> y);

/// The product in the paper's order: a window's tiles one after another, each a dense 16 x 8 block times the
/// gathered rows, windows split over `threads` (0 = all). `values`: [edges] in the CSR's order, or none = 1.
template <class Scalar>
void translated_spmm(const RowWindows& windows, int dim, std::span<const float> values,
                     std::span<const float> x, std::span<Scalar> y, int threads = 0);

}  // namespace remeasure::kernels
