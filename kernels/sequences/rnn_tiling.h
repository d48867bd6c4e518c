// SPDX-License-Identifier: Apache-2.0
//
// The resource model of FlashRNN's fused forward kernel (bf16), as its ConstrINT rules state it: which
// tilings of R over blocks and warps a GPU holds.
#pragma once

#include <cstdint>
#include <vector>

namespace remeasure::kernels {

struct TilingModel {
  int gates = 4;  ///< recurrent
  int batch = 8;
  int hidden = 64;
  int multiprocessors = 108;
  int shared_bytes = 165000;  ///< of a block
};

struct Tiling {
  std::int64_t gate_tiles, hidden_tiles, batch_tiles, warps_hidden, warps_batch, blocks;
};

/// All of them; those of one block for each batch tile if `one_block`.
std::vector<Tiling> tilings_of(const TilingModel& model, bool one_block = false);

/// The largest multiple of 16 that has a tiling; 0 if none has. `model.hidden` is not looked at.
int largest_hidden(TilingModel model, bool one_block);

}  // namespace remeasure::kernels
