// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

namespace remeasure::kernels {

/// Self-attention. Queries, keys, values and outputs are [batch, heads, tokens, dim], row-major.
struct AttentionShape {
  int batch = 1;
  int heads = 1;
  int tokens = 0;
  int dim = 0;

  constexpr int matrices() const { return batch * heads; }
  constexpr std::size_t rows() const {
    return static_cast<std::size_t>(matrices()) * static_cast<std::size_t>(tokens);
  }
  /// Elements of the queries (and of the keys, values, outputs).
  constexpr std::size_t elements() const { return rows() * static_cast<std::size_t>(dim); }
  /// Elements of all score matrices.
  constexpr std::size_t scores() const { return rows() * static_cast<std::size_t>(tokens); }
  bool operator==(const AttentionShape&) const = default;
};

}  // namespace remeasure::kernels
