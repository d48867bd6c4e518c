// SPDX-License-Identifier: Apache-2.0
#include "kernels/science/feature_map_plan.h"
#include "kernels/science/gram_tile.h"

namespace remeasure::kernels {
namespace {

/// for_each_phase of a thread: A and the squares, a step of the Gray code, the phase and its reduction.
double phase_flops(int qubits, int bits) {
  return 4.0 * qubits + bits + 10.0 * (1 << bits) - 1;
}

constexpr double kComplexProduct = 6, kButterfly = 2;  // flops an amplitude; of a butterfly at each level

}  // namespace

FeatureMapWork feature_map_work(const FeatureMapShape& shape) {
  const FeatureMapPlan plan = feature_map_plan(shape);
  const double threads = static_cast<double>(plan.blocks) * kFeatureMapThreads, held = 1 << plan.thread_bits;
  const double state_bytes = 4.0 * static_cast<double>(shape.values()),
               point_bytes = 8.0 * static_cast<double>(shape.points());
  FeatureMapWork work;
  work.flops =
      threads * (phase_flops(shape.qubits, plan.thread_bits) + (2 + kButterfly * plan.block_qubits) * held);
  if (plan.block_qubits == shape.qubits) work.flops += threads * kComplexProduct * held;
  work.special = threads * held;
  work.bytes = point_bytes + state_bytes;
  for (int low = plan.block_qubits; low < shape.qubits; low += kThreadBits) {
    const int bits = std::min(kThreadBits, shape.qubits - low);
    const double all = static_cast<double>(shape.values()) / 2;
    work.flops += kButterfly * bits * all;
    work.bytes += 2 * state_bytes;
    if (low + bits < shape.qubits) continue;
    work.flops += kComplexProduct * all + phase_flops(shape.qubits, bits) * all / (1 << bits);
    work.special += all;
    work.bytes += point_bytes;
  }
  return work;
}

GramWork gram_abs2_work(const GramShape& shape) {
  const GramTiles tiles = gram_tiles(shape);
  const double side = kGramTile, steps = tiles.steps * kGramStep;
  const double entries =
      shape.symmetric ? 0.5 * shape.rows * (shape.rows + 1.0) : static_cast<double>(shape.entries());
  const double states = shape.symmetric ? shape.rows : static_cast<double>(shape.rows) + shape.columns;
  // Three products of TF32 for each of the four of a complex product; splitting: one subtraction for each of
  // the 16 values that a lane loads for four amplitudes; |.|^2 and noise: 5 an entry.
  return {.flops = static_cast<double>(tiles.count) *
                       (3 * 8 * side * side * steps + kGramThreads * (16 + 64) * steps / 4) +
                   5 * entries,
          .bytes = 8.0 * states * static_cast<double>(shape.amplitudes()) +
                   4.0 * static_cast<double>(shape.entries())};
}

}  // namespace remeasure::kernels
