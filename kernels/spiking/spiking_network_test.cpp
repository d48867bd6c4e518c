// SPDX-License-Identifier: Apache-2.0
#include "kernels/spiking/spiking_network.h"

#include <testing/catch.h>
#include <cmath>

#include "kernels/device/philox.h"

using namespace remeasure;
using namespace remeasure::kernels;

namespace {

const Decay kDecay{std::exp(-1.0 / 5), std::exp(-1.0 / 5)};

/// Samples that say their class by when unit 0 and unit 1 fire: first 0 then 1, or first 1 then 0. Rates are
/// equal.
struct Order {
  std::vector<std::uint16_t> time, unit;
  std::vector<std::int64_t> offset = {0};
  std::vector<std::uint8_t> label;

  explicit Order(std::size_t samples) {
    for (std::size_t sample = 0; sample < samples; ++sample) {
      const auto of_class = static_cast<std::uint8_t>(sample % 2);
      const auto shift = static_cast<std::uint16_t>(philox(9, sample).word[0] % 4);
      for (std::uint16_t t = 0; t < 24; ++t) {
        if (t % 12 < shift) continue;
        time.push_back(t);
        unit.push_back((t < 12) == (of_class == 0) ? 0 : 1);
      }
      offset.push_back(static_cast<std::int64_t>(time.size()));
      label.push_back(of_class);
    }
  }
  SpikeEvents events() const { return {time, unit, offset, label}; }
};

}  // namespace

TEST_CASE("event currents are the product of binary spikes with the weights, and gradients its transpose",
          "[cpu]") {
  const std::vector<std::uint16_t> time = {0, 2, 2, 5}, unit = {1, 0, 1, 0};
  const std::vector<std::int64_t> offset = {0, 4};
  const std::vector<std::uint8_t> label = {0};
  const SpikeEvents events{time, unit, offset, label};
  const std::vector<float> weights = {1, 2, 3, 10, 20, 30};  // [2, 3]
  std::vector<float> out(9, 0.5f);                           // 3 steps: the event at 5 is beyond
  add_event_currents(events, 0, 3, weights, 3, out);
  CHECK(out == std::vector<float>{10.5f, 20.5f, 30.5f, 0.5f, 0.5f, 0.5f, 11.5f, 22.5f, 33.5f});
  std::vector<float> gradient(6, 0.0f);
  add_event_gradients(events, 0, 3, std::vector<float>{1, 2, 3, 4, 5, 6, 7, 8, 9}, 3, gradient);
  CHECK(gradient == std::vector<float>{7, 8, 9, 8, 10, 12});
}

TEST_CASE("gradients of the smooth networks are finite differences", "[cpu]") {
  // Without hidden layers every neuron's network is its output membrane, without spikes; relu is smooth
  // nearly everywhere.
  const Order data(6);
  const auto check = [&](Neuron neuron, int layers) {
    const NetworkShape shape{.units = 2, .steps = 24, .hidden = 5, .layers = layers, .classes = 2};
    std::vector<float> parameters = initial_parameters(shape, 4);
    for (float& parameter : parameters) parameter *= 3;
    const LossAndGradient at = loss_and_gradient(neuron, shape, kDecay, 1, data.events(), parameters);
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      const float before = parameters[i];
      parameters[i] = before + 0x1p-7f;
      const double above = loss_and_gradient(neuron, shape, kDecay, 1, data.events(), parameters).loss;
      parameters[i] = before - 0x1p-7f;
      const double below = loss_and_gradient(neuron, shape, kDecay, 1, data.events(), parameters).loss;
      parameters[i] = before;
      INFO("parameter " << i << " of " << parameters.size());
      CHECK(std::abs((above - below) * 64 - static_cast<double>(at.gradient[i])) <
            2e-3 * (1 + std::abs(static_cast<double>(at.gradient[i]))));
    }
  };
  check(Neuron::lif, 0);
  check(Neuron::sigmoid_bernoulli, 0);
  check(Neuron::non_spiking, 2);
}

TEST_CASE("spiking networks learn an order in time that a rate doesn't show", "[cpu]") {
  const Order data(192);
  const NetworkShape shape{.units = 2, .steps = 24, .hidden = 16, .layers = 1, .classes = 2};
  const TrainingPlan plan{.epochs = 40, .batch = 32, .learning_rate = 1e-2, .decay = kDecay, .seed = 2};
  for (const Neuron neuron : {Neuron::lif, Neuron::sigmoid_bernoulli, Neuron::gumbel_softmax}) {
    const Trained trained = train_spiking_network(neuron, shape, plan, data.events(), 128);
    INFO("neuron " << static_cast<int>(neuron) << ", losses " << trained.losses.front() << " to "
                   << trained.losses.back());
    CHECK(trained.test_accuracy > 0.8);
    CHECK(trained.losses.back() < 0.8 * trained.losses.front());
    CHECK(trained.firing_rate > 0);
    CHECK(trained.firing_rate < 1);
  }
  const Trained rates = train_spiking_network(Neuron::non_spiking, shape, plan, data.events(), 128);
  CHECK(rates.test_accuracy < 0.7);  // a sum over steps of a function of each step can't see their order
}

TEST_CASE("training is the same on any number of threads, and another with another seed", "[cpu]") {
  const Order data(40);
  const NetworkShape shape{.units = 2, .steps = 24, .hidden = 8, .layers = 1, .classes = 2};
  TrainingPlan plan{.epochs = 3, .batch = 16, .learning_rate = 1e-2, .decay = kDecay, .seed = 2};
  const Trained first = train_spiking_network(Neuron::sigmoid_bernoulli, shape, plan, data.events(), 32);
  CHECK(train_spiking_network(Neuron::sigmoid_bernoulli, shape, plan, data.events(), 32).losses ==
        first.losses);
  plan.seed = 3;
  CHECK(train_spiking_network(Neuron::sigmoid_bernoulli, shape, plan, data.events(), 32).losses !=
        first.losses);
}

TEST_CASE("a network that doesn't fit its events is refused", "[cpu]") {
  const Order data(4);
  NetworkShape shape{.units = 1, .steps = 24, .hidden = 4, .layers = 1, .classes = 2};
  CHECK_THROWS_WITH(train_spiking_network(Neuron::lif, shape, {}, data.events(), 2),
                    Catch::Matchers::ContainsSubstring("an event on unit 1 of 1"));
  shape.units = 2;
  CHECK_THROWS_WITH(train_spiking_network(Neuron::lif, shape, {}, data.events(), 5),
                    Catch::Matchers::ContainsSubstring("trained on 5 of 4"));
}
