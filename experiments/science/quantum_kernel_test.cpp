// SPDX-License-Identifier: Apache-2.0
//
// What must hold of quantum-kernel without a GPU, with controls that fail where they should.
#include <testing/catch.h>

#include <numbers>

#include "experiments/science/quantum_kernel_learning.h"

using namespace remeasure;
using namespace remeasure::experiments::feature_space;

namespace {

std::vector<LabelledStates> sets_of(int qubits, double gap, int count) {
  std::vector<LabelledStates> sets;
  for (int i = 0; i < count; ++i) {
    const QuantumSet set =
        datasets::make_quantum_set(qubits, gap, 20, 20, 1 + static_cast<std::uint64_t>(i / 3), i % 3);
    sets.push_back(labelled_states(set, qubits, 40));
  }
  return sets;
}

std::vector<double> angles(std::size_t points, int qubits) {
  std::vector<double> x(points * static_cast<std::size_t>(qubits));
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = 2 * std::numbers::pi * datasets::Philox(3).uniform(i);
  return x;
}

}  // namespace

TEST_CASE("quantum kernels are symmetric, semidefinite, and 1 on the diagonal", "[cpu]") {
  for (const int qubits : {2, 3, 5}) {
    const LabelledStates set = sets_of(qubits, 0.1, 1)[0];
    for (std::size_t r = 0; r < 40; ++r) {
      CHECK(std::abs(set.gram[41 * r] - 1) < 1e-12);
      for (std::size_t c = 0; c < r; ++c) {
        REQUIRE(set.gram[r * 40 + c] == set.gram[c * 40 + r]);
        REQUIRE(set.gram[r * 40 + c] >= 0);
        REQUIRE(set.gram[r * 40 + c] <= 1 + 1e-12);
      }
    }
    CHECK(kernels::smallest_eigenvalue(set.gram, 40) > -1e-10);
    std::vector<double> broken = set.gram;  // one pair too similar: no kernel any more
    broken[1] = broken[40] = 1.5;
    CHECK(kernels::smallest_eigenvalue(broken, 40) < -1e-2);
  }
}

TEST_CASE("two qubits, gap 0.3: the kernel separates, RBF doesn't, shuffled labels are guessed", "[cpu]") {
  const std::vector<LabelledStates> sets = sets_of(2, 0.3, 10);
  const double exact =
      mean_of(over_sets(sets, [](const LabelledStates& set) { return kernel_success(set); })).value;
  CHECK(exact >= 0.97);
  CHECK(mean_of(best_radial(sets).success).value <= 0.80);
  std::vector<double> shuffled;
  for (const std::uint64_t seed : {1, 2}) {
    for (const LabelledStates& set : sets)
      shuffled.push_back(kernel_success(with_shuffled_labels(set, seed)));
  }
  CHECK(std::abs(mean_of(shuffled).value - 0.5) <= 0.08);
  const double measured = mean_of(over_sets(sets, [](const LabelledStates& set) {
                            return kernel_success(set, {{.shots = 50'000, .seed = 3}});
                          })).value;
  CHECK(std::abs(measured - exact) <= 0.03);
  const double few = mean_of(over_sets(sets, [](const LabelledStates& set) {
                       return kernel_success(set, {{.shots = 3, .seed = 3}});
                     })).value;
  CHECK(few < exact - 0.05);  // three shots are too few
}

TEST_CASE("shots err by the root of K (1 - K) / R, and the ratio sees other errors", "[cpu]") {
  const LabelledStates set = sets_of(3, 0.1, 1)[0];
  for (const int shots : {100, 1000, 50'000}) {
    const std::vector<double> measured =
        measured_gram(set.gram_shape(), {.shots = shots, .seed = 8}, set.gram);
    CHECK(std::abs(shot_noise_ratio(40, set.gram, measured, shots) - 1) < 0.1);
    CHECK(shot_noise_ratio(40, set.gram, measured, 2 * shots) > 1.25);
  }
  CHECK(shot_noise_ratio(40, set.gram, set.gram, 1000) == 0);
}

TEST_CASE("depolarising noise is undone by its own formula, and extrapolation takes most of it away",
          "[cpu]") {
  const LabelledStates set = sets_of(2, 0.3, 1)[0];
  const Reading noisy{{.depolarising = 0.1}}, extrapolated{{.depolarising = 0.1}, true};
  const std::vector<double> dim = read_values(set.gram_shape(), noisy, set.gram),
                            lit = read_values(set.gram_shape(), extrapolated, set.gram);
  double before = 0, after = 0;
  for (std::size_t i = 0; i < dim.size(); ++i) {
    CHECK(std::abs((dim[i] - 0.19 / 4) / 0.81 - set.gram[i]) < 1e-12);
    before += std::abs(dim[i] - set.gram[i]);
    after += std::abs(lit[i] - set.gram[i]);
  }
  CHECK(after < 0.15 * before);
  CHECK(after > 0);  // a line isn't an exponential
}

TEST_CASE("the kernel concentrates like 2^-n", "[cpu]") {
  double last = 1;
  for (const int qubits : {2, 3, 5, 8}) {
    const double mean = mean_kernel(qubits, angles(256, qubits)), ratio = mean * std::exp2(qubits);
    INFO(qubits << " qubits: " << mean << ", " << ratio << " of 2^-n");
    CHECK(mean < last);
    CHECK(ratio > 1.05);
    CHECK(ratio < 1.4);
    last = mean;
  }
  // Equal points don't.
  CHECK(mean_kernel(5, std::vector<double>(50, 1.0)) > 0.999);
}

TEST_CASE("deeper circuits have less risk, and machines on quantum kernels fulfil their KKT conditions",
          "[cpu]") {
  const std::vector<LabelledStates> sets = sets_of(2, 0.3, 3);
  int fell = 0;
  for (std::size_t i = 0; i < 3; ++i) {
    const DepthSweep sweep = depth_sweep(sets[i], 1 + i, 1);
    fell += sweep.risk[4] <= sweep.risk[0] - 0.1 ? 1 : 0;
    const auto machine =
        kernels::train_support_vectors(sets[i].gram, sets[i].train_labels(), {.penalty = kPenalty});
    REQUIRE(machine.converged);
    const auto optimum = kernels::optimality(machine, sets[i].gram, sets[i].train_labels(), kPenalty);
    CHECK(optimum.violation < 1e-6);
    CHECK(optimum.primal - optimum.dual >= -1e-9 * (1 + optimum.primal));
  }
  CHECK(fell >= 2);
}

TEST_CASE("a line through powers of two has their exponent", "[cpu]") {
  const Line line = fit_log2({2, 3, 5}, {0.5, 0.25, 0.0625});
  CHECK(std::abs(line.slope + 1) < 1e-12);
  CHECK(std::abs(line.intercept - 1) < 1e-12);
  CHECK(mean_of({1, 2, 3}).value == 2);
  CHECK(std::abs(mean_of({1, 2, 3}).error - 1 / std::sqrt(3.0)) < 1e-12);
}
