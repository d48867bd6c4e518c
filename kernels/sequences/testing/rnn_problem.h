// SPDX-License-Identifier: Apache-2.0
//
// Layers for the tests of the recurrent kernels: inputs that f32 and bf16 both represent, and their states in
// double.
#pragma once

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "kernels/device/float16.h"
#include "kernels/device/testing/test_bench.h"
#include "kernels/sequences/rnn.h"
#include "kernels/sequences/rnn_reference.h"

namespace remeasure::kernels::testing {

struct RnnProblem {
  RnnShape shape;
  std::vector<float> wx, weights, bias, first;

  explicit RnnProblem(const RnnShape& of, unsigned seed = 1) : shape(of) {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal;
    const auto fill = [&](std::size_t size, float scale) {
      std::vector<float> values(size);
      for (float& x : values) x = static_cast<float>(bfloat16(scale * normal(random)));
      return values;
    };
    wx = fill(shape.wx_size(), 1.0f);
    weights = fill(shape.weights_size(), 1.0f / std::sqrt(static_cast<float>(shape.dim)));
    bias = fill(shape.bias_size(), 0.5f);
    first = fill(shape.first_size(), 0.5f);
    if (shape.cell != Cell::slstm) return;
    // Of sLSTM n is 0 or at least 1: even entries begin with nothing, odd ones in the middle.
    for (std::size_t i = 0; i < shape.slot(); ++i) {
      const bool empty = i / shape.hidden() % 2 == 0;
      for (std::size_t s = 0; s < 4 && empty; ++s) first[s * shape.slot() + i] = 0;
      if (!empty) first[2 * shape.slot() + i] = 1 + std::abs(first[2 * shape.slot() + i]);
    }
  }

  std::vector<double> states() const {
    std::vector<double> result(shape.states_size());
    rnn_reference<double>(shape, wx, weights, bias, first, result, 1);
    return result;
  }
  /// h at all times of these states.
  std::vector<double> hidden(const std::vector<double>& all) const {
    return {all.begin(), all.begin() + static_cast<std::ptrdiff_t>(
                                           shape.slot() * static_cast<std::size_t>(shape.steps + 1))};
  }
};

template <class Element>
std::vector<Element> as(const std::vector<float>& values) {
  std::vector<Element> result;
  for (const float x : values) result.push_back(Element(x));
  return result;
}

/// Largest distance, relative to 1 or the expected value.
template <class Element>
double distance(const std::vector<Element>& found, const std::vector<double>& expected, std::size_t count) {
  double worst = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const double error = std::abs(static_cast<double>(static_cast<float>(found[i])) - expected[i]) /
                         std::max(1.0, std::abs(expected[i]));
    worst = error > worst || std::isnan(error) ? error : worst;
    if (std::isnan(error)) return error;
  }
  return worst;
}

/// What a kernel of this interface makes of the problem: run(bench, wx, weights, bias, first, states).
template <class Element, class Bench, class Run>
std::vector<Element> run_layer(Bench& bench, const RnnProblem& problem, Run run) {
  const auto wx = bench.upload(as<Element>(problem.wx), "wx"),
             weights = bench.upload(as<Element>(problem.weights), "weights");
  const auto bias = bench.upload(problem.bias, "bias"), first = bench.upload(problem.first, "first");
  auto states = bench.template output<Element>(problem.shape.states_size(), "states");
  run(bench, wx.span(), weights.span(), bias.span(), first.span(), states.span());
  return bench.download(states);
}

}  // namespace remeasure::kernels::testing
