// SPDX-License-Identifier: Apache-2.0
//
// State tracking: recurrent layers whose weights are written down, not learnt, walk a group's automaton
// without an error; a linear recurrence with real positive eigenvalues, its readout fitted by least squares,
// can't.
#pragma once

#include <Eigen/Dense>

#include "datasets/sequences/state_tracking.h"
#include "experiments/sequences/flashrnn_problem.h"

namespace remeasure::experiments::flashrnn_tracking {

using datasets::StateTracking;
using kernels::Cell;
using kernels::RnnShape;

/// A unit for each pair (state before, token): it is 1 when that was the last step, else -1, as tanh
/// saturates. A state is on if one of the units that lead to it is, so its indicator is linear in h, and
/// "state s and token x" is one threshold.
struct AutomatonLayer {
  RnnShape shape;
  std::vector<float> wx, weights, bias, first;
  std::vector<std::uint8_t> leads_to;  ///< of each unit
};

inline AutomatonLayer automaton_layer(Cell cell, const StateTracking& data, std::size_t sequences,
                                      std::size_t steps) {
  constexpr float kGain = 16;  // tanh(16) is 1 in f32 and bf16
  const std::size_t states = data.states, alphabet = data.alphabet, units = states * alphabet,
                    dim = (units + 15) / 16 * 16;
  AutomatonLayer layer{{cell, static_cast<int>(sequences), static_cast<int>(steps), 1, static_cast<int>(dim)},
                       {},
                       {},
                       {},
                       {},
                       data.transition};
  const bool lstm = cell == Cell::lstm;
  const std::size_t gates = lstm ? 4 : 1, gate = lstm ? 2 : 0;
  // An LSTM with open input and output gates and a closed forget gate is the same layer with h = tanh(+-1).
  const float on = lstm ? std::tanh(1.0f) : 1.0f;
  layer.wx.assign(layer.shape.wx_size(), 0.0f);
  layer.weights.assign(layer.shape.weights_size(), 0.0f);
  layer.bias.assign(layer.shape.bias_size(), 0.0f);
  layer.first.assign(layer.shape.first_size(), -on);
  if (lstm)
    std::fill(layer.first.begin() + static_cast<std::ptrdiff_t>(layer.shape.slot()), layer.first.end(), 0.0f);
  for (std::size_t unit = 0; unit < dim; ++unit) {
    if (lstm) {
      layer.bias[unit] = layer.bias[3 * dim + unit] = kGain;
      layer.bias[dim + unit] = -kGain;
    }
    std::size_t leading = 0;
    for (std::size_t from = 0; unit < units && from < units; ++from) {
      if (data.transition[from] != unit / alphabet) continue;
      layer.weights[(gate * dim + unit) * dim + from] = kGain / on;
      ++leading;
    }
    layer.bias[gate * dim + unit] = kGain * (static_cast<float>(leading) - 3);
  }
  const auto begins = static_cast<std::size_t>(std::find(data.transition.begin(), data.transition.end(), 0) -
                                               data.transition.begin());
  for (std::size_t b = 0; b < sequences; ++b) {
    layer.first[b * dim + begins] = on;
    for (std::size_t t = 0; t < steps; ++t) {
      for (std::size_t state = 0; state < states; ++state) {
        layer
            .wx[((b * steps + t) * gates + gate) * dim + state * alphabet + data.tokens[b * data.steps + t]] =
            2 * kGain;
      }
    }
  }
  return layer;
}

/// Share of the steps at which the unit that is on leads to the right state.
template <class Float>
double accuracy(const AutomatonLayer& layer, const StateTracking& data, const std::vector<Float>& states) {
  const auto batch = static_cast<std::size_t>(layer.shape.batch),
             steps = static_cast<std::size_t>(layer.shape.steps), dim = layer.shape.hidden();
  std::size_t right = 0;
  for (std::size_t t = 0; t < steps; ++t) {
    for (std::size_t b = 0; b < batch; ++b) {
      const Float* const h = &states[((t + 1) * batch + b) * dim];
      std::size_t best = 0;
      for (std::size_t unit = 1; unit < layer.leads_to.size(); ++unit) {
        if (static_cast<float>(h[unit]) > static_cast<float>(h[best])) best = unit;
      }
      right += layer.leads_to[best] == data.state[b * data.steps + t] ? 1 : 0;
    }
  }
  return static_cast<double>(right) / static_cast<double>(batch * steps);
}

inline double automaton_accuracy(Cell cell, const StateTracking& data) {
  const AutomatonLayer layer = automaton_layer(cell, data, data.sequences, data.steps);
  std::vector<float> states(layer.shape.states_size());
  kernels::rnn_reference<float>(layer.shape, layer.wx, layer.weights, layer.bias, layer.first, states);
  return accuracy(layer, data, states);
}

/// x[t] = lambda x[t - 1] + token for `rates` eigenvalues from 0 to 1 and each token; states from x by least
/// squares on the first half of the sequences. Accuracy on the other half, in its last three quarters.
inline double linear_accuracy(const StateTracking& data, int rates) {
  const auto features = static_cast<Eigen::Index>(data.alphabet) * rates + 1;
  const auto targets = static_cast<Eigen::Index>(data.states);
  Eigen::MatrixXd gram = Eigen::MatrixXd::Identity(features, features) * 1e-6,
                  moments = Eigen::MatrixXd::Zero(features, targets);
  const auto walk = [&](std::size_t sequence, auto&& visit) {
    Eigen::VectorXd x = Eigen::VectorXd::Zero(features);
    for (std::size_t t = 0; t < data.steps; ++t) {
      for (int k = 0; k < rates; ++k) {
        // 0, and then memories of 2^0 to 2^(rates - 2) steps; the last eigenvalue is 1.
        const double lambda = k == 0 ? 0.0 : k == rates - 1 ? 1.0 : 1 - std::pow(0.5, k);
        for (std::size_t token = 0; token < data.alphabet; ++token) {
          double& value = x(static_cast<Eigen::Index>(token) * rates + k);
          // Scaled by 1 - lambda, so that all features are of one size.
          const double gain = lambda < 1 ? 1 - lambda : 1.0 / static_cast<double>(data.steps);
          value = lambda * value + (data.tokens[sequence * data.steps + t] == token ? gain : 0.0);
        }
      }
      x(features - 1) = 1;
      visit(t, x, data.state[sequence * data.steps + t]);
    }
  };
  const std::size_t train = data.sequences / 2;
  for (std::size_t sequence = 0; sequence < train; ++sequence) {
    walk(sequence, [&](std::size_t, const Eigen::VectorXd& x, int state) {
      gram.selfadjointView<Eigen::Lower>().rankUpdate(x);
      moments.col(state) += x;
    });
  }
  const Eigen::MatrixXd readout = gram.selfadjointView<Eigen::Lower>().ldlt().solve(moments);
  std::size_t right = 0, seen = 0;
  for (std::size_t sequence = train; sequence < data.sequences; ++sequence) {
    walk(sequence, [&](std::size_t t, const Eigen::VectorXd& x, int state) {
      if (t < data.steps / 4) return;
      Eigen::Index best = 0;
      (readout.transpose() * x).maxCoeff(&best);
      right += best == state ? 1 : 0;
      ++seen;
    });
  }
  return static_cast<double>(right) / static_cast<double>(seen);
}

}  // namespace remeasure::experiments::flashrnn_tracking
