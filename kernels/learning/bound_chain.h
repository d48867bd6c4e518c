// SPDX-License-Identifier: Apache-2.0
//
// A transformer as a chain of operations, written once: forward values, intervals, linear bounds fused or
// not, on a CPU or a GPU, and the work of all that are what a set of operations (`Ops`) makes of it.
//
//   per layer: q, k, v = dense(z);  p = softmax(q k^T) by heads;  n = norm(z + dense(p v));
//              z = norm(n + dense(relu(dense(n))))
//   then tanh(dense(first row)), and the difference of two logits. The norm has no variance; q is scaled
//   already.
#pragma once

#include <string>
#include <vector>

#include "kernels/learning/linear_bounds.h"

namespace remeasure::kernels {

/// matrix [outputs, inputs] and offset [outputs], by their places in VerifiedTransformer::parameters.
struct DensePlace {
  int inputs = 0, outputs = 0;
  std::size_t matrix = 0, offset = 0;
  std::size_t matrix_size() const {
    return static_cast<std::size_t>(inputs) * static_cast<std::size_t>(outputs);
  }
};
struct NormPlace {
  std::size_t scale = 0, shift = 0;
};
struct ChainLayer {
  DensePlace qkv, output, up, down;
  NormPlace after_attention, after_mlp;
};

struct VerifiedTransformer {
  int rows = 0, hidden = 0, heads = 0, mlp = 0;
  std::vector<ChainLayer> layers;
  DensePlace pooler;
  DensePlace margin[2];  ///< [label]: its logit less the other's
  std::vector<float> parameters;
};

/// Where an operation's result goes, for those who keep buffers: two results of one slot aren't needed at a
/// time.
enum class Slot { state, normalised, wide, scores, sums, attended, projected };
inline constexpr std::size_t kSlots = 7;

/// Channels of the largest bound object that a slot holds.
inline int slot_channels(const VerifiedTransformer& m, Slot slot) {
  switch (slot) {
    case Slot::wide:
      return m.mlp > 3 * m.hidden ? m.mlp : 3 * m.hidden;
    case Slot::scores:
      return m.heads * m.rows;
    case Slot::sums:
      return m.heads;
    default:
      return m.hidden;
  }
}

/// The margin of `label` under `ops`. `ops.node` sees the values after each step.
template <class Ops>
auto propagate(Ops& ops, const VerifiedTransformer& model, int label) {
  auto z = ops.input();
  for (std::size_t i = 0; i < model.layers.size(); ++i) {
    const ChainLayer& layer = model.layers[i];
    const std::string name = "layer " + std::to_string(i) + " ";
    const auto qkv = ops.dense(Slot::wide, z, layer.qkv);
    ops.node(name + "q, k, v", qkv);
    auto p = ops.scores(Slot::scores, qkv, model.heads, model.hidden);
    ops.node(name + "scores", p);
    ops.relax(Relaxation::exponential, p);
    ops.node(name + "exponentials", p);
    auto sums = ops.group_sum(Slot::sums, p, model.rows);
    ops.relax(Relaxation::reciprocal, sums);
    ops.node(name + "reciprocals", sums);
    ops.product(p, sums, model.rows);
    ops.node(name + "probabilities", p);
    const auto attended = ops.values(Slot::attended, p, qkv, model.heads, model.hidden);
    ops.node(name + "attended", attended);
    const auto projected = ops.dense(Slot::projected, attended, layer.output);
    const auto n = ops.add_normalise(Slot::normalised, z, projected, layer.after_attention);
    ops.node(name + "after attention", n);
    auto wide = ops.dense(Slot::wide, n, layer.up);
    ops.relax(Relaxation::relu, wide);
    ops.node(name + "relu", wide);
    const auto down = ops.dense(Slot::projected, wide, layer.down);
    z = ops.add_normalise(Slot::state, n, down, layer.after_mlp);
    ops.node(name + "output", z);
  }
  auto pooled = ops.dense(Slot::attended, ops.first_row(z), model.pooler);
  ops.relax(Relaxation::tanh, pooled);
  ops.node("pooled", pooled);
  auto margin = ops.dense(Slot::projected, pooled, model.margin[label]);
  ops.node("margin", margin);
  return margin;
}

/// What is perturbed: words at these rows, each in a ball of its own.
struct Perturbation {
  std::vector<int> rows;
  Ball ball;  ///< words: as many as rows

  int inputs(int hidden) const { return static_cast<int>(rows.size()) * hidden; }
};

struct Interval {
  double lower = 0, upper = 0;
};

}  // namespace remeasure::kernels
