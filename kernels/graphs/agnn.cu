// SPDX-License-Identifier: Apache-2.0
//
// What a layer of AGNN needs around TC-GNN's two products (USENIX ATC 2023, section 2.1, equations 2 to 4).
//
//   for (row i) unit[i, :] = x[i, :] / |x[i, :]|;
//   scores = tc_sddmm(unit, unit);                                  // cosines of the edges
//   for (row i) scores of i = softmax(beta * scores of i);
//   y = tc_spmm(scores, x);
//
// Launch: a warp per row, 4 rows a block, for the first and the third.
// Bytes: 8 N dim; 8 E + 4 N. Both are bound by memory; the softmax reads a row three times, the latter two
// from the cache.
#include "kernels/device/kernel.h"
#include "kernels/graphs/agnn.h"
#include "kernels/graphs/tc_spmm.h"

namespace remeasure::kernels {
namespace {

constexpr int kThreads = 128;
constexpr int kRowsPerBlock = kThreads / 32;

__global__ void __launch_bounds__(kThreads)
    normalise_kernel(long long rows, int dim, const float* __restrict__ x, float* __restrict__ out) {
  const long long row = static_cast<long long>(blockIdx.x) * kRowsPerBlock + warp_id();
  if (row >= rows) return;
  const float* from = x + row * dim;
  float squares = 0;
  for (int d = lane_id(); d < dim; d += 32) squares = fmaf(from[d], from[d], squares);
  squares = warp_sum(squares);
  const float scale = squares > 0 ? 1.0f / sqrtf(squares) : 0.0f;
  for (int d = lane_id(); d < dim; d += 32) out[row * dim + d] = from[d] * scale;
}

__global__ void __launch_bounds__(kThreads)
    softmax_kernel(long long rows, const int* __restrict__ row_pointers, float beta, float* scores) {
  const long long row = static_cast<long long>(blockIdx.x) * kRowsPerBlock + warp_id();
  if (row >= rows) return;
  const int first = row_pointers[row], end = row_pointers[row + 1];
  if (first == end) return;
  float largest = -FLT_MAX;
  for (int e = first + lane_id(); e < end; e += 32) largest = fmaxf(largest, beta * scores[e]);
  largest = warp_max(largest);
  float sum = 0;
  for (int e = first + lane_id(); e < end; e += 32) {
    const float weight = expf(beta * scores[e] - largest);
    scores[e] = weight;
    sum += weight;
  }
  const float scale = 1.0f / warp_sum(sum);
  for (int e = first + lane_id(); e < end; e += 32) scores[e] *= scale;
}

}  // namespace

template <class Target>
void normalise_rows(Stream<Target>& stream, int dim, DeviceSpan<Target, const float> x,
                    DeviceSpan<Target, float> out) {
  const std::size_t rows = dim > 0 ? x.size() / static_cast<std::size_t>(dim) : 0;
  if (rows == 0 || x.size() != out.size() || x.size() % static_cast<std::size_t>(dim) != 0) {
    throw std::invalid_argument("normalise_rows: arrays that aren't [rows, dim]");
  }
  launch({.name = "normalise_rows", .grid = blocks_for(rows, kRowsPerBlock), .block = kThreads}, stream,
         normalise_kernel, static_cast<long long>(rows), dim, x.data(), out.data());
}

template <class Target>
void edge_softmax(Stream<Target>& stream, const CsrView<Target>& csr, float beta,
                  DeviceSpan<Target, float> scores) {
  check_csr("edge_softmax", csr);
  if (scores.size() != static_cast<std::size_t>(csr.edges()))
    throw std::invalid_argument("edge_softmax: expected a score for each edge");
  launch({.name = "edge_softmax", .grid = blocks_for(csr.rows, kRowsPerBlock), .block = kThreads}, stream,
         softmax_kernel, csr.rows, csr.row_pointers.data(), beta, scores.data());
}

template <class Target>
void agnn_layer(Stream<Target>& stream, const RowWindowsView<Target>& windows,
                const WindowPartsView<Target>& parts, const CsrView<Target>& csr, float beta, int dim,
                DeviceSpan<Target, const float> x, DeviceSpan<Target, float> unit,
                DeviceSpan<Target, float> scores, DeviceSpan<Target, float> y) {
  normalise_rows<Target>(stream, dim, x, unit);
  tc_sddmm<Target>(stream, windows, parts, dim, unit, unit, scores);
  edge_softmax<Target>(stream, csr, beta, scores);
  tc_spmm<Target>(stream, windows, parts, dim, scores, x, y);
}

template void normalise_rows(Stream<CompiledTarget>&, int, DeviceSpan<CompiledTarget, const float>,
                             DeviceSpan<CompiledTarget, float>);
template void edge_softmax(Stream<CompiledTarget>&, const CsrView<CompiledTarget>&, float,
                           DeviceSpan<CompiledTarget, float>);
template void agnn_layer(Stream<CompiledTarget>&, const RowWindowsView<CompiledTarget>&,
                         const WindowPartsView<CompiledTarget>&, const CsrView<CompiledTarget>&, float, int,
                         DeviceSpan<CompiledTarget, const float>, DeviceSpan<CompiledTarget, float>,
                         DeviceSpan<CompiledTarget, float>, DeviceSpan<CompiledTarget, float>);

}  // namespace remeasure::kernels
