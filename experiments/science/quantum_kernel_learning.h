// SPDX-License-Identifier: Apache-2.0
//
// Learning with quantum kernels: labelled sets as states and kernel matrices, what is measured of them, and
// the machines on top.
#pragma once

#include <algorithm>
#include <cmath>
#include <complex>
#include <limits>
#include <span>
#include <vector>

#include "datasets/random.h"
#include "datasets/science/quantum_kernel.h"
#include "kernels/learning/support_vector.h"
#include "kernels/science/feature_map_reference.h"
#include "kernels/science/variational_classifier.h"

namespace remeasure::experiments::feature_space {

using datasets::QuantumSet;
using kernels::FeatureMapShape;
using kernels::GramShape;
using kernels::Measurement;
using Complex = std::complex<double>;

inline constexpr double kPenalty = 1e4;

/// A labelled set with its exact states and kernel matrices, in double.
struct LabelledStates {
  int qubits = 0;
  std::size_t train = 0, test = 0;  ///< points
  std::vector<double> x;
  std::vector<std::int8_t> y;
  std::vector<Complex> states;  ///< [train + test, 2^qubits]
  std::vector<double> gram;     ///< [train, train]
  std::vector<double> cross;    ///< [test, train]

  std::span<const std::int8_t> train_labels() const { return std::span(y).first(train); }
  std::span<const std::int8_t> test_labels() const { return std::span(y).last(test); }
  std::span<const Complex> train_states() const { return std::span(states).first(train << qubits); }
  std::span<const Complex> test_states() const { return std::span(states).last(test << qubits); }
  std::span<const double> train_points() const {
    return std::span(x).first(train * static_cast<std::size_t>(qubits));
  }
  std::span<const double> test_points() const {
    return std::span(x).last(test * static_cast<std::size_t>(qubits));
  }
  GramShape gram_shape() const { return {static_cast<int>(train), static_cast<int>(train), qubits, true}; }
  GramShape cross_shape() const { return {static_cast<int>(test), static_cast<int>(train), qubits, false}; }
};

inline LabelledStates labelled_states(const QuantumSet& set, int qubits, std::size_t train) {
  LabelledStates result{.qubits = qubits,
                        .train = train,
                        .test = set.y.size() - train,
                        .x = set.x,
                        .y = set.y,
                        .states = {},
                        .gram = {},
                        .cross = {}};
  const FeatureMapShape shape{static_cast<int>(set.y.size()), qubits};
  result.states.resize(shape.values() / 2);
  kernels::feature_map_reference<double>(shape, result.x, result.states, 1);
  result.gram.resize(result.gram_shape().entries());
  result.cross.resize(result.cross_shape().entries());
  kernels::gram_reference<double>(result.gram_shape(), result.train_states(), result.train_states(),
                                  result.gram, 1);
  kernels::gram_reference<double>(result.cross_shape(), result.test_states(), result.train_states(),
                                  result.cross, 1);
  return result;
}

inline double success_of(std::span<const double> decisions, std::span<const std::int8_t> label) {
  std::size_t right = 0;
  for (std::size_t i = 0; i < label.size(); ++i)
    right += decisions[i] * label[i] > 0 ? 1 : 0;  // a tie and NaN are wrong
  return static_cast<double>(right) / static_cast<double>(label.size());
}

/// Success on the test points of a machine trained on `gram`, of which negative eigenvalues are cut off.
inline double machine_success(const LabelledStates& set, const std::vector<double>& gram,
                              const std::vector<double>& cross) {
  const bool negative = kernels::smallest_eigenvalue(gram, set.train) < 0;
  const std::vector<double> matrix = negative ? kernels::clip_to_semidefinite(gram, set.train) : gram;
  const auto machine = kernels::train_support_vectors(matrix, set.train_labels(), {.penalty = kPenalty});
  return success_of(kernels::decide(machine, cross, set.train_labels()), set.test_labels());
}

/// How kernel values reach the machine: exact, by shots, through noise, with the noise extrapolated to zero.
struct Reading {
  Measurement measurement = {};
  bool extrapolated = false;  ///< linearly from noise stretched by 1 and 1.5, each with its own shots
};

inline std::vector<double> read_values(const GramShape& shape, const Reading& reading,
                                       std::span<const double> exact) {
  const Measurement& m = reading.measurement;
  std::vector<double> values = kernels::measured_gram(shape, m, exact);
  if (!reading.extrapolated) return values;
  Measurement stretched = m;
  stretched.depolarising = 1 - std::pow(1 - m.depolarising, 1.5);
  stretched.seed = m.seed + 1'000'003;
  const std::vector<double> further = kernels::measured_gram(shape, stretched, exact);
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = 3 * values[i] - 2 * further[i];  // the line at 0
  return values;
}

inline double kernel_success(const LabelledStates& set, const Reading& reading = {}) {
  Reading cross = reading;
  cross.measurement.seed += 500'009;
  return machine_success(set, read_values(set.gram_shape(), reading, set.gram),
                         read_values(set.cross_shape(), cross, set.cross));
}

inline double radial_success(const LabelledStates& set, double gamma) {
  const auto dims = static_cast<std::size_t>(set.qubits);
  return machine_success(set, kernels::radial_gram(set.train_points(), set.train_points(), dims, gamma),
                         kernels::radial_gram(set.test_points(), set.train_points(), dims, gamma));
}

/// The widths that are tried; the best of the mean over all sets is what counts, which favours the RBF
/// kernel.
inline constexpr double kGammas[] = {0.1, 0.3, 1, 3};

struct Mean {
  double value = 0, error = 0;  ///< standard error over the sets
};
inline Mean mean_of(const std::vector<double>& values) {
  Mean mean;
  for (const double value : values) mean.value += value / static_cast<double>(values.size());
  double squares = 0;
  for (const double value : values) squares += (value - mean.value) * (value - mean.value);
  if (values.size() > 1)
    mean.error = std::sqrt(squares / static_cast<double>(values.size() * (values.size() - 1)));
  return mean;
}

template <class Success>
std::vector<double> over_sets(const std::vector<LabelledStates>& sets, const Success& success) {
  std::vector<double> values;
  for (const LabelledStates& set : sets) values.push_back(success(set));
  return values;
}

struct BestRadial {
  double gamma = 0;
  std::vector<double> success;  ///< of each set
};
inline BestRadial best_radial(const std::vector<LabelledStates>& sets) {
  BestRadial best;
  double highest = -1;
  for (const double gamma : kGammas) {
    std::vector<double> values =
        over_sets(sets, [&](const LabelledStates& set) { return radial_success(set, gamma); });
    if (const double mean = mean_of(values).value; mean > highest)
      highest = mean, best = {gamma, std::move(values)};
  }
  return best;
}

/// The same points under labels dealt out at random, to training and test apart.
inline LabelledStates with_shuffled_labels(LabelledStates set, std::uint64_t seed) {
  const datasets::Philox random(seed, 77);
  for (std::size_t i = set.train - 1; i > 0; --i) std::swap(set.y[i], set.y[random.integer(i, i + 1)]);
  for (std::size_t i = set.test - 1; i > 0; --i)
    std::swap(set.y[set.train + i], set.y[set.train + random.integer(100'000 + i, i + 1)]);
  return set;
}

/// RMS of measured - exact over what a binomial distribution has, off the diagonal.
inline double shot_noise_ratio(std::size_t m, std::span<const double> exact, std::span<const double> measured,
                               int shots) {
  double found = 0, expected = 0;
  for (std::size_t r = 0; r < m; ++r) {
    for (std::size_t c = r + 1; c < m; ++c) {
      const double k = exact[r * m + c];
      found += std::pow(measured[r * m + c] - k, 2);
      expected += k * (1 - k) / shots;
    }
  }
  return std::sqrt(found / expected);
}

inline double mean_off_diagonal(std::size_t m, std::span<const double> gram) {
  double sum = 0;
  for (std::size_t r = 0; r < m; ++r) {
    for (std::size_t c = r + 1; c < m; ++c) sum += gram[r * m + c];
  }
  return sum / (static_cast<double>(m) * (static_cast<double>(m) - 1) / 2);
}

/// Mean kernel value of different random points.
inline double mean_kernel(int qubits, const std::vector<double>& x) {
  const FeatureMapShape shape{static_cast<int>(x.size() / static_cast<std::size_t>(qubits)), qubits};
  std::vector<Complex> states(shape.values() / 2);
  kernels::feature_map_reference<double>(shape, x, states);
  const GramShape all{shape.samples, shape.samples, qubits, true};
  std::vector<double> gram(all.entries());
  kernels::gram_reference<double>(all, states, states, gram);
  return mean_off_diagonal(static_cast<std::size_t>(shape.samples), gram);
}

/// Least squares of log2 y = intercept + slope x.
struct Line {
  double intercept = 0, slope = 0;
};
inline Line fit_log2(const std::vector<double>& x, const std::vector<double>& y) {
  double n = static_cast<double>(x.size()), sx = 0, sy = 0, sxx = 0, sxy = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double value = std::log2(y[i]);
    sx += x[i], sy += value, sxx += x[i] * x[i], sxy += x[i] * value;
  }
  const double slope = (n * sxy - sx * sy) / (n * sxx - sx * sx);
  return {(sy - slope * sx) / n, slope};
}

inline constexpr int kMostDepth = 4;

/// Risk and success of trained circuits of depth 0 to 4.
struct DepthSweep {
  std::vector<double> risk, success;
};
inline DepthSweep depth_sweep(const LabelledStates& set, std::uint64_t seed, int starts) {
  DepthSweep result;
  for (int depth = 0; depth <= kMostDepth; ++depth) {
    const kernels::VariationalCircuit circuit{set.qubits, depth};
    const kernels::SpsaPlan plan{.starts = starts, .seed = seed};
    const auto trained = train_variational(circuit, plan, set.train_states(), set.train_labels());
    result.risk.push_back(trained.risk);
    result.success.push_back(variational_success(circuit, trained, set.test_states(), set.test_labels()));
  }
  return result;
}

}  // namespace remeasure::experiments::feature_space
