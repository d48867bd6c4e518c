// SPDX-License-Identifier: Apache-2.0
//
// Forward and backward pass of a spiking network (spiking_network.h) over some samples of a batch, with
// explicit gradients.
#pragma once

#include <Eigen/Core>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/spiking/spiking_network.h"

namespace remeasure::kernels {

/// Where each layer's weights and biases lie in the parameters.
struct NetworkLayout {
  std::vector<int> inputs, outputs;
  std::vector<std::size_t> begin;
  std::size_t size = 0;

  explicit NetworkLayout(const NetworkShape& shape) {
    for (int layer = 0; layer <= shape.layers; ++layer) {
      inputs.push_back(layer == 0 ? shape.units : shape.hidden);
      outputs.push_back(layer == shape.layers ? shape.classes : shape.hidden);
      begin.push_back(size);
      size += static_cast<std::size_t>(inputs.back() + 1) * static_cast<std::size_t>(outputs.back());
    }
  }
  std::size_t layers() const { return inputs.size(); }
  std::size_t weights(std::size_t layer) const {
    return static_cast<std::size_t>(inputs[layer]) * static_cast<std::size_t>(outputs[layer]);
  }
};

/// Some samples of a batch through the network and back, on one thread.
class NetworkPass {
 public:
  using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

  NetworkPass(Neuron neuron, const NetworkShape& shape, const Decay& decay, std::uint64_t noise_seed,
              const SpikeEvents& events, std::span<const std::size_t> samples,
              std::span<const float> parameters);

  /// Mean over the steps of the output layer's membrane: [samples, classes].
  Matrix forward();
  /// Adds the gradient of a loss with this gradient by the logits.
  void backward(const Matrix& logit_gradient, std::span<float> gradient);
  double spikes() const;

 private:
  std::size_t rows_of_sample(const Matrix& m) const {
    return static_cast<std::size_t>(shape_.steps) * static_cast<std::size_t>(m.cols());
  }
  SpikingShape spiking_shape(const Matrix& m) const {
    return {static_cast<int>(samples_.size()), shape_.steps, static_cast<int>(m.cols())};
  }
  std::uint64_t seed_of(std::size_t layer) const { return noise_seed_ * 1'000 + layer; }

  Matrix current(std::size_t layer) const;
  Matrix integrate(const Matrix& x) const;
  Matrix adjoint(const Matrix& gradient) const;
  /// `state` is the current, and becomes what the way back needs: the membrane, or the current itself.
  void fire(std::size_t layer, Matrix& state, Matrix& spikes) const;
  Matrix through_neurons(std::size_t layer, Matrix& of_spikes) const;

  Neuron neuron_;
  const NetworkShape& shape_;
  const Decay& decay_;
  std::uint64_t noise_seed_;
  const SpikeEvents& events_;
  std::span<const std::size_t> samples_;
  std::span<const float> parameters_;
  NetworkLayout layout_;
  std::vector<Matrix> membranes_, spikes_;  // of the hidden layers
};

}  // namespace remeasure::kernels
