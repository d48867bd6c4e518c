// SPDX-License-Identifier: Apache-2.0
//
// The network of Prieto et al. (ICLR 2025), 2p -> H -> H -> p with ReLU and without biases, trained on full
// batches on a CPU: the paper's runs, and in double the oracle of the kernels' training step.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "kernels/learning/layers.h"
#include "kernels/learning/perp_adamw.h"

namespace remeasure::kernels {

/// Cross-entropy in half, float or double; StableMax in double, as in the authors' code.
enum class GrokkingLoss { ce16, ce32, ce64, stable_max };
const char* to_string(GrokkingLoss loss);

/// Rows with their labels. Either pairs (x, y), which stand for one-hot inputs x and p + y, or features.
template <class T>
struct GrokkingSamples {
  std::vector<std::uint16_t> pairs;   ///< [rows, 2]
  layers::Matrix<T> features;         ///< [rows, inputs]
  std::vector<std::uint16_t> labels;  ///< [rows]
  int rows() const { return static_cast<int>(labels.size()); }
};

/// What a step makes of the gradient before Adam sees it.
enum class GradientRule {
  plain,
  orthogonal,  ///< the paper's projection
  along,       ///< its opposite, for control: only the component along the weights
};

struct GrokkingPlan {
  GrokkingLoss loss = GrokkingLoss::ce32;
  GradientRule rule = GradientRule::plain;
  layers::AdamWSettings optimizer = {.learning_rate = 0.01, .beta2 = 0.99, .epsilon = 1e-25};
  int epochs = 0;
};

/// The state before a step.
struct GrokkingRecord {
  int epoch = 0;
  double train = 0, test = 0;  ///< accuracy, fractions
  double loss = 0;             ///< mean over the training rows
  double collapsed = 0;        ///< fraction of training rows whose loss is exactly 0
  double output_norm = 0;      ///< |W3|
  double alignment[3] = {};    ///< cos(-g, w) of each tensor
  double whole_alignment = 0;  ///< of all weights as one vector: what scales the logits
};

template <class T>
class GrokkingNetwork {
 public:
  /// embedding: [inputs, hidden] (the transposed first weights), hidden: [hidden, hidden], output: [classes,
  /// hidden].
  GrokkingNetwork(int inputs, int width, int classes);
  void set_weights(std::span<const float> embedding, std::span<const float> hidden,
                   std::span<const float> output);
  const layers::Matrix<T>& forward(const GrokkingSamples<T>& samples);
  /// Forward, loss and all gradients; returns the number of collapsed rows. `losses` may be empty.
  int gradients(const GrokkingSamples<T>& samples, GrokkingLoss loss, std::span<double> losses);
  double accuracy(const GrokkingSamples<T>& samples);
  std::vector<layers::Parameter<T>*> parameters() { return {&embedding, &hidden.weight, &output.weight}; }

  layers::Parameter<T> embedding;
  layers::Linear<T> hidden, output;

 private:
  layers::Matrix<T> first_, second_, logits_, by_logits_, by_second_, by_first_;
};

/// One step on flat arrays (kernels/learning/grokking_step.h's order), weights and moments in place; `step`
/// from 1 on. In double the oracle of the kernels.
template <class T>
void grokking_step_reference(GrokkingNetwork<T>& network, const GrokkingSamples<T>& samples,
                             GrokkingLoss loss, const PerpAdamW& optimizer, int step, std::span<T> weights,
                             std::span<T> mean, std::span<T> square, std::span<T> gradient,
                             std::span<double> losses);

/// Trains in place; records at the epochs of `when` (ascending) that are reached, and at the end.
std::vector<GrokkingRecord> train_grokking(GrokkingNetwork<float>& network, const GrokkingPlan& plan,
                                           const GrokkingSamples<float>& train,
                                           const GrokkingSamples<float>& test, std::span<const int> when);

}  // namespace remeasure::kernels
