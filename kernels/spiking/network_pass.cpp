// SPDX-License-Identifier: Apache-2.0
#include "kernels/spiking/network_pass.h"

#include <type_traits>

#include "kernels/spiking/spike_draw.h"
#include "kernels/spiking/spsn_reference.h"

namespace remeasure::kernels {
namespace {

using Matrix = NetworkPass::Matrix;
using Map = Eigen::Map<Matrix>;
using ConstMap = Eigen::Map<const Matrix>;

constexpr double kThreshold = 1;

std::span<const float> values(const Matrix& m) {
  return {m.data(), static_cast<std::size_t>(m.size())};
}
std::span<float> values(Matrix& m) {
  return {m.data(), static_cast<std::size_t>(m.size())};
}

/// One layer's view of parameters or gradients.
template <class Float>
struct LayerOf {
  using Mapped = std::conditional_t<std::is_const_v<Float>, ConstMap, Map>;
  Mapped weights, bias;
  LayerOf(const NetworkLayout& layout, std::size_t layer, std::span<Float> all)
      : weights(all.data() + layout.begin[layer], layout.inputs[layer], layout.outputs[layer]),
        bias(all.data() + layout.begin[layer] + layout.weights(layer), 1, layout.outputs[layer]) {}
};

template <Spiking kSpiking>
void draw_layer(const SpikingShape& shape, std::span<const std::size_t> samples, std::uint64_t seed,
                const Matrix& membrane, Matrix& spikes) {
  for (Eigen::Index row = 0; row < membrane.rows(); ++row) {
    const int t = static_cast<int>(row) % shape.steps;
    const std::size_t sample = samples[static_cast<std::size_t>(row) / static_cast<std::size_t>(shape.steps)];
    for (int neuron = 0; neuron < shape.neurons; ++neuron) {
      const Philox4 random = spike_random<kSpiking>(seed, sample, t, neuron);
      spikes(row, neuron) =
          draw_spike<kSpiking>(membrane(row, neuron), random, t % kDrawsPerPhilox<kSpiking>) ? 1.0f : 0.0f;
    }
  }
}

template <Spiking kSpiking>
void multiply_slopes(const SpikingShape& shape, std::span<const std::size_t> samples, std::uint64_t seed,
                     const Matrix& membrane, Matrix& gradient) {
  for (Eigen::Index row = 0; row < membrane.rows(); ++row) {
    const int t = static_cast<int>(row) % shape.steps;
    const std::size_t sample = samples[static_cast<std::size_t>(row) / static_cast<std::size_t>(shape.steps)];
    for (int neuron = 0; neuron < shape.neurons; ++neuron) {
      gradient(row, neuron) *= spike_slope<kSpiking>(membrane(row, neuron), seed, sample, t, neuron);
    }
  }
}

}  // namespace

NetworkPass::NetworkPass(Neuron neuron, const NetworkShape& shape, const Decay& decay,
                         std::uint64_t noise_seed, const SpikeEvents& events,
                         std::span<const std::size_t> samples, std::span<const float> parameters)
    : neuron_(neuron),
      shape_(shape),
      decay_(decay),
      noise_seed_(noise_seed),
      events_(events),
      samples_(samples),
      parameters_(parameters),
      layout_(shape) {}

NetworkPass::Matrix NetworkPass::forward() {
  for (std::size_t layer = 0; layer + 1 < layout_.layers(); ++layer) {
    membranes_.push_back(current(layer));
    spikes_.emplace_back();
    fire(layer, membranes_.back(), spikes_.back());
  }
  const Matrix output = integrate(current(layout_.layers() - 1));
  Matrix logits(static_cast<Eigen::Index>(samples_.size()), shape_.classes);
  for (Eigen::Index i = 0; i < logits.rows(); ++i) {
    logits.row(i) = output.middleRows(i * shape_.steps, shape_.steps).colwise().mean();
  }
  return logits;
}

void NetworkPass::backward(const Matrix& logit_gradient, std::span<float> gradient) {
  Matrix above(static_cast<Eigen::Index>(samples_.size()) * shape_.steps, shape_.classes);
  for (Eigen::Index i = 0; i < logit_gradient.rows(); ++i) {
    above.middleRows(i * shape_.steps, shape_.steps).rowwise() =
        logit_gradient.row(i) / static_cast<float>(shape_.steps);
  }
  Matrix of_current = neuron_ == Neuron::non_spiking ? above : adjoint(above);
  for (std::size_t layer = layout_.layers(); layer-- > 0;) {
    LayerOf<float> sum(layout_, layer, gradient);
    sum.bias += of_current.colwise().sum();
    if (layer == 0) {
      for (std::size_t i = 0; i < samples_.size(); ++i) {
        add_event_gradients(
            events_, samples_[i], static_cast<std::size_t>(shape_.steps),
            values(of_current).subspan(i * rows_of_sample(of_current), rows_of_sample(of_current)),
            static_cast<std::size_t>(of_current.cols()),
            {sum.weights.data(), static_cast<std::size_t>(sum.weights.size())});
      }
      break;
    }
    sum.weights.noalias() += spikes_[layer - 1].transpose() * of_current;
    Matrix of_spikes = of_current * LayerOf<const float>(layout_, layer, parameters_).weights.transpose();
    of_current = through_neurons(layer - 1, of_spikes);
  }
}

double NetworkPass::spikes() const {
  double sum = 0;
  for (const Matrix& layer : spikes_) sum += layer.cast<double>().sum();
  return sum;
}

NetworkPass::Matrix NetworkPass::current(std::size_t layer) const {
  const LayerOf<const float> of(layout_, layer, parameters_);
  Matrix x(static_cast<Eigen::Index>(samples_.size()) * shape_.steps, of.weights.cols());
  if (layer > 0) {
    x.noalias() = spikes_[layer - 1] * of.weights;
    x.rowwise() += of.bias.row(0);
    return x;
  }
  x.rowwise() = of.bias.row(0);
  for (std::size_t i = 0; i < samples_.size(); ++i) {
    add_event_currents(events_, samples_[i], static_cast<std::size_t>(shape_.steps),
                       {of.weights.data(), static_cast<std::size_t>(of.weights.size())},
                       static_cast<std::size_t>(x.cols()),
                       values(x).subspan(i * rows_of_sample(x), rows_of_sample(x)));
  }
  return x;
}

NetworkPass::Matrix NetworkPass::integrate(const Matrix& x) const {
  if (neuron_ == Neuron::non_spiking) return x;
  Matrix m(x.rows(), x.cols());
  spsn_membrane_reference<float>(spiking_shape(x), decay_, values(x), values(m), 1);
  return m;
}

NetworkPass::Matrix NetworkPass::adjoint(const Matrix& gradient) const {
  Matrix result(gradient.rows(), gradient.cols());
  spsn_membrane_adjoint<float>(spiking_shape(gradient), decay_, values(gradient), values(result), 1);
  return result;
}

void NetworkPass::fire(std::size_t layer, Matrix& state, Matrix& spikes) const {
  spikes.resize(state.rows(), state.cols());
  if (neuron_ == Neuron::non_spiking) {
    spikes = state.cwiseMax(0.0f);
    return;
  }
  Matrix membrane(state.rows(), state.cols());
  const SpikingShape shape = spiking_shape(state);
  if (neuron_ == Neuron::lif) {
    lif_reference<float>(shape, decay_, kThreshold, values(state), values(membrane), 1);
    spikes = (membrane.array() > static_cast<float>(kThreshold)).cast<float>();
  } else {
    spsn_membrane_reference<float>(shape, decay_, values(state), values(membrane), 1);
    if (neuron_ == Neuron::gumbel_softmax)
      draw_layer<Spiking::gumbel_softmax>(shape, samples_, seed_of(layer), membrane, spikes);
    else
      draw_layer<Spiking::sigmoid_bernoulli>(shape, samples_, seed_of(layer), membrane, spikes);
  }
  state.swap(membrane);
}

NetworkPass::Matrix NetworkPass::through_neurons(std::size_t layer, Matrix& of_spikes) const {
  const Matrix& state = membranes_[layer];
  const SpikingShape shape = spiking_shape(state);
  if (neuron_ == Neuron::non_spiking) return (state.array() > 0).select(of_spikes, 0.0f);
  if (neuron_ == Neuron::lif) {
    Matrix result(state.rows(), state.cols());
    lif_gradient_reference<float>(shape, decay_, kThreshold, values(state), values(of_spikes), values(result),
                                  1);
    return result;
  }
  if (neuron_ == Neuron::gumbel_softmax)
    multiply_slopes<Spiking::gumbel_softmax>(shape, samples_, seed_of(layer), state, of_spikes);
  else
    multiply_slopes<Spiking::sigmoid_bernoulli>(shape, samples_, seed_of(layer), state, of_spikes);
  return adjoint(of_spikes);
}

}  // namespace remeasure::kernels
