// SPDX-License-Identifier: Apache-2.0
#include "kernels/spiking/spiking_network.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>
#include <string>

#include "kernels/device/philox.h"
#include "kernels/parallel_tasks.h"
#include "kernels/spiking/network_pass.h"

namespace remeasure::kernels {
namespace {

using Matrix = NetworkPass::Matrix;

constexpr int kPartsOfBatch = 8;  // however many threads there are, so that sums have one order

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
      NetworkPass pass(neuron, shape, decay, noise_seed, events, mine, parameters);
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
  const NetworkLayout layout(shape);
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
  result.gradient.resize(NetworkLayout(shape).size);
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
