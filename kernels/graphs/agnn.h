// SPDX-License-Identifier: Apache-2.0
//
// A layer of AGNN (Thekumparampil et al., arXiv 1803.03735), as TC-GNN runs it: scores of edges, their
// softmax, weighted sum.
#pragma once

#include "kernels/graphs/row_windows.h"

namespace remeasure::kernels {

/// out[i, :] = x[i, :] / |x[i, :]|; a zero row stays zero.  x, out: [rows, dim]
template <class Target>
void normalise_rows(Stream<Target>& stream, int dim, DeviceSpan<Target, const float> x,
                    DeviceSpan<Target, float> out);

/// scores[e] = exp(beta scores[e]) / sum over the edges of e's row.  scores: [edges]
template <class Target>
void edge_softmax(Stream<Target>& stream, const CsrView<Target>& csr, float beta,
                  DeviceSpan<Target, float> scores);

/// y_i = sum_j softmax_j(beta cos(x_i, x_j)) x_j over the edges of row i: four launches. `unit` [rows, dim]
/// and `scores` [edges] are scratch. x, y: [rows, dim]
template <class Target>
void agnn_layer(Stream<Target>& stream, const RowWindowsView<Target>& windows,
                const WindowPartsView<Target>& parts, const CsrView<Target>& csr, float beta, int dim,
                DeviceSpan<Target, const float> x, DeviceSpan<Target, float> unit,
                DeviceSpan<Target, float> scores, DeviceSpan<Target, float> y);

}  // namespace remeasure::kernels
