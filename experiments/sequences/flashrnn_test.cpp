// SPDX-License-Identifier: Apache-2.0
//
// What must hold of flashrnn without a GPU. The traffic of R is counted where accesses are: kernels_test,
// "the fused layer reads R once", "the alternating layer reads R at every step".
#include <testing/catch.h>

#include "bench/test_case.h"
#include "experiments/sequences/flashrnn_reports.h"
#include "kernels/sequences/constrint.h"
#include "kernels/sequences/testing/rnn_problem.h"
#include "kernels/simt/engine.h"

using namespace remeasure;
using namespace remeasure::experiments;
using namespace remeasure::experiments::flashrnn_layer;
using kernels::testing::distance;
using kernels::testing::RnnProblem;
using remeasure::testing::TestBench;

namespace {

template <class Element>
std::vector<Element> fused(TestBench<Simt>& bench, const RnnProblem& p, const kernels::RnnFusedPlan& plan) {
  return kernels::testing::run_layer<Element>(
      bench, p, [&](auto& b, auto wx, auto weights, auto bias, auto first, auto states) {
        kernels::rnn_fused<Simt, Element>(b.stream(), p.shape, plan, wx, weights, bias, first, states);
      });
}

template <class Element>
std::vector<Element> alternating(TestBench<Simt>& bench, const RnnProblem& p) {
  return kernels::testing::run_layer<Element>(
      bench, p, [&](auto& b, auto wx, auto weights, auto bias, auto first, auto states) {
        auto running = b.template output<float>(p.shape.first_size());
        auto products =
            b.template output<Element>(p.shape.products_size() / static_cast<std::size_t>(p.shape.steps));
        kernels::OwnRnnProducts<Simt, Element> by(b.stream(), p.shape, weights,
                                                  products.size() / static_cast<std::size_t>(p.shape.heads));
        kernels::rnn_alternating<Simt, Element>(b.stream(), p.shape, by, wx, bias, first,
                                                {running.span(), products.span()}, states);
      });
}

datasets::StateTracking tracking(bench::testing::TemporaryFolder& folder, const char* group,
                                 std::size_t steps) {
  datasets::Store store(folder.path());
  return read_state_tracking(
      *store.open(datasets::state_tracking_definition, datasets::state_tracking(group, 8, steps, 3)).reader);
}

}  // namespace

TEST_CASE("four cells: fused, alternating and the double oracle are one layer over 64 steps", "[simt]") {
  for (const Cell cell : {Cell::elman, Cell::lstm, Cell::gru, Cell::slstm}) {
    INFO(name_of(cell));
    const RnnProblem p({cell, 2, 64, 2, 32});
    const std::vector<double> exact = p.states();
    TestBench<Simt> bench;
    const auto of_blocks = kernels::rnn_fused_plan(p.shape, 2, 1, 1, 1);  // two blocks a head
    CHECK(distance(fused<float>(bench, p, kernels::rnn_fused_plan(p.shape, 4)), exact, exact.size()) < 1e-5);
    CHECK(distance(alternating<float>(bench, p), exact, exact.size()) < 1e-5);
    CHECK(distance(fused<bfloat16>(bench, p, kernels::rnn_fused_plan(p.shape, 2)), exact, exact.size()) <
          2e-2);
    CHECK(distance(fused<bfloat16>(bench, p, of_blocks), exact, exact.size()) < 2e-2);
    CHECK(distance(alternating<bfloat16>(bench, p), exact, exact.size()) < 2e-2);
  }
}

TEST_CASE("control: without its grid barrier the layer of two blocks differs between schedules", "[simt]") {
  const RnnProblem p({Cell::lstm, 3, 8, 1, 32});
  const auto states = [&](std::uint64_t seed, bool synchronised) {
    TestBench<Simt> bench({.schedule_seed = seed});
    auto plan = kernels::rnn_fused_plan(p.shape, 2, 1, 1, 1);
    plan.synchronised = synchronised;
    const auto found = fused<bfloat16>(bench, p, plan);
    std::vector<std::uint16_t> bits;
    for (const bfloat16 x : found) bits.push_back(x.bits);
    return bits;
  };
  const auto right = states(0, true);
  int wrong = 0;
  for (std::uint64_t seed = 0; seed < 8; ++seed) {
    CHECK(states(seed, true) == right);
    wrong += states(seed, false) != right ? 1 : 0;
  }
  CHECK(wrong > 0);
}

TEST_CASE("a head's input changes no bit of another head, nor an entry's of another entry", "[simt]") {
  RnnProblem p({Cell::gru, 2, 8, 2, 16});
  TestBench<Simt> bench;
  const auto before = fused<bfloat16>(bench, p, kernels::rnn_fused_plan(p.shape, 2));
  for (std::size_t i = 0; i < p.wx.size() / 2; ++i) {
    if (i / 16 % 2 == 0) p.wx[i] += 1;  // entry 0, head 0
  }
  const auto after = fused<bfloat16>(bench, p, kernels::rnn_fused_plan(p.shape, 2));
  std::size_t changed = 0;
  for (std::size_t i = p.shape.slot(); i < before.size(); ++i) {
    const bool own = i / 16 % 4 == 0;
    changed += before[i].bits != after[i].bits ? 1 : 0;
    if (!own) REQUIRE(before[i].bits == after[i].bits);
  }
  CHECK(changed > 50);
}

TEST_CASE("the oracle of input gradients is the finite difference of sum(dh h), for the compared entries",
          "[cpu]") {
  const RnnProblem p({Cell::lstm, 3, 3, 1, 2}, 5);
  const LayerInputs in{p.wx, p.weights, p.bias, p.first};
  const OracleOutput oracle = input_gradient_oracle(p.shape, in);
  REQUIRE(oracle.indices.size() == 2 * p.wx.size() / 3);  // entries 0 and 2
  const std::vector<float> dh = output_gradient(p.shape);
  const auto loss = [&](const std::vector<double>& wx) {
    const std::vector<double> weights(p.weights.begin(), p.weights.end()), bias(p.bias.begin(), p.bias.end()),
        first(p.first.begin(), p.first.end());
    std::vector<double> states(p.shape.states_size());
    kernels::rnn_forward_reference<double>(p.shape, wx, weights, bias, first, states);
    double sum = 0;
    for (std::size_t i = 0; i < dh.size(); ++i)
      sum += static_cast<double>(dh[i]) * states[p.shape.slot() + i];
    return sum;
  };
  std::vector<double> wx(p.wx.begin(), p.wx.end());
  for (std::size_t i = 0; i < oracle.indices.size(); ++i) {
    double& x = wx[oracle.indices[i]];
    const double value = x;
    x = value + 1e-5;
    const double above = loss(wx);
    x = value - 1e-5;
    const double below = loss(wx);
    x = value;
    REQUIRE(std::abs((above - below) / 2e-5 - oracle.values[i]) < 1e-6);
  }
}

TEST_CASE("what is compared of a layer: first and last entry, early, spread and last steps, in both layouts",
          "[cpu]") {
  const RnnShape shape{Cell::lstm, 5, 1000, 3, 16};
  const Sample sample(shape);
  CHECK(sample.entries == std::vector<int>{0, 4});
  CHECK(sample.times.front() == 1);
  CHECK(sample.times.back() == 1000);
  CHECK(sample.times.size() > 64);
  std::vector<double> states(shape.states_size());
  for (std::size_t i = 0; i < states.size(); ++i) states[i] = static_cast<double>(i);
  const OracleOutput all = sample.oracle(states, false), hidden = sample.oracle(states, true);
  for (std::size_t i = 0; i < all.values.size(); ++i)
    REQUIRE(all.values[i] == static_cast<double>(all.indices[i]));
  for (std::size_t i = 0; i < hidden.values.size(); ++i)
    REQUIRE(hidden.values[i] == static_cast<double>(hidden.indices[i] + shape.slot()));
  CHECK(hidden.indices.back() == shape.slot() * 1000 - 1);
}

TEST_CASE("cuDNN's inputs are the same layer: W x is what the gates get", "[cpu]") {
  const RnnShape shape{Cell::lstm, 2, 3, 1, 24};
  std::vector<float> x(2 * 3 * 24);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i % 61) / 8;
  const LayerInputs in{datasets::gate_inputs(x, 4, 1, 24), std::vector<float>(shape.weights_size()),
                       std::vector<float>(shape.bias_size()), std::vector<float>(shape.first_size())};
  const CudnnInputs own(shape, in);
  for (std::size_t b = 0; b < 2; ++b) {
    for (std::size_t t = 0; t < 3; ++t) {
      for (std::size_t row = 0; row < 4 * 24; ++row) {
        float sum = 0;
        for (std::size_t d = 0; d < 24; ++d)
          sum += own.input[row * 24 + d] * static_cast<float>(own.x[(t * 2 + b) * 24 + d]);
        REQUIRE(sum == in.wx[(b * 3 + t) * 4 * 24 + row]);
      }
    }
  }
}

TEST_CASE("automata of parity and S5 never err over 4096 steps, on the kernel neither; a wrong weight does",
          "[simt]") {
  bench::testing::TemporaryFolder folder;
  const datasets::StateTracking parity = tracking(folder, "parity", 4096);
  CHECK(flashrnn_tracking::automaton_accuracy(Cell::elman, parity) == 1);
  CHECK(flashrnn_tracking::automaton_accuracy(Cell::lstm, parity) == 1);
  const double linear = flashrnn_tracking::linear_accuracy(parity, 12);
  CHECK(linear > 0.45);
  CHECK(linear < 0.55);
  CHECK(flashrnn_tracking::automaton_accuracy(Cell::elman, tracking(folder, "s5", 512)) == 1);

  auto layer = flashrnn_tracking::automaton_layer(Cell::lstm, parity, 8, 256);
  RnnProblem p(layer.shape);
  p.wx = layer.wx, p.weights = layer.weights, p.bias = layer.bias, p.first = layer.first;
  TestBench<Simt> bench;
  const auto plan = kernels::rnn_fused_plan(layer.shape, 2);
  CHECK(flashrnn_tracking::accuracy(layer, parity, fused<bfloat16>(bench, p, plan)) == 1);
  for (std::size_t i = 0; i < p.weights.size(); ++i) {
    if (p.weights[i] != 0) {
      p.weights[i] = -p.weights[i];
      break;
    }
  }
  CHECK(flashrnn_tracking::accuracy(layer, parity, fused<bfloat16>(bench, p, plan)) < 0.9);
}

TEST_CASE("ConstrINT: tilings hold, 91 has its divisors, and 2976 units have none", "[cpu]") {
  const kernels::TilingModel h200{
      .gates = 4, .batch = 16, .hidden = 768, .multiprocessors = 132, .shared_bytes = 232448};
  CHECK_FALSE(kernels::tilings_of(h200).empty());
  CHECK(kernels::tilings_of(h200, true).empty());  // not in one block
  CHECK(kernels::tilings_of(
            {.gates = 1, .batch = 8, .hidden = 2976, .multiprocessors = 108, .shared_bytes = 165000})
            .empty());
  CHECK(kernels::constrint::solve(kernels::constrint::Problem::parse("91 % X == 0; X % 7 == 0;"))
            .found.size() == 2);
}
