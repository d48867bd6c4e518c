// SPDX-License-Identifier: Apache-2.0
#include "kernels/science/variational_classifier.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <stdexcept>
#include <string>

#include "kernels/device/philox.h"
#include "kernels/science/state_vector.h"

namespace remeasure::kernels {
namespace {

/// The angles and, last, the bias.
using Parameters = std::vector<double>;

double risk_of(const VariationalCircuit& circuit, const Parameters& at,
               std::span<const std::complex<double>> states, std::span<const std::int8_t> label, int shots) {
  const std::vector<double> expectations =
      variational_expectations(circuit, std::span(at).first(circuit.angles()), states);
  return empirical_risk(expectations, label, at.back(), shots);
}

}  // namespace

std::vector<double> variational_expectations(const VariationalCircuit& circuit,
                                             std::span<const double> angles,
                                             std::span<const std::complex<double>> states) {
  const std::size_t size = std::size_t{1} << circuit.qubits;
  if (circuit.qubits < 1 || circuit.depth < 0 || angles.size() != circuit.angles() ||
      states.size() % size != 0) {
    throw std::invalid_argument("variational circuit: " + std::to_string(angles.size()) + " angles and " +
                                std::to_string(states.size()) + " amplitudes for " +
                                std::to_string(circuit.qubits) + " qubits and depth " +
                                std::to_string(circuit.depth));
  }
  std::vector<QubitGate> gates;
  for (std::size_t i = 0; i < angles.size(); i += 2)
    gates.push_back(after(phase_rotation(angles[i]), plane_rotation(angles[i + 1])));
  std::vector<double> result;
  std::vector<std::complex<double>> state(size);
  for (std::size_t first = 0; first < states.size(); first += size) {
    std::copy_n(states.begin() + static_cast<std::ptrdiff_t>(first), size, state.begin());
    for (int layer = 0; layer <= circuit.depth; ++layer) {
      if (layer > 0) {
        const int bonds = circuit.qubits == 2 ? 1 : circuit.qubits;
        for (int q = 0; q < bonds && circuit.qubits > 1; ++q)
          apply_controlled_z(std::span(state), q, (q + 1) % circuit.qubits);
      }
      for (int q = 0; q < circuit.qubits; ++q) {
        apply_gate(std::span(state), q, gates[static_cast<std::size_t>(layer * circuit.qubits + q)]);
      }
    }
    result.push_back(parity_expectation(std::span<const std::complex<double>>(state)));
  }
  return result;
}

double empirical_risk(std::span<const double> expectations, std::span<const std::int8_t> label, double bias,
                      int shots) {
  if (expectations.size() != label.size() || label.empty() || shots < 1) {
    throw std::invalid_argument("empirical risk: " + std::to_string(expectations.size()) +
                                " expectations for " + std::to_string(label.size()) + " labels");
  }
  double sum = 0;
  for (std::size_t i = 0; i < label.size(); ++i) {
    const double y = label[i], p = std::clamp((1 + y * expectations[i]) / 2, 1e-9, 1 - 1e-9);
    const double z =
        std::sqrt(static_cast<double>(shots)) * (0.5 - p + y * bias / 2) / std::sqrt(2 * (1 - p) * p);
    sum += 1 / (1 + std::exp(-z));
  }
  return sum / static_cast<double>(label.size());
}

VariationalClassifier train_variational(const VariationalCircuit& circuit, const SpsaPlan& plan,
                                        std::span<const std::complex<double>> states,
                                        std::span<const std::int8_t> label) {
  VariationalClassifier best;
  for (int start = 0; start < plan.starts; ++start) {
    const auto stream = static_cast<std::uint64_t>(start);
    std::uint64_t next = 0;
    const auto uniform = [&] {
      const Philox4 random = philox(plan.seed, next++, stream);
      return uniform_double(random.word[0], random.word[1]);
    };
    Parameters at(circuit.angles() + 1);
    for (double& angle : at) angle = 2 * std::numbers::pi * uniform();
    at.back() = 0;
    Parameters direction(at.size());
    /// The slope along a random direction of signs, which is put into `direction`.
    const auto slope = [&](double distance) {
      for (double& sign : direction) sign = uniform() < 0.5 ? -1 : 1;
      Parameters plus = at, minus = at;
      for (std::size_t i = 0; i < at.size(); ++i)
        plus[i] += distance * direction[i], minus[i] -= distance * direction[i];
      return (risk_of(circuit, plus, states, label, plan.shots) -
              risk_of(circuit, minus, states, label, plan.shots)) /
             (2 * distance);
    };
    double typical = 0;
    constexpr int kProbes = 25;
    for (int i = 0; i < kProbes; ++i) typical += std::abs(slope(plan.perturbation)) / kProbes;
    const double a = plan.first_step * std::pow(1 + plan.stability, 0.602) / std::max(typical, 1e-6);
    VariationalClassifier found;
    for (int k = 0; k < plan.steps; ++k) {
      const double along = slope(plan.perturbation / std::pow(k + 1, 0.101));
      const double length = a / std::pow(k + 1 + plan.stability, 0.602);
      for (std::size_t i = 0; i < at.size(); ++i)
        at[i] -= length * along * direction[i];  // 1 / direction_i is direction_i
      at.back() = std::clamp(at.back(), -1.0, 1.0);
      if ((k + 1) % std::max(1, plan.steps / 10) == 0)
        found.history.push_back(risk_of(circuit, at, states, label, plan.shots));
    }
    found.risk = risk_of(circuit, at, states, label, plan.shots);
    found.bias = at.back();
    found.angles.assign(at.begin(), at.end() - 1);
    if (start == 0 || found.risk < best.risk) best = std::move(found);
  }
  return best;
}

double variational_success(const VariationalCircuit& circuit, const VariationalClassifier& classifier,
                           std::span<const std::complex<double>> states, std::span<const std::int8_t> label) {
  const std::vector<double> expectations = variational_expectations(circuit, classifier.angles, states);
  if (expectations.size() != label.size() || label.empty())
    throw std::invalid_argument("variational_success: states and labels differ in number");
  std::size_t right = 0;
  for (std::size_t i = 0; i < label.size(); ++i)
    right += label[i] * (expectations[i] - classifier.bias) > 0 ? 1 : 0;
  return static_cast<double>(right) / static_cast<double>(label.size());
}

}  // namespace remeasure::kernels
