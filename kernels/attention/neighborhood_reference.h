// SPDX-License-Identifier: Apache-2.0
//
// Neighborhood attention in plain loops over Eigen vectors, a template on the scalar: in `double` the oracle,
// in `float` timed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/attention/neighborhood.h"

namespace remeasure::kernels {

/// Keys that a query sees, as token numbers in the row-major order of the window. Fewer than the window's
/// volume only where a causal window is cut.
std::vector<std::int64_t> neighbours(const NeighborhoodShape& shape, std::int64_t token);

/// As `neighbours`, but with the window cut at the borders instead of shifted: what neighborhood attention is
/// not.
std::vector<std::int64_t> clipped_neighbours(const NeighborhoodShape& shape, std::int64_t token);

/// Rows that an oracle compares: (batch entry, token, head) as one number, (entry * tokens + token) * heads +
/// head.
struct NeighborhoodRows {
  std::vector<double> output;       ///< [rows, dim]
  std::vector<double> log_sum_exp;  ///< [rows]
};

/// The named rows in double, each from its own window. `clipped`: with clipped_neighbours.
NeighborhoodRows neighborhood_rows(const NeighborhoodShape& shape, double scale, std::span<const float> query,
                                   std::span<const float> key, std::span<const float> value,
                                   std::span<const std::size_t> rows, bool clipped = false);

/// The paper's method on a CPU, in its tiles: per block of 64 queries one product with the whole box of their
/// keys, the mask, a softmax and a second product. `threads`: 0 = all cores.
void neighborhood_attention_tiled(const NeighborhoodShape& shape, float scale, std::span<const float> query,
                                  std::span<const float> key, std::span<const float> value,
                                  std::span<float> output, int threads = 0);

}  // namespace remeasure::kernels
