// SPDX-License-Identifier: Apache-2.0
//
// The networks of Yarga and Wood (IJCNN 2023, section IV) with explicit gradients, on a CPU: hidden layers of
// one kind of neuron, an output layer that integrates without firing, mean over time, cross entropy, Adamax
// (Kingma and Ba, ICLR 2015).
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/spiking/membrane.h"
#include "kernels/spiking/spike_events.h"

namespace remeasure::kernels {

enum class Neuron {
  lif,                ///< integrate-and-fire, hard reset, surrogate gradient
  sigmoid_bernoulli,  ///< SPSN-SB
  gumbel_softmax,     ///< SPSN-GS
  non_spiking,        ///< relu of the current at each step, output without membrane: no memory of time at all
};

struct NetworkShape {
  int units = 0;  ///< inputs
  int steps = 0;
  int hidden = 128;  ///< neurons of each hidden layer
  int layers = 3;    ///< hidden layers
  int classes = 20;
};

struct TrainingPlan {
  int epochs = 0;
  int batch = 64;
  double learning_rate = 1e-3;
  Decay decay = {};
  std::uint64_t seed = 1;
};

struct Trained {
  double train_accuracy = 0;  ///< fractions, of the last epoch
  double test_accuracy = 0;
  double firing_rate = 0;      ///< spikes per neuron and step over the hidden layers, on the test set
  std::vector<double> losses;  ///< mean cross entropy of each epoch
};

/// Trains on samples [0, train) of `events` and tests on the rest. Deterministic: noise is a function of
/// (seed, epoch, sample, step, neuron). `threads`: 0 = all cores. Throws std::invalid_argument for a shape
/// that doesn't fit the events.
Trained train_spiking_network(Neuron neuron, const NetworkShape& shape, const TrainingPlan& plan,
                              const SpikeEvents& events, std::size_t train);

/// Loss and its gradient by every weight for one batch, for tests: all parameters in one vector, layer by
/// layer, weights
/// ([inputs, outputs]) then biases.
struct LossAndGradient {
  double loss = 0;
  std::vector<float> gradient;
};
std::vector<float> initial_parameters(const NetworkShape& shape, std::uint64_t seed);
LossAndGradient loss_and_gradient(Neuron neuron, const NetworkShape& shape, const Decay& decay,
                                  std::uint64_t noise_seed, const SpikeEvents& events,
                                  std::span<const float> parameters);

}  // namespace remeasure::kernels
