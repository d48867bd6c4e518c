// SPDX-License-Identifier: Apache-2.0
//
// Recurrent layers with heads that don't see each other (FlashRNN: Poeppel, Beck, Hochreiter, ICLR 2025;
// arXiv 2412.07752). Arrays are row-major:
//   wx      [batch, steps, inputs, heads, dim]              W x, without biases
//   weights [heads, recurrent, dim (new), dim (previous)]   R
//   bias    [biases, heads, dim]                            f32
//   first   [states, batch, heads, dim]                     states before the first step, f32
//   states  [states, steps + 1, batch, heads, dim]          slot 0 is `first`; states[0] is h
#pragma once

#include <cstddef>

#include "kernels/sequences/recurrent_cell.h"

namespace remeasure::kernels {

struct RnnShape {
  Cell cell = Cell::lstm;
  int batch = 1, steps = 1, heads = 1, dim = 16;

  CellSizes sizes() const { return sizes_of(cell); }
  std::size_t hidden() const { return static_cast<std::size_t>(heads) * static_cast<std::size_t>(dim); }
  /// Of one state at one time.
  std::size_t slot() const { return static_cast<std::size_t>(batch) * hidden(); }
  std::size_t wx_size() const {
    return slot() * static_cast<std::size_t>(steps) * static_cast<std::size_t>(sizes().inputs);
  }
  std::size_t weights_size() const {
    return hidden() * static_cast<std::size_t>(dim) * static_cast<std::size_t>(sizes().recurrent);
  }
  std::size_t bias_size() const { return hidden() * static_cast<std::size_t>(sizes().biases); }
  std::size_t first_size() const { return slot() * static_cast<std::size_t>(sizes().states); }
  std::size_t states_size() const { return first_size() * static_cast<std::size_t>(steps + 1); }
  /// R h, or its gradient, of all steps: [heads, steps, batch, recurrent, dim].
  std::size_t products_size() const {
    return slot() * static_cast<std::size_t>(steps) * static_cast<std::size_t>(sizes().recurrent);
  }
};

/// Throws std::invalid_argument that names the extent that is below 1 (or, with `dim_multiple`, the dim that
/// isn't a multiple).
void check_rnn_shape(const RnnShape& shape, int dim_multiple = 1);
/// Throws std::invalid_argument that names the array whose size isn't `expected`.
void check_rnn_array(const char* name, std::size_t size, std::size_t expected);

/// Calls f.template operator()<Cell>() with the cell of the shape.
template <class Function>
decltype(auto) with_cell(Cell cell, Function&& f) {
  switch (cell) {
    case Cell::elman:
      return f.template operator()<Cell::elman>();
    case Cell::gru:
      return f.template operator()<Cell::gru>();
    case Cell::slstm:
      return f.template operator()<Cell::slstm>();
    case Cell::lstm:
      break;
  }
  return f.template operator()<Cell::lstm>();
}

}  // namespace remeasure::kernels
