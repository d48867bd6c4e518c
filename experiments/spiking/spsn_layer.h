// SPDX-License-Identifier: Apache-2.0
//
// A layer of spsn over time: its currents, its oracles, and every way to run it forward and backward.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include "baselines/spiking/lif_steps.h"
#include "datasets/random.h"
#include "datasets/spiking/spike_tracks.h"
#include "experiments/vocabulary.h"
#include "kernels/spiking/membrane.h"
#include "kernels/spiking/spike_draw.h"
#include "kernels/spiking/spike_events.h"
#include "kernels/spiking/spsn_reference.h"

namespace remeasure::experiments::spsn_layer {

using kernels::Decay;
using kernels::Spiking;
using kernels::SpikingShape;

using Run = std::function<void()>;

inline const Decay kDecay{std::exp(-1.0 / 20), std::exp(-1.0 / 20)};  // 1 ms steps, 20 ms for both
inline constexpr float kThreshold = 1;
inline constexpr std::uint64_t kNoiseSeed = 17;
/// Of the N(0, 1) weights: membranes then have a deviation near the threshold, and LIF neurons fire.
inline constexpr float kWeightScale = 0.2f;

inline kernels::SpikeEvents events_of(const datasets::SpikeTrains& trains) {
  return {trains.time, trains.unit, trains.offset, trains.label};
}

struct LayerInputs {
  std::vector<float> current;         ///< [batch, steps, neurons]: events times weights
  std::vector<float> spike_gradient;  ///< N(0, 1), same shape
  std::vector<float> membrane, lif;   ///< what the forward passes keep for the backward ones
};

inline LayerInputs load(Trial& t, const SpikingShape& shape, std::size_t units, std::uint64_t seed) {
  const auto batch = static_cast<std::size_t>(shape.batch), steps = static_cast<std::size_t>(shape.steps);
  const auto neurons = static_cast<std::size_t>(shape.neurons);
  const datasets::Opened opened =
      t.open(datasets::spike_tracks_definition, datasets::spike_tracks(batch, 0, units, steps, seed));
  const datasets::SpikeTrains trains = read_spike_tracks(*opened.reader);
  const datasets::Philox weight_noise(seed, 1), gradient_noise(seed, 2);
  std::vector<float> weights(units * neurons);
  for (std::size_t i = 0; i < weights.size(); ++i)
    weights[i] = kWeightScale * static_cast<float>(weight_noise.normal(i));
  LayerInputs in{std::vector<float>(shape.values(), 0.0f), std::vector<float>(shape.values()),
                 std::vector<float>(shape.values()), std::vector<float>(shape.values())};
  for (std::size_t sample = 0; sample < batch; ++sample) {
    kernels::add_event_currents(events_of(trains), sample, steps, weights, neurons,
                                std::span(in.current).subspan(sample * steps * neurons, steps * neurons));
  }
  for (std::size_t i = 0; i < in.spike_gradient.size(); ++i) {
    in.spike_gradient[i] = static_cast<float>(2 * gradient_noise.uniform(i) - 1);
  }
  kernels::spsn_membrane_reference<float>(shape, kDecay, in.current, in.membrane);
  kernels::lif_reference<float>(shape, kDecay, static_cast<double>(kThreshold), in.current, in.lif);
  return in;
}

/// The neurons whose whole history is compared with the oracle: all of them, or 64 with the first and last of
/// the first and last batch entry among them.
class Columns {
 public:
  explicit Columns(const SpikingShape& shape) : shape_(shape) {
    constexpr std::size_t kMost = 64;
    const std::size_t all = static_cast<std::size_t>(shape.batch) * static_cast<std::size_t>(shape.neurons);
    const std::size_t count = std::min(all, kMost);
    for (std::size_t i = 0; i < count; ++i) columns_.push_back(count < 2 ? 0 : i * (all - 1) / (count - 1));
  }
  /// As a layer of its own: [1, steps, columns].
  SpikingShape shape() const { return {1, shape_.steps, static_cast<int>(columns_.size())}; }
  std::size_t size() const { return columns_.size(); }
  std::size_t entry(std::size_t column) const {
    return columns_[column] / static_cast<std::size_t>(shape_.neurons);
  }
  int neuron(std::size_t column) const {
    return static_cast<int>(columns_[column] % static_cast<std::size_t>(shape_.neurons));
  }
  /// Place of a column's step in the whole layer.
  std::size_t place(std::size_t column, int t) const {
    const std::size_t row =
        entry(column) * static_cast<std::size_t>(shape_.steps) + static_cast<std::size_t>(t);
    return row * static_cast<std::size_t>(shape_.neurons) + static_cast<std::size_t>(neuron(column));
  }
  std::vector<float> gather(std::span<const float> layer) const {
    std::vector<float> result;
    result.reserve(shape().values());
    for (int t = 0; t < shape_.steps; ++t) {
      for (std::size_t column = 0; column < size(); ++column) result.push_back(layer[place(column, t)]);
    }
    return result;
  }
  OracleOutput oracle(std::vector<double> values) const {
    OracleOutput output{.values = std::move(values), .scale = {}, .indices = {}};
    for (int t = 0; t < shape_.steps; ++t) {
      for (std::size_t column = 0; column < size(); ++column) output.indices.push_back(place(column, t));
    }
    return output;
  }

 private:
  SpikingShape shape_;
  std::vector<std::size_t> columns_;
};

/// Steps of integrate-and-fire neurons that rounding doesn't decide: up to the first at which the membrane in
/// double comes within 1e-4 of the threshold. After it a spike in f32 may come a step apart, and everything
/// that follows differs.
struct FirmSteps {
  std::vector<int> until;  ///< [batch * neurons]; all steps for neurons that aren't compared
  SpikingShape shape;
  double compared = 1;  ///< share of the compared columns' steps

  bool operator()(std::size_t place) const {
    const std::size_t neurons = static_cast<std::size_t>(shape.neurons),
                      steps = static_cast<std::size_t>(shape.steps);
    const std::size_t row = place / neurons, entry = row / steps;
    return static_cast<int>(row % steps) < until[entry * neurons + place % neurons];
  }
};

inline FirmSteps firm_steps(const SpikingShape& shape, const Columns& columns,
                            const std::vector<double>& membrane) {
  const std::size_t neurons = static_cast<std::size_t>(shape.neurons);
  FirmSteps firm{std::vector<int>(static_cast<std::size_t>(shape.batch) * neurons, shape.steps), shape};
  std::size_t sum = 0;
  for (std::size_t column = 0; column < columns.size(); ++column) {
    int t = 0;
    while (t < shape.steps &&
           std::abs(membrane[static_cast<std::size_t>(t) * columns.size() + column] - kThreshold) > 1e-4)
      ++t;
    firm.until[columns.entry(column) * neurons + static_cast<std::size_t>(columns.neuron(column))] = t;
    sum += static_cast<std::size_t>(t);
  }
  firm.compared = static_cast<double>(sum) / static_cast<double>(columns.shape().values());
  return firm;
}

/// Everything in double, on the columns.
struct LayerOracles {
  std::vector<double> membrane, lif, gradient, lif_gradient;
};

inline LayerOracles oracles(const Columns& columns, const LayerInputs& in) {
  const SpikingShape one = columns.shape();
  const std::vector<float> current = columns.gather(in.current), dz = columns.gather(in.spike_gradient);
  LayerOracles result{std::vector<double>(one.values()), std::vector<double>(one.values()),
                      std::vector<double>(one.values()), std::vector<double>(one.values())};
  kernels::spsn_membrane_reference<double>(one, kDecay, current, result.membrane);
  kernels::lif_reference<double>(one, kDecay, static_cast<double>(kThreshold), current, result.lif);
  // The way back begins at the f32 membranes that its input holds.
  const auto kept = [&](std::span<const float> layer) {
    const std::vector<float> values = columns.gather(layer);
    return std::vector<double>(values.begin(), values.end());
  };
  const std::vector<double> dm =
      kernels::spike_gradient_reference(one, Spiking::sigmoid_bernoulli, {}, kept(in.membrane), dz);
  kernels::spsn_membrane_adjoint<double>(one, kDecay, dm, result.gradient);
  kernels::lif_gradient_reference<double>(one, kDecay, static_cast<double>(kThreshold), kept(in.lif), dz,
                                          result.lif_gradient);
  return result;
}

/// Words of packed spikes against the draws from the oracle's membranes. `undecided` are those within 1e-4 of
/// the draw.
struct SpikeAgreement {
  std::size_t compared = 0, wrong = 0, undecided = 0;
};

inline SpikeAgreement compare_spikes(const SpikingShape& shape, const Columns& columns,
                                     const std::vector<double>& membrane, const std::vector<double>& words) {
  SpikeAgreement result;
  for (int t = 0; t < shape.steps; ++t) {
    for (std::size_t column = 0; column < columns.size(); ++column) {
      const int neuron = columns.neuron(column);
      const auto random =
          kernels::spike_random<Spiking::sigmoid_bernoulli>(kNoiseSeed, columns.entry(column), t, neuron);
      const double m = membrane[static_cast<std::size_t>(t) * columns.size() + column];
      const double distance = kernels::spike_probability(Spiking::sigmoid_bernoulli, m) -
                              static_cast<double>(uniform_float(random.word[t % 4]));
      const std::size_t row =
          columns.entry(column) * static_cast<std::size_t>(shape.steps) + static_cast<std::size_t>(t);
      const auto word = static_cast<std::uint32_t>(
          words[row * shape.words_per_step() + static_cast<std::size_t>(neuron) / 32]);
      const bool spike = (word >> (neuron % 32) & 1) != 0;
      ++result.compared;
      if (std::abs(distance) < 1e-4)
        ++result.undecided;
      else if (spike != (distance > 0))
        ++result.wrong;
    }
  }
  return result;
}

}  // namespace remeasure::experiments::spsn_layer
