// SPDX-License-Identifier: Apache-2.0
#include "kernels/spiking/spiking_network.h"

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>
#include <string>

#include "kernels/parallel_tasks.h"
#include "kernels/spiking/spike_draw.h"
#include "kernels/spiking/spsn_reference.h"

namespace remeasure::kernels {
namespace {

using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Map = Eigen::Map<Matrix>;
using ConstMap = Eigen::Map<const Matrix>;

constexpr double kThreshold = 1;
constexpr int kPartsOfBatch = 8;  // however many threads there are, so that sums have one order

std::span<const float> values(const Matrix& m) {
  return {m.data(), static_cast<std::size_t>(m.size())};
}
std::span<float> values(Matrix& m) {
  return {m.data(), static_cast<std::size_t>(m.size())};
}

/// Where each layer's weights and biases lie in the parameters.
struct Layout {
  std::vector<int> inputs, outputs;
  std::vector<std::size_t> begin;
  std::size_t size = 0;

  explicit Layout(const NetworkShape& shape) {
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

/// One layer's view of parameters or gradients.
template <class Float>
struct LayerOf {
  using Mapped = std::conditional_t<std::is_const_v<Float>, ConstMap, Map>;
  Mapped weights, bias;
  LayerOf(const Layout& layout, std::size_t layer, std::span<Float> all)
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

/// Some samples of a batch through the network and back, on one thread.
class Pass {
 public:
  Pass(Neuron neuron, const NetworkShape& shape, const Decay& decay, std::uint64_t noise_seed,
       const SpikeEvents& events, std::span<const std::size_t> samples, std::span<const float> parameters)
      : neuron_(neuron),
        shape_(shape),
        decay_(decay),
        noise_seed_(noise_seed),
        events_(events),
        samples_(samples),
        parameters_(parameters),
        layout_(shape) {}

  /// Mean over the steps of the output layer's membrane: [samples, classes].
  Matrix forward() {
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

  /// Adds the gradient of a loss with this gradient by the logits.
  void backward(const Matrix& logit_gradient, std::span<float> gradient) {
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

  double spikes() const {
    double sum = 0;
    for (const Matrix& layer : spikes_) sum += layer.cast<double>().sum();
    return sum;
  }

 private:
  std::size_t rows_of_sample(const Matrix& m) const {
    return static_cast<std::size_t>(shape_.steps) * static_cast<std::size_t>(m.cols());
  }
  SpikingShape spiking_shape(const Matrix& m) const {
    return {static_cast<int>(samples_.size()), shape_.steps, static_cast<int>(m.cols())};
  }
  std::uint64_t seed_of(std::size_t layer) const { return noise_seed_ * 1'000 + layer; }

  Matrix current(std::size_t layer) const {
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

  Matrix integrate(const Matrix& x) const {
    if (neuron_ == Neuron::non_spiking) return x;
    Matrix m(x.rows(), x.cols());
    spsn_membrane_reference<float>(spiking_shape(x), decay_, values(x), values(m), 1);
    return m;
  }
  Matrix adjoint(const Matrix& gradient) const {
    Matrix result(gradient.rows(), gradient.cols());
    spsn_membrane_adjoint<float>(spiking_shape(gradient), decay_, values(gradient), values(result), 1);
    return result;
  }

  /// `state` is the current, and becomes what the way back needs: the membrane, or the current itself.
  void fire(std::size_t layer, Matrix& state, Matrix& spikes) const {
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

  Matrix through_neurons(std::size_t layer, Matrix& of_spikes) const {
    const Matrix& state = membranes_[layer];
    const SpikingShape shape = spiking_shape(state);
    if (neuron_ == Neuron::non_spiking) return (state.array() > 0).select(of_spikes, 0.0f);
    if (neuron_ == Neuron::lif) {
      Matrix result(state.rows(), state.cols());
      lif_gradient_reference<float>(shape, decay_, kThreshold, values(state), values(of_spikes),
                                    values(result), 1);
      return result;
    }
    if (neuron_ == Neuron::gumbel_softmax)
      multiply_slopes<Spiking::gumbel_softmax>(shape, samples_, seed_of(layer), state, of_spikes);
    else
      multiply_slopes<Spiking::sigmoid_bernoulli>(shape, samples_, seed_of(layer), state, of_spikes);
    return adjoint(of_spikes);
  }

  Neuron neuron_;
  const NetworkShape& shape_;
  const Decay& decay_;
  std::uint64_t noise_seed_;
  const SpikeEvents& events_;
  std::span<const std::size_t> samples_;
  std::span<const float> parameters_;
  Layout layout_;
  std::vector<Matrix> membranes_, spikes_;  // of the hidden layers
};

struct BatchResult {
  double loss = 0;  // summed over the samples
  std::size_t right = 0;
  double spikes = 0;
};

/// Cross entropy of a row of logits; turns the row into its gradient.
double cross_entropy(Eigen::Ref<Matrix> logits, int label) {
  const float largest = logits.maxCoeff();
  const Matrix shifted = (logits.array() - largest).exp().matrix();
  const double sum = shifted.cast<double>().sum();
  const double loss = std::log(sum) - static_cast<double>(logits(0, label) - largest);
  logits = shifted / static_cast<float>(sum);
  logits(0, label) -= 1;
  return loss;
}

struct Network {
  Neuron neuron;
  const NetworkShape& shape;
  const Decay& decay;
  const SpikeEvents& events;

  /// One batch; `gradient` (empty: only test) receives the mean over the batch.
  BatchResult run(std::span<const std::size_t> samples, std::uint64_t noise_seed,
                  std::span<const float> parameters, std::span<float> gradient) const {
    const std::size_t each = (samples.size() + kPartsOfBatch - 1) / kPartsOfBatch;
    const int parts = static_cast<int>((samples.size() + each - 1) / each);
    std::vector<BatchResult> results(static_cast<std::size_t>(parts));
    std::vector<std::vector<float>> sums(static_cast<std::size_t>(parts),
                                         std::vector<float>(gradient.size(), 0.0f));
    for_each_row_block(parts, 1, 0, [&](int index, int, int) {
      const auto part = static_cast<std::size_t>(index);
      const auto mine = samples.subspan(part * each, std::min(each, samples.size() - part * each));
      Pass pass(neuron, shape, decay, noise_seed, events, mine, parameters);
      Matrix logits = pass.forward();
      for (std::size_t i = 0; i < mine.size(); ++i) {
        const auto row = static_cast<Eigen::Index>(i);
        Eigen::Index guess = 0;
        logits.row(row).maxCoeff(&guess);
        results[part].right += guess == events.label[mine[i]] ? 1 : 0;
        results[part].loss += cross_entropy(logits.middleRows(row, 1), events.label[mine[i]]);
      }
      results[part].spikes = pass.spikes();
      if (!gradient.empty()) pass.backward(logits / static_cast<float>(samples.size()), sums[part]);
    });
    BatchResult total;
    for (const BatchResult& result : results) {
      total.loss += result.loss;
      total.right += result.right;
      total.spikes += result.spikes;
    }
    std::fill(gradient.begin(), gradient.end(), 0.0f);
    for (const std::vector<float>& sum : sums) {
      for (std::size_t i = 0; i < gradient.size(); ++i) gradient[i] += sum[i];
    }
    return total;
  }
};

class Adamax {
 public:
  Adamax(std::size_t size, double rate) : rate_(rate), mean_(size, 0.0f), largest_(size, 0.0f) {}
  void step(std::span<const float> gradient, std::span<float> parameters) {
    constexpr float kFirst = 0.9f, kSecond = 0.999f, kEpsilon = 1e-8f;
    const auto rate = static_cast<float>(rate_ / (1 - std::pow(0.9, ++steps_)));
    for (std::size_t i = 0; i < gradient.size(); ++i) {
      mean_[i] = kFirst * mean_[i] + (1 - kFirst) * gradient[i];
      largest_[i] = std::max(kSecond * largest_[i], std::abs(gradient[i]) + kEpsilon);
      parameters[i] -= rate * mean_[i] / largest_[i];
    }
  }

 private:
  double rate_;
  int steps_ = 0;
  std::vector<float> mean_, largest_;
};

void require_fit(const NetworkShape& shape, const SpikeEvents& events, std::size_t train) {
  const bool positive =
      shape.units > 0 && shape.steps > 0 && shape.hidden > 0 && shape.layers >= 0 && shape.classes > 1;
  if (!positive || events.offset.size() != events.samples() + 1 || train == 0 || train > events.samples()) {
    throw std::invalid_argument("spiking network: " + std::to_string(shape.units) + " units, " +
                                std::to_string(shape.steps) + " steps, " + std::to_string(shape.classes) +
                                " classes, trained on " + std::to_string(train) + " of " +
                                std::to_string(events.samples()) + " samples");
  }
  for (const std::uint16_t unit : events.unit) {
    if (unit >= shape.units)
      throw std::invalid_argument("spiking network: an event on unit " + std::to_string(unit) + " of " +
                                  std::to_string(shape.units));
  }
  for (const std::uint8_t label : events.label) {
    if (label >= shape.classes)
      throw std::invalid_argument("spiking network: label " + std::to_string(label) + " of " +
                                  std::to_string(shape.classes) + " classes");
  }
}

/// A permutation of [0, count) as a function of (seed, epoch).
std::vector<std::size_t> shuffled(std::size_t count, std::uint64_t seed, int epoch) {
  std::vector<std::size_t> order(count);
  std::iota(order.begin(), order.end(), std::size_t{0});
  for (std::size_t i = count; i > 1; --i) {
    const std::uint64_t word = philox(seed, i, 1'000'000u + static_cast<std::uint64_t>(epoch)).word[0];
    std::swap(order[i - 1], order[static_cast<std::size_t>(word * i >> 32)]);
  }
  return order;
}

}  // namespace

std::vector<float> initial_parameters(const NetworkShape& shape, std::uint64_t seed) {
  const Layout layout(shape);
  std::vector<float> parameters(layout.size);
  for (std::size_t layer = 0; layer < layout.layers(); ++layer) {
    // PyTorch's linear layer: uniform within 1 / sqrt(inputs).
    const float bound = 1.0f / std::sqrt(static_cast<float>(layout.inputs[layer]));
    const std::size_t end = layer + 1 < layout.layers() ? layout.begin[layer + 1] : layout.size;
    for (std::size_t i = layout.begin[layer]; i < end; ++i) {
      parameters[i] = bound * (2.0f * uniform_float(philox(seed, i, 77).word[0]) - 1.0f);
    }
  }
  return parameters;
}

LossAndGradient loss_and_gradient(Neuron neuron, const NetworkShape& shape, const Decay& decay,
                                  std::uint64_t noise_seed, const SpikeEvents& events,
                                  std::span<const float> parameters) {
  require_fit(shape, events, events.samples());
  std::vector<std::size_t> all(events.samples());
  std::iota(all.begin(), all.end(), std::size_t{0});
  LossAndGradient result;
  result.gradient.resize(Layout(shape).size);
  const BatchResult batch =
      Network{neuron, shape, decay, events}.run(all, noise_seed, parameters, result.gradient);
  result.loss = batch.loss / static_cast<double>(all.size());
  return result;
}

Trained train_spiking_network(Neuron neuron, const NetworkShape& shape, const TrainingPlan& plan,
                              const SpikeEvents& events, std::size_t train) {
  require_fit(shape, events, train);
  const Network network{neuron, shape, plan.decay, events};
  std::vector<float> parameters = initial_parameters(shape, plan.seed);
  std::vector<float> gradient(parameters.size());
  Adamax optimizer(parameters.size(), plan.learning_rate);
  const auto batch = static_cast<std::size_t>(plan.batch);
  Trained result;
  for (int epoch = 0; epoch < plan.epochs; ++epoch) {
    const std::vector<std::size_t> order = shuffled(train, plan.seed, epoch);
    BatchResult total;
    for (std::size_t first = 0; first < train; first += batch) {
      const auto part = std::span(order).subspan(first, std::min(batch, train - first));
      const BatchResult one =
          network.run(part, plan.seed * 10'000 + static_cast<std::uint64_t>(epoch), parameters, gradient);
      optimizer.step(gradient, parameters);
      total.loss += one.loss;
      total.right += one.right;
    }
    result.losses.push_back(total.loss / static_cast<double>(train));
    result.train_accuracy = static_cast<double>(total.right) / static_cast<double>(train);
  }
  std::vector<std::size_t> tested(events.samples() - train);
  std::iota(tested.begin(), tested.end(), train);
  if (!tested.empty()) {
    const BatchResult total = network.run(tested, plan.seed * 10'000 + 9'999, parameters, {});
    const double neurons = static_cast<double>(tested.size()) * shape.steps * shape.hidden * shape.layers;
    result.test_accuracy = static_cast<double>(total.right) / static_cast<double>(tested.size());
    result.firing_rate = total.spikes / neurons;
  }
  return result;
}

}  // namespace remeasure::kernels
