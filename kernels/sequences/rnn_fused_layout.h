// SPDX-License-Identifier: Apache-2.0
//
// Shared memory of a block of rnn_fused, the same arithmetic for the plan and the kernel: h (twice where one
// block has all of it), what the splits add up, and the chunks of R that registers don't hold.
#pragma once

#include <cstddef>

#include "kernels/sequences/rnn_fused.h"

namespace remeasure::kernels {

/// Chunks of R that a warp holds in registers, so that nothing spills: with four gates 16 registers each; f32
/// keeps both of its TF32 parts.
constexpr int rnn_register_chunks(Cell cell, int element_bytes, int columns) {
  return element_bytes == 4 ? (columns == 2 ? 1 : 2) : cell == Cell::slstm && columns == 2 ? 6 : 8;
}

struct RnnFusedLayout {
  int row_bytes, hidden_bytes, buffers, partial_bytes, chunks_of_split, shared_chunks, weight_bytes_of_warp,
      warps;

  RnnFusedLayout(const RnnShape& shape, int element_bytes, const RnnFusedPlan& plan)
      : row_bytes(shape.dim * element_bytes + 16),
        hidden_bytes(8 * plan.columns * row_bytes),
        buffers(plan.cooperative() ? 1 : 2),
        partial_bytes((plan.splits - 1) * plan.unit_tiles * shape.sizes().recurrent * plan.columns * 4 * 32 *
                      4),
        chunks_of_split((shape.dim * element_bytes / 32 + plan.splits - 1) / plan.splits),
        shared_chunks(chunks_of_split - rnn_register_chunks(shape.cell, element_bytes, plan.columns)),
        weight_bytes_of_warp(shared_chunks > 0 ? shared_chunks * shape.sizes().recurrent * 32 * 16 : 0),
        warps(plan.unit_tiles * plan.splits) {}

  int partial_offset() const { return buffers * hidden_bytes; }
  int weights_offset() const { return partial_offset() + partial_bytes; }
  std::size_t bytes() const {
    return static_cast<std::size_t>(weights_offset()) +
           static_cast<std::size_t>(warps) * static_cast<std::size_t>(weight_bytes_of_warp);
  }
};

}  // namespace remeasure::kernels
