// SPDX-License-Identifier: Apache-2.0
#include "kernels/sequences/rnn_reference.h"

#include <testing/catch.h>

#include "kernels/sequences/testing/rnn_problem.h"

using namespace remeasure;
using namespace remeasure::kernels;
using kernels::testing::RnnProblem;

namespace {

constexpr Cell kCells[] = {Cell::elman, Cell::lstm, Cell::gru, Cell::slstm};

std::vector<double> wide(const std::vector<float>& values) {
  return {values.begin(), values.end()};
}

struct Doubles {
  std::vector<double> wx, weights, bias, first;
  explicit Doubles(const RnnProblem& p)
      : wx(wide(p.wx)), weights(wide(p.weights)), bias(wide(p.bias)), first(wide(p.first)) {}
};

/// sum(dh * h)
double loss(const RnnShape& shape, const Doubles& in, const std::vector<double>& dh) {
  std::vector<double> states(shape.states_size());
  rnn_forward_reference<double>(shape, in.wx, in.weights, in.bias, in.first, states);
  double sum = 0;
  for (std::size_t i = 0; i < dh.size(); ++i) sum += dh[i] * states[shape.slot() + i];
  return sum;
}

}  // namespace

TEST_CASE("one unit's cells are the formulas of the paper, written out", "[cpu]") {
  const auto sig = [](double x) { return 1 / (1 + std::exp(-x)); };
  const std::vector<float> wx{-2.0f, -0.5f, 0.7f, 0.2f}, weights{0.5f, -0.25f, 1.0f, 0.75f},
      bias{0.1f, 0.2f, -0.3f, 0.4f};
  const std::vector<float> first{0.5f, -0.4f, 0.3f, 0.25f};
  const auto run = [&](Cell cell) {
    const RnnShape shape{cell, 1, 1, 1, 1};
    const CellSizes s = shape.sizes();
    const auto some = [](const std::vector<float>& v, int n) {
      return std::span<const float>(v).first(static_cast<std::size_t>(n));
    };
    std::vector<double> states(shape.states_size());
    rnn_reference<double>(shape, some(wx, s.inputs), some(weights, s.recurrent), some(bias, s.biases),
                          some(first, s.states), states);
    return states;
  };
  const double g[4] = {-2.0 + 0.25 + 0.1f, -0.5 - 0.125 + 0.2f, 0.7f + 0.5 - 0.3f, 0.2f + 0.375 + 0.4f};
  CHECK(run(Cell::elman)[1] == Approx(std::tanh(g[0])));
  const double c = sig(g[1]) * -0.4f + sig(g[0]) * std::tanh(g[2]);
  CHECK(run(Cell::lstm)[3] == Approx(c));
  CHECK(run(Cell::lstm)[1] == Approx(sig(g[3]) * std::tanh(c)));
  const double reset = sig(-2.0 - 0.125 + 0.2f), update = sig(-0.5 + 0.5 - 0.3f);
  CHECK(run(Cell::gru)[1] ==
        Approx(update * 0.5 + (1 - update) * std::tanh(0.7f + 0.4f + reset * (0.25 + 0.1f))));
  const double l = std::log(sig(g[1])) + 0.25, m = std::max(g[0], l), gain = std::exp(g[0] - m),
               keep = std::exp(l - m);
  const double cs = keep * -0.4f + gain * std::tanh(g[2]), n = std::max(keep * 0.3f + gain, 1.0);
  const auto slstm = run(Cell::slstm);
  CHECK(keep * 0.3f + gain < 1);
  CHECK(slstm[7] == Approx(m));
  CHECK(slstm[5] == Approx(n));
  CHECK(slstm[3] == Approx(cs));
  CHECK(slstm[1] == Approx(sig(g[3]) * cs / n));
}

TEST_CASE("an sLSTM whose n is 0 takes its m from the input gate, also below the forget gate", "[cpu]") {
  const RnnShape shape{Cell::slstm, 1, 1, 1, 1};
  const std::vector<float> wx{-5.0f, 3.0f, 1.0f, 0.0f}, weights(4, 0.0f), bias(4, 0.0f), first{0, 0, 0, 2};
  std::vector<double> states(shape.states_size());
  rnn_reference<double>(shape, wx, weights, bias, first, states);
  CHECK(states[7] == -5.0);
  CHECK(states[3] == Approx(std::tanh(1.0)));
}

TEST_CASE(
    "threads, blocks of the batch and the order of heads change no bit; left-out entries are left alone",
    "[cpu]") {
  const RnnProblem p({Cell::lstm, 5, 7, 3, 16});
  std::vector<float> one(p.shape.states_size()), many(p.shape.states_size()),
      some(p.shape.states_size(), -7.0f);
  rnn_reference<float>(p.shape, p.wx, p.weights, p.bias, p.first, one, 1);
  rnn_reference<float>(p.shape, p.wx, p.weights, p.bias, p.first, many, 4);
  for (std::size_t i = 0; i < one.size(); ++i) REQUIRE(std::abs(one[i] - many[i]) < 1e-6f);
  const int entries[] = {0, 4};
  rnn_reference<float>(p.shape, p.wx, p.weights, p.bias, p.first, some, 1, entries);
  for (std::size_t i = 0; i < one.size(); ++i) {
    const std::size_t b = i / p.shape.hidden() % 5;
    if (b == 0 || b == 4) {
      REQUIRE(std::abs(some[i] - one[i]) < 1e-6f);
    } else {
      REQUIRE(some[i] == -7.0f);
    }
  }
}

TEST_CASE("gradients of all cells are finite differences in double", "[cpu]") {
  for (const Cell cell : kCells) {
    INFO(name_of(cell));
    const RnnProblem p({cell, 2, 4, 2, 3}, 7);
    const RnnShape& shape = p.shape;
    Doubles in(p);
    std::vector<double> dh(shape.slot() * 4);
    for (std::size_t i = 0; i < dh.size(); ++i) dh[i] = std::sin(static_cast<double>(i + 1));
    std::vector<double> states(shape.states_size());
    rnn_forward_reference<double>(shape, in.wx, in.weights, in.bias, in.first, states);
    const auto exact = rnn_backward_reference<double>(shape, in.wx, in.weights, in.bias, states, dh);
    const auto compare = [&](std::vector<double>& values, const std::vector<double>& gradient,
                             std::size_t begin, std::size_t end) {
      constexpr double kStep = 1e-5;
      for (std::size_t i = begin; i < end; ++i) {
        const double value = values[i];
        values[i] = value + kStep;
        const double above = loss(shape, in, dh);
        values[i] = value - kStep;
        const double below = loss(shape, in, dh);
        values[i] = value;
        INFO("element " << i);
        REQUIRE(std::abs((above - below) / (2 * kStep) - gradient[i]) < 1e-6);
      }
    };
    compare(in.wx, exact.wx, 0, in.wx.size());
    compare(in.weights, exact.weights, 0, in.weights.size());
    compare(in.bias, exact.bias, 0, in.bias.size());
    // n = 0 is a corner of sLSTM: the entry that begins with nothing is left out there.
    for (std::size_t i = 0; i < in.first.size(); ++i) {
      if (cell != Cell::slstm || i / shape.hidden() % 2 == 1) compare(in.first, exact.first, i, i + 1);
    }
  }
}
