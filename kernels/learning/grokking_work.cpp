// SPDX-License-Identifier: Apache-2.0
//
// What the kernels of a training step do, from their loops: whole tiles of products, every lane of a
// reduction.
#include "kernels/learning/grokking_step.h"

namespace remeasure::kernels {

DenseWork dense_work(const DenseProduct& p) {
  const DensePlan plan = dense_plan(p);
  const double a = static_cast<double>(p.rows) * p.inner, b = static_cast<double>(p.inner) * p.columns,
               c = static_cast<double>(p.rows) * p.columns;
  const int depth_steps = (p.inner + kDenseDepth - 1) / kDenseDepth;
  DenseWork work{
      .flops = 2.0 * kDenseTile * kDenseTile * kDenseDepth * depth_steps * plan.row_tiles * plan.column_tiles,
      .bytes = 4 * (a + b + plan.parts * c + (p.epilogue == DenseEpilogue::mask ? c : 0))};
  if (plan.parts > 1) {
    work.flops += (plan.parts - 1) * c;
    work.bytes += 4 * (plan.parts + 1) * c;
  }
  return work;
}

GrokkingWork grokking_work(const GrokkingShape& s, GrokkingLoss loss, bool project) {
  const double n = s.rows, p = s.modulus, h = s.hidden;
  GrokkingWork work;
  const auto add = [&](double flops, double bytes, double special = 0) {
    work.flops += flops;
    work.bytes += bytes;
    work.special += special;
  };
  for (const DenseProduct& product :
       {s.to_hidden(), s.to_output(), s.by_output(), s.from_output(), s.by_hidden(), s.from_hidden()}) {
    const DenseWork of_product = dense_work(product);
    add(of_product.flops, of_product.bytes);
  }
  add(n * h, 8 * p * h + 4 * n + 4 * n * h);                   // pair_embedding
  add(2 * n * h + 14 * p * h, 4 * n * h + 8 * n + 8 * p * h);  // its gradient
  const double per_lane = p <= 32 ? 1 : 4, sums = 32 * (per_lane - 1 + 5);
  const double row_bytes = 8 * p + 6 + 1.0 / 8;
  if (loss == GrokkingLoss::stable_max)
    add(n * (4.5 * p + sums + 96), n * row_bytes, 32 * n);  // half of the logits are negative
  else
    add(n * (3 * p + 1 + sums + 64), n * row_bytes, n * (p + 32));
  const double weights = 3 * p * h + h * h;
  const double tensors = 3, parts = tensors * kPerpParts * 3;
  if (project) add(6 * weights + 12 * 256.0 * parts, 8 * weights + 8 * parts);
  const double blocks = (2 * p * h + h * h + p * h) / 1024 + tensors;
  add((project ? 15 : 12) * weights + (project ? 256 * blocks * (15 + 8) : 0),
      28 * weights + (project ? 8 * parts : 0));
  return work;
}

}  // namespace remeasure::kernels
