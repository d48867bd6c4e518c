// SPDX-License-Identifier: Apache-2.0
//
// A layer of flashrnn: its inputs, which of its states are compared, and the work of every form.
#pragma once

#include <fmt/format.h>

#include <cmath>
#include <string>
#include <vector>

#include "datasets/sequences/recurrent_input.h"
#include "datasets/sequences/recurrent_weights.h"
#include "experiments/vocabulary.h"
#include "kernels/sequences/rnn_fused.h"
#include "kernels/sequences/rnn_reference.h"

namespace remeasure::experiments::flashrnn_layer {

using kernels::Cell;
using kernels::RnnShape;

using Run = std::function<void()>;

/// Values that bf16 and f32 both represent: every variant has the same problem.
struct LayerInputs {
  std::vector<float> wx, weights, bias, first;
};

inline std::vector<float> rounded(std::vector<float> values) {
  for (float& x : values) x = static_cast<float>(bfloat16(x));
  return values;
}

inline LayerInputs load(Trial& t, const RnnShape& shape, std::uint64_t seed) {
  const auto size = [](int value) { return static_cast<std::size_t>(value); };
  const kernels::CellSizes cell = shape.sizes();
  const auto input =
      t.open(datasets::recurrent_input_definition,
             datasets::recurrent_input(size(shape.batch), size(shape.steps), shape.hidden(), seed));
  const auto weights =
      t.open(datasets::recurrent_weights_definition,
             datasets::recurrent_weights(
                 {cell.recurrent, cell.biases, cell.states, shape.batch, shape.heads, shape.dim}, seed));
  const datasets::RecurrentWeights stored = read_recurrent_weights(*weights.reader);
  LayerInputs in{datasets::gate_inputs(rounded(read_recurrent_input(*input.reader)), size(cell.inputs),
                                       size(shape.heads), size(shape.dim)),
                 std::vector<float>(stored.weights.size()), rounded(stored.bias), rounded(stored.first)};
  // [gates, heads, ..] of the file to [heads, gates, ..]
  const std::size_t block = size(shape.dim) * size(shape.dim), heads = size(shape.heads),
                    gates = size(cell.recurrent);
  for (std::size_t gate = 0; gate < gates; ++gate) {
    for (std::size_t head = 0; head < heads; ++head) {
      for (std::size_t i = 0; i < block; ++i) {
        in.weights[(head * gates + gate) * block + i] =
            static_cast<float>(bfloat16(stored.weights[(gate * heads + head) * block + i]));
      }
    }
  }
  return in;
}

/// What is compared of a long layer: the first and the last batch entry, at some 70 times.
struct Sample {
  RnnShape shape;
  std::vector<int> entries, times;

  explicit Sample(const RnnShape& of) : shape(of) {
    entries.push_back(0);
    if (of.batch > 1) entries.push_back(of.batch - 1);
    for (int t = 1; t <= of.steps; ++t) {
      if (t <= 4 || t % std::max(1, of.steps / 64) == 0 || t == of.steps) times.push_back(t);
    }
  }
  /// Place of the first unit of an entry in `states`, and in [steps, batch, hidden].
  std::size_t in_states(int s, int t, int b) const {
    return ((static_cast<std::size_t>(s) * static_cast<std::size_t>(shape.steps + 1) +
             static_cast<std::size_t>(t)) *
                static_cast<std::size_t>(shape.batch) +
            static_cast<std::size_t>(b)) *
           shape.hidden();
  }
  std::size_t in_hidden(int t, int b) const { return in_states(0, t, b) - shape.slot(); }

  /// From all states in double: those of an output "states" (all of them), or of "hidden" (h from the first
  /// step on).
  OracleOutput oracle(const std::vector<double>& states, bool hidden) const {
    OracleOutput output;
    for (int s = 0; s < (hidden ? 1 : shape.sizes().states); ++s) {
      for (const int t : times) {
        for (const int b : entries) {
          for (std::size_t unit = 0; unit < shape.hidden(); ++unit) {
            output.values.push_back(states[in_states(s, t, b) + unit]);
            output.indices.push_back((hidden ? in_hidden(t, b) : in_states(s, t, b)) + unit);
            // Relative to 1: h is at most 1; c, n and m may be larger.
            output.scale.push_back(std::max(1.0, std::abs(output.values.back())));
          }
        }
      }
    }
    return output;
  }
};

inline std::vector<double> exact_states(const RnnShape& shape, const LayerInputs& in) {
  std::vector<double> states(shape.states_size(), 0.0);
  const Sample sample(shape);
  kernels::rnn_reference<double>(shape, in.wx, in.weights, in.bias, in.first, states, 0, sample.entries);
  return states;
}

/// Gradients of sum(sin(i + 1) h_i), of the inputs alone, for the compared entries: [entry, ...] as the shape
/// with that batch.
inline std::vector<float> output_gradient(const RnnShape& shape) {
  std::vector<float> dh(shape.slot() * static_cast<std::size_t>(shape.steps));
  for (std::size_t i = 0; i < dh.size(); ++i)
    dh[i] = static_cast<float>(bfloat16(std::sin(static_cast<float>(i % 8191 + 1))));
  return dh;
}

inline OracleOutput input_gradient_oracle(const RnnShape& shape, const LayerInputs& in) {
  const Sample sample(shape);
  RnnShape few = shape;
  few.batch = static_cast<int>(sample.entries.size());
  const auto pick = [&](const std::vector<float>& values, std::size_t outer) {  // [outer, batch, rest]
    std::vector<double> result;
    const std::size_t rest = values.size() / outer / static_cast<std::size_t>(shape.batch);
    for (std::size_t o = 0; o < outer; ++o) {
      for (const int b : sample.entries) {
        const auto from =
            values.begin() +
            static_cast<std::ptrdiff_t>(
                (o * static_cast<std::size_t>(shape.batch) + static_cast<std::size_t>(b)) * rest);
        result.insert(result.end(), from, from + static_cast<std::ptrdiff_t>(rest));
      }
    }
    return result;
  };
  const std::vector<double> wx = pick(in.wx, 1),
                            first = pick(in.first, static_cast<std::size_t>(shape.sizes().states));
  const std::vector<double> dh = pick(output_gradient(shape), static_cast<std::size_t>(shape.steps));
  const std::vector<double> weights(in.weights.begin(), in.weights.end()),
      bias(in.bias.begin(), in.bias.end());
  std::vector<double> states(few.states_size());
  kernels::rnn_forward_reference<double>(few, wx, weights, bias, first, states);
  const auto gradients = kernels::rnn_backward_reference<double>(few, wx, weights, bias, states, dh);
  OracleOutput output{.values = gradients.wx, .scale = {}, .indices = {}};
  const std::size_t rest = gradients.wx.size() / sample.entries.size();
  for (const int b : sample.entries) {
    for (std::size_t i = 0; i < rest; ++i) output.indices.push_back(static_cast<std::size_t>(b) * rest + i);
  }
  return output;
}

// --- work, as the kernels do it ---

/// Of one unit at one step: what follows the product (x + r + b: 2; sigmoid: 2; tanh: 4; see
/// recurrent_cell.h).
struct CellWork {
  double flops, special;
};
inline CellWork cell_work(Cell cell) {
  switch (cell) {
    case Cell::elman:
      return {6, 1};
    case Cell::gru:
      return {20, 3};
    case Cell::slstm:
      return {26, 6};
    case Cell::lstm:
      break;
  }
  return {26, 5};
}

inline double units(const RnnShape& shape) {
  return static_cast<double>(shape.slot()) * shape.steps;
}
/// Batch entries in whole tiles.
inline double padded(int batch, int tile) {
  return std::ceil(static_cast<double>(batch) / tile) * tile;
}
/// Multiplications and additions of the recurrent products with `batch` entries; f32 as three TF32 products,
/// and the splits of their operands.
inline double product_flops(const RnnShape& shape, double batch, std::size_t element) {
  const double one =
      2 * batch * shape.steps * shape.sizes().recurrent * static_cast<double>(shape.hidden()) * shape.dim;
  return element == 4 ? one * (3 + 192.0 / 2048) : one;
}

inline Work work_fused(const RnnShape& shape, const kernels::RnnFusedPlan& plan, std::size_t element) {
  const CellWork cell = cell_work(shape.cell);
  const double batch = padded(shape.batch, 8 * plan.columns), e = static_cast<double>(element);
  const double launches = std::ceil(batch / (8 * plan.columns) / plan.batch_tiles_at_once);  // that read R
  const double added =
      (plan.splits - 1) * batch * shape.steps * shape.sizes().recurrent * static_cast<double>(shape.hidden());
  const double exchanged = plan.cooperative() ? e * static_cast<double>(shape.slot()) * (shape.steps - 1) : 0;
  return {.flops = product_flops(shape, batch, element) + added + cell.flops * units(shape),
          .bytes = e * static_cast<double>(shape.wx_size() + shape.states_size()) +
                   launches * e * static_cast<double>(shape.weights_size()) +
                   4 * static_cast<double>(shape.bias_size() + shape.first_size()) + exchanged,
          .special = cell.special * units(shape)};
}

/// A product of ours a step: R and h are read, the products written.
inline Work work_products(const RnnShape& shape, std::size_t element) {
  const double e = static_cast<double>(element), slots = units(shape);
  return {.flops = product_flops(shape, padded(shape.batch, 8), element),
          .bytes = e * (shape.steps * static_cast<double>(shape.weights_size()) +
                        slots * (1 + shape.sizes().recurrent))};
}

inline Work work_alternating(const RnnShape& shape, std::size_t element) {
  Work work = work_products(shape, element);
  const CellWork cell = cell_work(shape.cell);
  const kernels::CellSizes sizes = shape.sizes();
  const double e = static_cast<double>(element), slots = units(shape),
               slot = static_cast<double>(shape.slot());
  work.flops += cell.flops * slots;
  work.special = cell.special * slots;
  work.bytes += slots * (e * (sizes.inputs + sizes.recurrent + sizes.states) +
                         8 * (sizes.states - kernels::first_carried(shape.cell))) +
                4.0 * shape.steps * static_cast<double>(shape.bias_size()) + slot * sizes.states * (8 + e);
  return work;
}

inline Work work_vanilla(const RnnShape& shape, std::size_t element) {
  Work work = work_products(shape, element);
  const double e = static_cast<double>(element), slots = units(shape),
               slot = static_cast<double>(shape.slot());
  work.flops += 26 * slots;
  work.special = 5 * slots;
  // Inputs and products added; biases added; 5 operations of one operand, 4 of two; two states stored.
  work.bytes += slots * (8 * e + 16 + 32 + 5 * 8 + 4 * 12 + 2 * (4 + e)) +
                4.0 * shape.steps * static_cast<double>(shape.bias_size()) + slot * 2 * (4 + e);
  return work;
}

/// LSTM forwards and backwards with products of ours.
inline Work work_backward(const RnnShape& shape, std::size_t element) {
  Work work = work_alternating(shape, element);
  const double e = static_cast<double>(element), slots = units(shape),
               slot = static_cast<double>(shape.slot());
  const double weights = static_cast<double>(shape.weights_size()), products = 2 * slots * 4 * shape.dim;
  work.flops += 46 * slots + 2 * products + 4 * slots + slot;
  work.special += 5 * slots;
  work.bytes += slots * (e * (4 + 8 + 4 + 1 + 1 + 4) + 16) +
                4.0 * shape.steps * static_cast<double>(shape.bias_size()) +  // the cell
                slots * e * 5 + shape.steps * e * weights + slot * (e + 8) +  // dh
                slots * e * 5 + e * weights + slots * e * 4 +
                4 * static_cast<double>(shape.bias_size());  // dR, db
  return work;
}

}  // namespace remeasure::experiments::flashrnn_layer
