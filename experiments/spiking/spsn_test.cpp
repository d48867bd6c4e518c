// SPDX-License-Identifier: Apache-2.0
//
// That the checks of spsn can fail: which steps are compared, and which spikes count as wrong.
#include <testing/catch.h>

#include "experiments/spiking/spsn_layer.h"

using namespace remeasure;
using namespace remeasure::experiments::spsn_layer;

namespace {

const SpikingShape kShape{2, 50, 64};

std::vector<float> currents() {
  std::vector<float> values(kShape.values());
  const datasets::Philox random(3);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(random.normal(i));
  return values;
}

}  // namespace

TEST_CASE("64 neurons are compared, the first and the last among them, over all steps", "[cpu]") {
  const Columns columns(kShape);
  REQUIRE(columns.size() == 64);
  CHECK(columns.place(0, 0) == 0);
  CHECK(columns.place(63, 49) == kShape.values() - 1);
  const bench::OracleOutput oracle = columns.oracle(std::vector<double>(columns.shape().values()));
  CHECK(oracle.indices.size() == 64 * 50);
  const std::vector<float> layer = currents(), gathered = columns.gather(layer);
  for (std::size_t i = 0; i < gathered.size(); ++i) REQUIRE(gathered[i] == layer[oracle.indices[i]]);
  CHECK(Columns({1, 5, 3}).size() == 3);
}

TEST_CASE("a neuron is compared until its membrane comes near the threshold, others to the end", "[cpu]") {
  const SpikingShape shape{1, 4, 2};
  const Columns columns(shape);
  const FirmSteps firm = firm_steps(shape, columns, {0.2, 0.3, 1.00005, 2.0, 0.1, 0.5, 0.2, 3.0});
  CHECK(firm.until == std::vector<int>{1, 4});
  CHECK(firm.compared == 5.0 / 8);
  CHECK(firm(0));
  CHECK_FALSE(firm(2));  // step 1 of neuron 0
  CHECK_FALSE(firm(6));
  CHECK(firm(7));
}

TEST_CASE("a spike that isn't its membrane's draw is found", "[cpu]") {
  const Columns columns(kShape);
  const SpikingShape one = columns.shape();
  std::vector<double> membrane(one.values());
  kernels::spsn_membrane_reference<double>(one, kDecay, columns.gather(currents()), membrane);
  std::vector<double> words(kShape.spike_words(), 0.0);
  for (int t = 0; t < kShape.steps; ++t) {
    for (std::size_t column = 0; column < columns.size(); ++column) {
      const auto random = kernels::spike_random<Spiking::sigmoid_bernoulli>(kNoiseSeed, columns.entry(column),
                                                                            t, columns.neuron(column));
      const double m = membrane[static_cast<std::size_t>(t) * columns.size() + column];
      if (!kernels::draw_spike<Spiking::sigmoid_bernoulli>(static_cast<float>(m), random, t % 4)) continue;
      const std::size_t row = columns.entry(column) * 50 + static_cast<std::size_t>(t);
      words[row * 2 + static_cast<std::size_t>(columns.neuron(column)) / 32] +=
          std::ldexp(1.0, columns.neuron(column) % 32);
    }
  }
  const SpikeAgreement right = compare_spikes(kShape, columns, membrane, words);
  CHECK(right.compared == 64 * 50);
  CHECK(right.wrong == 0);
  CHECK(right.undecided < 10);
  const std::vector<double> silent(words.size(), 0.0);
  CHECK(compare_spikes(kShape, columns, membrane, silent).wrong > 1000);
  const auto word = static_cast<std::uint32_t>(words[0]);
  words[0] = static_cast<double>(word ^ 1u);  // neuron 0 at step 0
  CHECK(compare_spikes(kShape, columns, membrane, words).wrong == 1);
}
