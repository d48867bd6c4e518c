// SPDX-License-Identifier: Apache-2.0
//
// Tiles of gram_abs2: shared by the kernel and by the formula of its operations.
#pragma once

#include <cstddef>

#include "kernels/science/feature_map.h"

namespace remeasure::kernels {

inline constexpr int kGramTile = 64;      ///< entries of a tile along each side
inline constexpr int kGramStep = 16;      ///< amplitudes that are multiplied between two barriers
inline constexpr int kGramThreads = 128;  ///< four warps of 32 x 32 entries

struct GramTiles {
  long long count = 0;  ///< of a symmetric matrix those on and above the diagonal
  int rows = 0, columns = 0;
  double steps = 0;
};

inline GramTiles gram_tiles(const GramShape& shape) {
  GramTiles tiles;
  tiles.rows = (shape.rows + kGramTile - 1) / kGramTile;
  tiles.columns = (shape.columns + kGramTile - 1) / kGramTile;
  tiles.count = shape.symmetric ? static_cast<long long>(tiles.rows) * (tiles.rows + 1) / 2
                                : static_cast<long long>(tiles.rows) * tiles.columns;
  tiles.steps = static_cast<double>((shape.amplitudes() + kGramStep - 1) / kGramStep);
  return tiles;
}

}  // namespace remeasure::kernels
