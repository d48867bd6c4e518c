// SPDX-License-Identifier: Apache-2.0
#include "kernels/science/variational_classifier.h"

#include <testing/catch.h>
#include <cmath>

#include "kernels/science/state_vector.h"

using namespace remeasure::kernels;

TEST_CASE("a circuit with angles 0 measures the parity of its input", "[cpu]") {
  for (const int qubits : {1, 2, 3}) {
    const VariationalCircuit circuit{qubits, 2};
    const std::vector<double> zeros(circuit.angles(), 0.0);
    for (std::size_t z = 0; z < std::size_t{1} << qubits; ++z) {
      const double expected = __builtin_popcountll(z) % 2 == 0 ? 1 : -1;
      CHECK(std::abs(variational_expectations(circuit, zeros, basis_state<double>(qubits, z))[0] - expected) <
            1e-12);
    }
  }
}

TEST_CASE("a turn by pi about Y flips a qubit, and controlled Zs entangle", "[cpu]") {
  const VariationalCircuit flat{1, 0};
  const std::vector<double> flip{0.0, M_PI};
  CHECK(std::abs(variational_expectations(flat, flip, basis_state<double>(1, 0))[0] + 1) < 1e-12);
  // H on both, CZ, H on one is a controlled NOT behind an H: a Bell state, of even parity.
  const VariationalCircuit bell{2, 1};
  const std::vector<double> angles{0, -M_PI / 2, 0, -M_PI / 2, 0, 0, 0, M_PI / 2};
  CHECK(std::abs(variational_expectations(bell, angles, basis_state<double>(2, 0))[0] - 1) < 1e-12);
  CHECK_THROWS_AS(variational_expectations(bell, flip, basis_state<double>(2, 0)), std::invalid_argument);
}

TEST_CASE("the risk is the chance of a wrong label, and falls with shots where the label is right", "[cpu]") {
  const std::vector<std::int8_t> y{1, -1};
  CHECK(std::abs(empirical_risk(std::vector<double>{0, 0}, y, 0, 100) - 0.5) < 1e-12);
  const std::vector<double> right{0.4, -0.4}, wrong{-0.4, 0.4};
  CHECK(empirical_risk(right, y, 0, 1000) < empirical_risk(right, y, 0, 10));
  CHECK(empirical_risk(right, y, 0, 1000) < 0.01);
  CHECK(empirical_risk(wrong, y, 0, 1000) > 0.99);
  // A bias moves the boundary to <f> = bias.
  CHECK(empirical_risk(std::vector<double>{0.7, 0.3}, y, 0.5, 1000) < 0.01);
}

TEST_CASE("SPSA finds the angle that tells two states apart, and the same one again", "[cpu]") {
  std::vector<std::complex<double>> states = basis_state<double>(1, 0);
  const std::vector<std::complex<double>> one = basis_state<double>(1, 1);
  states.insert(states.end(), one.begin(), one.end());
  const std::vector<std::int8_t> y{-1, 1};  // the flip has to be learned
  const VariationalCircuit circuit{1, 0};
  const SpsaPlan plan{.starts = 3, .seed = 2};
  const VariationalClassifier trained = train_variational(circuit, plan, states, y);
  CHECK(trained.risk < 0.01);
  CHECK(variational_success(circuit, trained, states, y) == 1);
  CHECK(trained.history.size() == 10);
  CHECK(train_variational(circuit, plan, states, y).angles == trained.angles);
  VariationalClassifier idle;
  idle.angles = {0, 0};
  CHECK(variational_success(circuit, idle, states, y) == 0);
}
