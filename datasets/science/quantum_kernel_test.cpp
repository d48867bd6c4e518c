// SPDX-License-Identifier: Apache-2.0
#include "datasets/science/quantum_kernel.h"

#include <testing/catch.h>

#include <cmath>
#include <complex>
#include <numbers>

#include "datasets/science/feature_angles.h"
#include "datasets/test_support.h"

using namespace remeasure::datasets;
using namespace remeasure::datasets::testing;
using Complex = std::complex<double>;

namespace {

/// e(x) by the formulas alone: amplitudes as sums over all paths, no butterflies.
double expectation(int n, const double* x, const std::vector<double>& unitary) {
  const unsigned size = 1u << n;
  const auto sign = [](unsigned z, int bit) { return (z >> bit & 1) != 0 ? -1.0 : 1.0; };
  std::vector<Complex> phase(size), phi(size);
  for (unsigned z = 0; z < size; ++z) {
    double angle = 0;
    for (int i = 0; i < n; ++i) {
      angle += x[i] * sign(z, i);
      for (int j = 0; j < i; ++j)
        angle += (std::numbers::pi - x[i]) * (std::numbers::pi - x[j]) * sign(z, i) * sign(z, j);
    }
    phase[z] = std::polar(1.0, angle);
  }
  for (unsigned z = 0; z < size; ++z) {
    for (unsigned w = 0; w < size; ++w)
      phi[z] += (__builtin_popcount(z & w) % 2 == 0 ? 1.0 : -1.0) * phase[w] / static_cast<double>(size);
    phi[z] *= phase[z];
  }
  double result = 0;
  for (unsigned row = 0; row < size; ++row) {
    Complex amplitude = 0;
    for (unsigned z = 0; z < size; ++z)
      amplitude += Complex(unitary[2 * (row * size + z)], unitary[2 * (row * size + z) + 1]) * phi[z];
    result += (__builtin_popcount(row) % 2 == 0 ? 1 : -1) * std::norm(amplitude);
  }
  return result;
}

}  // namespace

TEST_CASE("quantum sets are balanced, outside the gap, and labelled by their unitary", "[cpu]") {
  const TemporaryFolder folder;
  Store store(folder.path());
  for (const auto& [n, gap] : {std::pair{2, 0.3}, {3, 0.3}, {5, 0.1}}) {
    const QuantumSets file =
        read_quantum_kernel(*store.open(quantum_kernel_definition, quantum_kernel(n, gap, 20, 15, 4)).reader);
    REQUIRE(file.sets.size() == 3);
    CHECK(file.qubits == n);
    CHECK(file.train == 20);
    for (const QuantumSet& set : file.sets) {
      REQUIRE(set.y.size() == 70);
      int train = 0, test = 0;
      for (std::size_t i = 0; i < 70; ++i) {
        (i < 40 ? train : test) += set.y[i];
        REQUIRE(std::abs(set.e[i]) > gap);
        REQUIRE((set.e[i] > 0) == (set.y[i] > 0));
        REQUIRE(std::abs(set.e[i] - expectation(n, set.x.data() + i * static_cast<std::size_t>(n),
                                                set.unitary)) < 1e-12);
      }
      CHECK(train == 0);
      CHECK(test == 0);
      CHECK(set.draws >= 70);
    }
    CHECK(file.sets[0].x != file.sets[1].x);
    CHECK(file.sets[0].unitary != file.sets[1].unitary);
  }
}

TEST_CASE("two qubits with a gap of 0.3 take a few hundred draws for 80 points", "[cpu]") {
  double draws = 0;
  for (int set = 0; set < 10; ++set) draws += make_quantum_set(2, 0.3, 20, 20, 5, set).draws / 10;
  CHECK(draws > 120);
  CHECK(draws < 450);  // a set with few points of one label takes longer
  using Catch::Matchers::ContainsSubstring;
  REQUIRE_THROWS_WITH(make_quantum_set(8, 0.9, 2, 2, 1, 0), ContainsSubstring("smaller gap"));
  REQUIRE_THROWS_WITH(make_quantum_set(11, 0.3, 2, 2, 1, 0), ContainsSubstring("11 qubits"));
}

TEST_CASE("Haar unitaries are unitary, and their entries have the moments of the Haar measure", "[cpu]") {
  double fourth = 0, trace = 0;
  const int kMany = 400;
  for (int k = 0; k < kMany; ++k) {
    const std::vector<double> v = haar_unitary(2, 3, static_cast<std::uint64_t>(k));
    Complex diagonal = 0;
    for (std::size_t i = 0; i < 4; ++i) {
      for (std::size_t j = 0; j <= i; ++j) {
        Complex product = 0;
        for (std::size_t z = 0; z < 4; ++z) {
          product += Complex(v[2 * (4 * i + z)], v[2 * (4 * i + z) + 1]) *
                     std::conj(Complex(v[2 * (4 * j + z)], v[2 * (4 * j + z) + 1]));
        }
        REQUIRE(std::abs(product - (i == j ? 1.0 : 0.0)) < 1e-14);
      }
      diagonal += Complex(v[10 * i], v[10 * i + 1]);
    }
    fourth += std::pow(v[0] * v[0] + v[1] * v[1], 2) / kMany;
    trace += std::norm(diagonal) / kMany;
  }
  CHECK(std::abs(fourth - 2.0 / 20) < 0.02);  // E |V_00|^4 = 2 / (d (d + 1)) for d = 4
  CHECK(std::abs(trace - 1) <
        0.2);  // E |tr V|^2 = 1: of the Haar measure, not of eigenvectors in their order
}

TEST_CASE("qiskit's grid of labels is imported, and other files are refused", "[cpu]") {
  const TemporaryFolder folder;
  Store store(folder.path());
  const std::filesystem::path file = folder.path() / "sample_total.npy";
  std::vector<float> labels(10'000, 0.0f);
  for (std::size_t i = 0; i < 100; ++i) labels[i * 100 + 7] = 1, labels[i * 100 + 50] = -1;
  write_npy(file, {100, 100}, labels);
  store.import(quantum_kernel_definition, file, quantum_kernel(2, 0.3, 20, 20, 1));
  const Opened opened = store.open(quantum_kernel_definition, quantum_kernel(2, 0.3, 20, 20, 1));
  CHECK_FALSE(opened.provenance.synthetic);
  const QuantumSets sets = read_quantum_kernel(*opened.reader);
  REQUIRE(sets.sets.size() == 1);
  const QuantumSet& set = sets.sets[0];
  CHECK(set.unitary.empty());
  for (std::size_t i = 0; i < 80; ++i) {
    CHECK(std::isnan(set.e[i]));
    CHECK(std::abs(set.x[2 * i + 1] - 2 * std::numbers::pi * (set.y[i] > 0 ? 0.07 : 0.5)) < 1e-12);
  }
  using Catch::Matchers::ContainsSubstring;
  REQUIRE_THROWS_WITH(store.import(quantum_kernel_definition, file, quantum_kernel(3, 0.3, 20, 20, 1)),
                      ContainsSubstring("for 3 qubits"));
  REQUIRE_THROWS_WITH(store.import(quantum_kernel_definition, file, quantum_kernel(2, 0.3, 90, 20, 1)),
                      ContainsSubstring("fewer than 110"));
  labels[3] = 2;
  write_npy(file, {100, 100}, labels);
  REQUIRE_THROWS_WITH(store.import(quantum_kernel_definition, file, quantum_kernel(2, 0.3, 20, 20, 1)),
                      ContainsSubstring("label 2 at [0, 3]"));
}

TEST_CASE("feature angles fill their interval evenly", "[cpu]") {
  const TemporaryFolder folder;
  Store store(folder.path());
  const std::vector<double> x =
      read_feature_angles(*store.open(feature_angles_definition, feature_angles(2000, 3, 2)).reader);
  REQUIRE(x.size() == 6000);
  double mean = 0, squares = 0;
  for (const double value : x) {
    mean += (value / std::numbers::pi - 1) / 6000;
    squares += std::pow(value / std::numbers::pi - 1, 2) / 6000;
  }
  CHECK(std::abs(mean) < 0.04);
  CHECK(std::abs(squares - 1.0 / 3) < 0.02);
}
