// SPDX-License-Identifier: Apache-2.0
//
// A circuit with trained angles behind the feature map, read out as the parity of all qubits. Havlicek et
// al., Nature 567 (2019), arXiv 1804.11326, "Quantum variational classification". Simulated exactly; the
// shots enter through the risk, as in the paper.
#pragma once

#include <complex>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace remeasure::kernels {

/// W = U_loc(theta_depth) U_ent ... U_ent U_loc(theta_0). U_loc: exp(i theta_z Z / 2) exp(i theta_y Y / 2) on
/// each qubit; U_ent: a controlled Z on each pair of neighbours on a ring (two qubits: one pair).
struct VariationalCircuit {
  int qubits = 2, depth = 4;
  std::size_t angles() const {
    return 2 * static_cast<std::size_t>(qubits) * static_cast<std::size_t>(depth + 1);
  }
};

/// <Phi| W^+ f W |Phi> of each state, f the parity.  states: [points, 2^qubits];  angles: [layer, qubit, (z,
/// y)]
std::vector<double> variational_expectations(const VariationalCircuit& circuit,
                                             std::span<const double> angles,
                                             std::span<const std::complex<double>> states);

/// Mean over the points of the probability that `shots` runs give the wrong label:
/// sigmoid(sqrt(shots) (1/2 - p + y bias / 2) / sqrt(2 (1 - p) p)), p = (1 + y <f>) / 2 being the right
/// outcome's probability. The label is the sign of <f> - bias.
double empirical_risk(std::span<const double> expectations, std::span<const std::int8_t> label, double bias,
                      int shots);

/// Spall's simultaneous perturbation: step k moves by a / (k + 1 + A)^0.602 along a gradient of two risks at
/// +- c / (k + 1)^0.101.
struct SpsaPlan {
  int steps = 250;
  double stability = 25;      ///< A
  double perturbation = 0.2;  ///< c
  double first_step = 0.2;    ///< angle of the first move, from which a follows
  int starts = 1;             ///< the one with the least risk is taken
  int shots = 2000;           ///< of the risk
  std::uint64_t seed = 1;
};

struct VariationalClassifier {
  std::vector<double> angles;
  double bias = 0;
  double risk = 1;              ///< on the training points
  std::vector<double> history;  ///< risk after each tenth of the steps
};

VariationalClassifier train_variational(const VariationalCircuit& circuit, const SpsaPlan& plan,
                                        std::span<const std::complex<double>> states,
                                        std::span<const std::int8_t> label);

/// Fraction of right labels; ties are wrong.
double variational_success(const VariationalCircuit& circuit, const VariationalClassifier& classifier,
                           std::span<const std::complex<double>> states, std::span<const std::int8_t> label);

}  // namespace remeasure::kernels
