// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <vector>

#include "datasets/learning/transformer.h"

namespace remeasure::datasets {

/// Adam (Kingma and Ba, ICLR 2015) with decoupled weight decay; the rate rises over the first twentieth of
/// the steps and then falls as a cosine to 0.
struct TransformerTraining {
  int epochs = 1;
  int batch = 32;
  double learning_rate = 2e-3;
  double weight_decay = 0;  ///< of dense weights alone
  std::uint64_t seed = 1;
  std::vector<float> start = {};  ///< the weights to begin with; empty: initial_weights of the seed
};

/// Dense weights N(0, 1 / inputs), gains 1, biases 0, tokens and positions N(0, 0.02^2).
std::vector<float> initial_weights(const TransformerShape& shape, std::uint64_t seed);

/// inputs: [samples, tokens, inputs]; labels: [samples], below `classes`. Cross entropy. Deterministic on
/// every machine: a batch is always cut into the same parts, whatever the number of threads. `losses`, if
/// given, gets the mean loss of each epoch.
std::vector<float> train_transformer(const TransformerShape& shape, const TransformerTraining& plan,
                                     std::span<const float> inputs, std::span<const std::uint16_t> labels,
                                     std::vector<double>* losses = nullptr);

/// Fraction of samples whose largest logit (the first of equal ones) is the label's.
double transformer_accuracy(const TransformerShape& shape, std::span<const float> weights,
                            std::span<const float> inputs, std::span<const std::uint16_t> labels);

}  // namespace remeasure::datasets
