// SPDX-License-Identifier: Apache-2.0
//
// The layout of rnn_fused.
#include "kernels/sequences/rnn_fused.h"

#include <algorithm>
#include <stdexcept>

#include "kernels/sequences/rnn_fused_layout.h"

namespace remeasure::kernels {
namespace {

constexpr int kWarps = kRnnFusedThreads / 32;

int over(int a, int b) {
  return (a + b - 1) / b;
}

/// The split that leaves each warp no more chunks than its registers hold, if eight warps are enough.
int splits_for(int chunks, int in_registers) {
  return std::min(kWarps, over(chunks, in_registers));
}

RnnFusedPlan best_plan(const RnnShape& shape, std::size_t element_bytes, const RnnFusedLimits& limits) {
  const int tiles = shape.dim / 16;
  if (tiles <= kWarps) {
    const int columns = over(shape.batch, 8) * shape.heads > limits.multiprocessors ? 2 : 1;
    const RnnFusedPlan one_block = rnn_fused_plan(shape, element_bytes, tiles, 1, columns, limits);
    if (one_block.shared_bytes <= limits.shared_bytes) return one_block;
  }
  const auto bytes = static_cast<int>(element_bytes);
  const int splits = splits_for(shape.dim * bytes / 32, rnn_register_chunks(shape.cell, bytes, 1));
  const int unit_tiles = std::max(1, kWarps / splits);
  const int blocks = over(tiles, unit_tiles) * over(shape.batch, 8) * shape.heads;
  return rnn_fused_plan(shape, element_bytes, unit_tiles, splits, blocks > limits.multiprocessors ? 2 : 1,
                        limits);
}

}  // namespace

RnnFusedPlan rnn_fused_plan(const RnnShape& shape, std::size_t element_bytes, int unit_tiles, int splits,
                            int columns, const RnnFusedLimits& limits) {
  RnnFusedPlan plan{.unit_tiles = unit_tiles,
                    .splits = splits,
                    .columns = columns,
                    .unit_blocks = over(shape.dim / 16, unit_tiles)};
  plan.shared_bytes = RnnFusedLayout(shape, static_cast<int>(element_bytes), plan).bytes();
  const int batch_tiles = over(shape.batch, 8 * columns);
  if (!plan.cooperative()) {
    plan.heads_at_once = shape.heads;
    plan.batch_tiles_at_once = batch_tiles;
  } else {
    const int groups = std::max(1, limits.multiprocessors / plan.unit_blocks);
    plan.heads_at_once = std::min(shape.heads, groups);
    plan.batch_tiles_at_once = std::clamp(groups / plan.heads_at_once, 1, batch_tiles);
  }
  return plan;
}

std::string rnn_fused_why_not(const RnnShape& shape, std::size_t element_bytes,
                              const RnnFusedLimits& limits) {
  if (shape.dim < 16 || shape.dim % 16 != 0)
    return "dim is " + std::to_string(shape.dim) + "; it must be a multiple of 16";
  const RnnFusedPlan plan = best_plan(shape, element_bytes, limits);
  if (plan.shared_bytes > limits.shared_bytes) {
    return "R of dim " + std::to_string(shape.dim) + " needs " + std::to_string(plan.shared_bytes) +
           " bytes of shared memory in a block beside its registers; there are " +
           std::to_string(limits.shared_bytes);
  }
  if (plan.unit_blocks > limits.multiprocessors) {
    return "a head of dim " + std::to_string(shape.dim) + " needs " + std::to_string(plan.unit_blocks) +
           " blocks at once; there are " + std::to_string(limits.multiprocessors) + " multiprocessors";
  }
  return {};
}

RnnFusedPlan rnn_fused_plan(const RnnShape& shape, std::size_t element_bytes, const RnnFusedLimits& limits) {
  check_rnn_shape(shape, 16);
  if (const std::string why = rnn_fused_why_not(shape, element_bytes, limits); !why.empty())
    throw std::invalid_argument("rnn_fused: " + why);
  return best_plan(shape, element_bytes, limits);
}

int rnn_fused_largest_dim(Cell cell, std::size_t element_bytes, bool one_block,
                          const RnnFusedLimits& limits) {
  int largest = 0;
  for (int dim = 16; dim <= 16 * kWarps * limits.multiprocessors; dim += 16) {
    const RnnShape shape{cell, 8, 1, 1, dim};
    if (!rnn_fused_why_not(shape, element_bytes, limits).empty()) continue;
    if (!one_block || !best_plan(shape, element_bytes, limits).cooperative()) largest = dim;
  }
  return largest;
}

}  // namespace remeasure::kernels
