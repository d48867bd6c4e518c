// SPDX-License-Identifier: Apache-2.0
//
// Cross-entropy of rows in half, float or double, by softmax or StableMax (Prieto et al., "Grokking at the
// Edge of Numerical Stability", ICLR 2025, sections 2 and 4): loss, gradient and the rows whose loss is
// exactly 0.
//
//   for (r in rows) {
//     m = max_k z[r][k];  e[k] = exp(z[r][k] - m);  S = sum_k e[k];
//     loss[r] = -((z[r][y] - m) - log S);
//     for (k) dz[r][k] = (e[k] / S - (k == y)) / rows;
//     collapsed[r] = loss[r] == 0;
//   }
//
// Optimisation: a framework makes six launches of this (cast, log-softmax, gather, mean, and two backward)
// and a comparison for the count. Here a warp has a row: its logits stay in registers, maximum and sum are
// shuffles, the gradient is written as soon as the sum is known. A block's 32 warps have 32 rows, so that one
// ballot of their flags is one word of the mask and no counter is needed. StableMax has no exponential at
// all. Every step rounds to Q, and nothing is contracted: whether 1 absorbs a term is what is measured.
//
// Launch: rows / 32 blocks of 1024 threads, 1 or 4 logits a lane. Bytes: 8 rows classes + 6 rows + rows / 8.
// Softmax: an exponential a logit, and 3 flops; a logarithm in each lane. Limits: 128 classes.
#include "kernels/learning/cross_entropy_rows.h"

#include <cmath>
#include <stdexcept>
#include <string>

#include "kernels/device/kernel.h"
#include "kernels/learning/loss_arithmetic.h"

namespace remeasure::kernels {
namespace {

constexpr int kRowsOfBlock = 32;

struct RowArrays {
  const float* logits;
  const std::uint16_t* labels;
  float* gradient;
  float* losses;
  std::uint32_t* collapsed;
};

/// The sum over a row, rounded after each addition; the same in each lane.
template <class A, int kPerLane>
RM_DEVICE typename A::Compute row_sum(const typename A::Compute (&terms)[kPerLane]) {
  typename A::Compute sum = terms[0];
#pragma unroll
  for (int i = 1; i < kPerLane; ++i) sum = A::round(sum + terms[i]);
  for (int distance = 16; distance > 0; distance /= 2)
    sum = A::round(sum + __shfl_xor_sync(kFullWarp, sum, distance));
  return sum;
}

/// The value at the label's place, in each lane.
template <class C, int kPerLane>
RM_DEVICE C at_label(const C (&values)[kPerLane], int label) {
  C value = values[0];
#pragma unroll
  for (int i = 1; i < kPerLane; ++i) value = label / 32 == i ? values[i] : value;
  return __shfl_sync(kFullWarp, value, label % 32);
}

template <class Q, RowLoss kLoss, int kPerLane>
__global__ void __launch_bounds__(32 * kRowsOfBlock)
    rows_kernel(int rows, int classes, float scale, const RowArrays arrays) {
  using A = LossArithmetic<Q>;
  using C = typename A::Compute;
  RM_SHARED(int, is_zero, [kRowsOfBlock]);
  const int lane = lane_id(), warp = warp_id();
  const int row = kRowsOfBlock * static_cast<int>(blockIdx.x) + warp;
  bool zero = false;
  if (row < rows) {
    const std::size_t first = static_cast<std::size_t>(row) * static_cast<std::size_t>(classes);
    const int label = arrays.labels[row];
    C z[kPerLane], terms[kPerLane];
    C loss;
#pragma unroll
    for (int i = 0; i < kPerLane; ++i) {
      const int k = lane + 32 * i;
      z[i] = k < classes ? A::round(static_cast<C>(arrays.logits[first + static_cast<std::size_t>(k)]))
                         : C(-INFINITY);
    }
    if constexpr (kLoss == RowLoss::softmax) {
      C largest = z[0];
#pragma unroll
      for (int i = 1; i < kPerLane; ++i) largest = largest < z[i] ? z[i] : largest;
      largest = warp_max(largest);
#pragma unroll
      for (int i = 0; i < kPerLane; ++i) {
        terms[i] = C(0);
        if (lane + 32 * i < classes) terms[i] = A::round(exp(A::round(z[i] - largest)));
      }
      const C sum = row_sum<A>(terms);
      loss = -A::round(A::round(at_label(z, label) - largest) - A::round(log(sum)));
#pragma unroll
      for (int i = 0; i < kPerLane; ++i) {
        const int k = lane + 32 * i;
        if (k >= classes) continue;
        const C share = A::round(terms[i] / sum);
        const C slope = k == label ? A::round(share - C(1)) : share;
        arrays.gradient[first + static_cast<std::size_t>(k)] = scale * static_cast<float>(slope);
      }
    } else {
#pragma unroll
      for (int i = 0; i < kPerLane; ++i) {
        terms[i] = C(0);
        if (lane + 32 * i >= classes) continue;
        terms[i] = z[i] >= C(0) ? A::round(z[i] + C(1)) : A::round(C(1) / A::round(C(1) - z[i]));
      }
      const C sum = row_sum<A>(terms), term_of_label = at_label(terms, label);
      const C of_all = A::round(C(1) / sum), of_label = A::round(C(1) / term_of_label);
      loss = -A::round(log(A::round(term_of_label / sum)));
#pragma unroll
      for (int i = 0; i < kPerLane; ++i) {
        const int k = lane + 32 * i;
        if (k >= classes) continue;
        const C slope = z[i] >= C(0) ? C(1) : A::round(terms[i] * terms[i]);
        const C difference = k == label ? A::round(of_all - of_label) : of_all;
        arrays.gradient[first + static_cast<std::size_t>(k)] =
            scale * static_cast<float>(A::round(slope * difference));
      }
    }
    zero = loss == C(0);
    if (lane == 0) arrays.losses[row] = static_cast<float>(loss);
  }
  if (lane == 0) is_zero[warp] = zero ? 1 : 0;
  __syncthreads();
  if (warp == 0) {
    const std::uint32_t word = __ballot_sync(kFullWarp, is_zero[lane] != 0);
    if (lane == 0) arrays.collapsed[blockIdx.x] = word;
  }
}

}  // namespace

template <class Target, class Q, RowLoss kLoss>
void cross_entropy_rows(Stream<Target>& stream, const RowLossShape& shape,
                        DeviceSpan<Target, const float> logits,
                        DeviceSpan<Target, const std::uint16_t> labels, DeviceSpan<Target, float> gradient,
                        DeviceSpan<Target, float> losses, DeviceSpan<Target, std::uint32_t> collapsed) {
  if (shape.rows < 1 || shape.classes < 1 || shape.classes > kMostClasses) {
    throw std::invalid_argument("cross_entropy_rows: " + std::to_string(shape.rows) + " rows of " +
                                std::to_string(shape.classes) + " classes; at least 1 row, 1 to " +
                                std::to_string(kMostClasses) + " classes");
  }
  const auto rows = static_cast<std::size_t>(shape.rows);
  if (logits.size() != shape.logits() || gradient.size() != shape.logits() || labels.size() != rows ||
      losses.size() != rows || collapsed.size() != shape.mask_words()) {
    throw std::invalid_argument(
        "cross_entropy_rows: " + std::to_string(logits.size()) + " logits, " +
        std::to_string(gradient.size()) + " gradients, " + std::to_string(labels.size()) + " labels, " +
        std::to_string(losses.size()) + " losses, " + std::to_string(collapsed.size()) + " words for " +
        std::to_string(shape.rows) + " rows of " + std::to_string(shape.classes) + " classes");
  }
  const RowArrays arrays{logits.data(), labels.data(), gradient.data(), losses.data(), collapsed.data()};
  const float scale = 1.0f / static_cast<float>(shape.rows);
  const Launch how{
      .name = "cross_entropy_rows", .grid = blocks_for(shape.rows, kRowsOfBlock), .block = 32 * kRowsOfBlock};
  if (shape.classes <= 32)
    launch(how, stream, rows_kernel<Q, kLoss, 1>, shape.rows, shape.classes, scale, arrays);
  else
    launch(how, stream, rows_kernel<Q, kLoss, 4>, shape.rows, shape.classes, scale, arrays);
}

#define RM_INSTANTIATE_ROWS(Q, loss)                                                         \
  template void cross_entropy_rows<CompiledTarget, Q, loss>(                                 \
      Stream<CompiledTarget>&, const RowLossShape&, DeviceSpan<CompiledTarget, const float>, \
      DeviceSpan<CompiledTarget, const std::uint16_t>, DeviceSpan<CompiledTarget, float>,    \
      DeviceSpan<CompiledTarget, float>, DeviceSpan<CompiledTarget, std::uint32_t>);
RM_INSTANTIATE_ROWS(half, RowLoss::softmax)
RM_INSTANTIATE_ROWS(float, RowLoss::softmax)
RM_INSTANTIATE_ROWS(double, RowLoss::softmax)
RM_INSTANTIATE_ROWS(half, RowLoss::stable_max)
RM_INSTANTIATE_ROWS(float, RowLoss::stable_max)
RM_INSTANTIATE_ROWS(double, RowLoss::stable_max)
#undef RM_INSTANTIATE_ROWS

}  // namespace remeasure::kernels
