// SPDX-License-Identifier: Apache-2.0
#include <testing/catch.h>
#include <cmath>

#include "kernels/device/testing/relative_error.h"
#include "kernels/science/feature_map_plan.h"
#include "kernels/science/state_vector.h"
#include "kernels/science/testing/quantum_problem.h"
#include "kernels/simt/engine.h"
#include "kernels/simt/operation_counts.h"

using namespace remeasure;
using namespace remeasure::kernels;
using namespace remeasure::kernels::testing;
using Complex = std::complex<double>;

namespace {

/// Phi(x) with explicit 2^n x 2^n matrices: H as a Kronecker power, the phases pair by pair.
std::vector<Complex> by_matrices(std::span<const double> x) {
  const int n = static_cast<int>(x.size());
  std::vector<Complex> hadamard{1};
  std::size_t size = 1;
  for (int i = 0; i < n; ++i, size *= 2) {
    std::vector<Complex> larger(4 * size * size);
    for (std::size_t r = 0; r < 2 * size; ++r) {
      for (std::size_t c = 0; c < 2 * size; ++c) {
        const double factor = (r >= size && c >= size ? -1 : 1) / std::sqrt(2.0);
        larger[r * 2 * size + c] = factor * hadamard[r % size * size + c % size];
      }
    }
    hadamard = larger;
  }
  std::vector<Complex> diagonal(size), state(size);
  for (std::size_t z = 0; z < size; ++z) {
    const auto sign = [z](int i) { return (z >> i & 1) != 0 ? -1.0 : 1.0; };
    double phase = 0;
    for (int i = 0; i < n; ++i) {
      phase += x[static_cast<std::size_t>(i)] * sign(i);
      for (int j = i + 1; j < n; ++j) {
        phase += (std::numbers::pi - x[static_cast<std::size_t>(i)]) *
                 (std::numbers::pi - x[static_cast<std::size_t>(j)]) * sign(i) * sign(j);
      }
    }
    diagonal[z] = std::polar(1.0, phase);
  }
  state[0] = 1;
  for (int layer = 0; layer < 2; ++layer) {
    std::vector<Complex> next(size);
    for (std::size_t r = 0; r < size; ++r) {
      for (std::size_t c = 0; c < size; ++c) next[r] += hadamard[r * size + c] * state[c];
      next[r] *= diagonal[r];
    }
    state = next;
  }
  return state;
}

double norm_of(std::span<const Complex> state) {
  double sum = 0;
  for (const Complex& amplitude : state) sum += std::norm(amplitude);
  return std::sqrt(sum);
}

}  // namespace

TEST_CASE("butterflies are the explicit Kronecker construction for 1 to 6 qubits", "[cpu]") {
  for (int n = 1; n <= 6; ++n) {
    const FeatureMapShape shape{5, n};
    const std::vector<double> x = random_points(shape);
    const std::vector<Complex> states = reference_states<double>(shape, x);
    for (std::size_t s = 0; s < 5; ++s) {
      const std::vector<Complex> expected =
          by_matrices(std::span(x).subspan(s * static_cast<std::size_t>(n), static_cast<std::size_t>(n)));
      for (std::size_t z = 0; z < expected.size(); ++z)
        REQUIRE(std::abs(states[s * expected.size() + z] - expected[z]) < 1e-12);
    }
  }
}

TEST_CASE("two Hadamard transforms are the identity", "[cpu]") {
  for (int n = 0; n <= 10; ++n) {
    std::vector<Complex> state(std::size_t{1} << n);
    for (std::size_t z = 0; z < state.size(); ++z)
      state[z] = {std::sin(3.0 * static_cast<double>(z) + 1), std::cos(static_cast<double>(z * z))};
    const std::vector<Complex> before = state;
    hadamard_all(std::span(state));
    if (n > 0) CHECK(std::abs(state[0] - before[0]) > 1e-3);
    hadamard_all(std::span(state));
    for (std::size_t z = 0; z < state.size(); ++z) REQUIRE(std::abs(state[z] - before[z]) < 1e-12);
  }
}

TEST_CASE("states have norm 1 in double and in float", "[cpu]") {
  for (const int n : {1, 2, 5, 10, 14}) {
    const FeatureMapShape shape{3, n};
    const std::vector<double> x = random_points(shape, 3);
    const std::vector<Complex> exact = reference_states<double>(shape, x);
    const std::vector<std::complex<float>> single = reference_states<float>(shape, x);
    for (std::size_t s = 0; s < 3; ++s) {
      CHECK(std::abs(norm_of(state_of(exact, shape, s)) - 1) < 1e-12);
      const auto part = state_of(single, shape, s);
      const std::vector<Complex> wide(part.begin(), part.end());
      CHECK(std::abs(norm_of(wide) - 1) < 1e-5);
    }
  }
}

TEST_CASE("a feature of one qubit has the period 2 pi, pairs of qubits haven't", "[cpu]") {
  const auto difference = [](const FeatureMapShape& shape, std::size_t moved) {
    std::vector<double> x = random_points(shape, 4);
    const std::vector<Complex> before = reference_states<double>(shape, x);
    x[moved] += 2 * std::numbers::pi;
    const std::vector<Complex> after = reference_states<double>(shape, x);
    // Of the kernel with sample 1, which stays.
    return std::abs(gram_entry(state_of(before, shape, 0), state_of(before, shape, 1)) -
                    gram_entry(state_of(after, shape, 0), state_of(after, shape, 1)));
  };
  CHECK(difference({2, 1}, 0) < 1e-12);
  for (const int n : {2, 3, 5}) CHECK(difference({2, n}, 0) > 1e-3);
}

TEST_CASE("gates act on their qubit and keep the norm", "[cpu]") {
  const QubitGate gate = after(phase_rotation(0.7), plane_rotation(1.1));
  std::vector<Complex> state = basis_state<double>(3, 5);
  apply_gate(std::span(state), 1, gate);
  CHECK(std::abs(state[5] - gate[0]) < 1e-15);
  CHECK(std::abs(state[7] - gate[2]) < 1e-15);
  hadamard_all(std::span(state));
  for (int qubit = 0; qubit < 3; ++qubit) apply_gate(std::span(state), qubit, gate);
  CHECK(std::abs(norm_of(state) - 1) < 1e-14);
  const std::vector<Complex> before = state;
  apply_controlled_z(std::span(state), 0, 2);
  for (std::size_t z = 0; z < 8; ++z)
    CHECK(std::abs(state[z] - ((z & 5) == 5 ? -before[z] : before[z])) < 1e-15);
  CHECK(parity_expectation(std::span<const Complex>(basis_state<double>(3, 3))) == 1);
  CHECK(parity_expectation(std::span<const Complex>(basis_state<double>(3, 7))) == -1);
  CHECK_THROWS_AS(apply_gate(std::span(state), 3, gate), std::invalid_argument);
  CHECK_THROWS_AS(apply_controlled_z(std::span(state), 1, 1), std::invalid_argument);
  CHECK_THROWS_AS(qubits_of(6), std::invalid_argument);
}

TEST_CASE("feature_map gives the states of the reference, from one thread a sample to passes over memory",
          "[simt]") {
  Device<Simt> device;
  for (const FeatureMapShape& shape :
       {FeatureMapShape{3, 1}, FeatureMapShape{300, 2}, FeatureMapShape{7, 3}, FeatureMapShape{5, 4},
        FeatureMapShape{130, 5}, FeatureMapShape{3, 7}, FeatureMapShape{2, 8}, FeatureMapShape{3, 9},
        FeatureMapShape{1, 11}, FeatureMapShape{2, 12}, FeatureMapShape{2, 13}, FeatureMapShape{1, 15},
        FeatureMapShape{1, 17}}) {
    INFO(shape.samples << " samples of " << shape.qubits << " qubits");
    const std::vector<double> x = random_points(shape, 7);
    const std::vector<float> states = run_feature_map(device, shape, x);
    CHECK(relative_error(states, pairs(reference_states<double>(shape, x))) < 1e-6);
  }
}

TEST_CASE("feature_map reduces its phases in double: angles of 16 qubits at the far corner stay exact",
          "[simt]") {
  // All phases reach hundreds of radians there; reduced in float the error would be 1e-5 and more.
  Device<Simt> device;
  const FeatureMapShape shape{1, 14};
  const std::vector<double> x(14, 6.2831);
  CHECK(relative_error(run_feature_map(device, shape, x), pairs(reference_states<double>(shape, x))) < 1e-6);
}

TEST_CASE("feature_phases and a Hadamard transform by another are the feature map", "[simt]") {
  Device<Simt> device;
  for (const FeatureMapShape& shape :
       {FeatureMapShape{300, 1}, FeatureMapShape{300, 2}, FeatureMapShape{300, 3}, FeatureMapShape{9, 6},
        FeatureMapShape{2, 10}}) {
    INFO(shape.samples << " samples of " << shape.qubits << " qubits");
    const std::vector<double> x = random_points(shape, 9);
    Stream<Simt> stream(device);
    DeviceBuffer<Simt, double> points(device, x.size());
    DeviceBuffer<Simt, float> buffer(device, shape.values());
    stream.upload(std::span<const double>(x), points.span());
    feature_phases<Simt>(stream, shape, true, points, buffer);
    std::vector<float> values(shape.values());
    stream.download(std::as_const(buffer).span(), std::span<float>(values));
    auto* const states = reinterpret_cast<std::complex<float>*>(values.data());
    for (std::size_t s = 0; s < static_cast<std::size_t>(shape.samples); ++s) {
      hadamard_all(std::span(states + s * shape.amplitudes(), shape.amplitudes()));
    }
    const auto undo =
        static_cast<float>(std::exp2(0.5 * shape.qubits));  // the first phases have both factors already
    for (float& value : values) value *= undo;
    stream.upload(std::span<const float>(values), buffer.span());
    feature_phases<Simt>(stream, shape, false, points, buffer);
    stream.download(std::as_const(buffer).span(), std::span<float>(values));
    CHECK(relative_error(values, pairs(reference_states<double>(shape, x))) < 1e-6);
  }
}

TEST_CASE("feature_map gives the same bits under every schedule", "[simt]") {
  Device<Simt> device;
  for (const FeatureMapShape& shape : {FeatureMapShape{20, 6}, FeatureMapShape{1, 13}}) {
    const std::vector<double> x = random_points(shape);
    const std::vector<float> first = run_feature_map(device, shape, x);
    for (const std::uint64_t seed : {1, 2, 3}) {
      device.engine().set_schedule(seed);
      CHECK(run_feature_map(device, shape, x) == first);
    }
    device.engine().set_schedule(0);
  }
}

TEST_CASE("feature_map executes the operations of its formula", "[simt]") {
  if constexpr (!simt::kOperationsCounted) SKIP_TEST("this compiler's assembly isn't counted");
  Device<Simt> device;
  for (const FeatureMapShape& shape :
       {FeatureMapShape{80, 2}, FeatureMapShape{3, 9}, FeatureMapShape{2, 13}}) {
    device.engine().reset_counts();
    run_feature_map(device, shape, random_points(shape));
    double flops = 0, special = 0;
    for (const auto& [name, counts] : device.engine().counts()) {
      flops += static_cast<double>(counts[simt::Counter::scalar_flops]);
      special += static_cast<double>(counts[simt::Counter::special_functions]);
    }
    const FeatureMapWork work = feature_map_work(shape);
    CHECK(std::abs(flops / work.flops - 1) < 0.02);
    CHECK(special == work.special);
  }
}

TEST_CASE("feature_map refuses what doesn't fit", "[simt]") {
  Device<Simt> device;
  Stream<Simt> stream(device);
  DeviceBuffer<Simt, double> x(device, 6);
  DeviceBuffer<Simt, float> states(device, 16);
  CHECK_THROWS_AS((feature_map<Simt>(stream, {2, 2}, x, states)), std::invalid_argument);
  CHECK_THROWS_AS((feature_map<Simt>(stream, {0, 2}, x, states)), std::invalid_argument);
  CHECK_THROWS_AS((feature_map<Simt>(stream, {3, 30}, x, states)), std::invalid_argument);
}
