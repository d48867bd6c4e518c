// SPDX-License-Identifier: Apache-2.0
#include "kernels/learning/support_vector.h"

#include <testing/catch.h>
#include <cmath>

#include "kernels/device/philox.h"

using namespace remeasure;
using namespace remeasure::kernels;

namespace {

struct Points {
  std::vector<double> x;
  std::vector<std::int8_t> y;
};

/// Two clouds around +-1 in the plane.
Points clouds(std::size_t m, double spread, std::uint64_t seed) {
  Points points;
  for (std::size_t i = 0; i < m; ++i) {
    const auto noise = normal_double(philox(seed, i));
    const double centre = i % 2 == 0 ? 1 : -1;
    points.x.insert(points.x.end(), {centre + spread * noise.first, spread * noise.second});
    points.y.push_back(i % 2 == 0 ? 1 : -1);
  }
  return points;
}

std::vector<double> linear_gram(const Points& p) {
  const std::size_t m = p.y.size();
  std::vector<double> gram(m * m);
  for (std::size_t i = 0; i < m; ++i) {
    for (std::size_t j = 0; j < m; ++j)
      gram[i * m + j] = p.x[2 * i] * p.x[2 * j] + p.x[2 * i + 1] * p.x[2 * j + 1];
  }
  return gram;
}

}  // namespace

TEST_CASE("two points have the machine of the text book", "[cpu]") {
  // x = 1 and x = -3 on a line: w = 1/2, b = 1/2, both alpha = 1/8.
  const std::vector<double> gram{1, -3, -3, 9};
  const std::vector<std::int8_t> y{1, -1};
  const SupportVectorMachine machine = train_support_vectors(gram, y);
  CHECK(machine.converged);
  CHECK(std::abs(machine.alpha[0] - 0.125) < 1e-12);
  CHECK(std::abs(machine.alpha[1] - 0.125) < 1e-12);
  CHECK(std::abs(machine.bias - 0.5) < 1e-12);
  const std::vector<double> at = decide(machine, std::vector<double>{2, -6}, y);
  CHECK(std::abs(at[0] - 1.5) < 1e-12);  // x = 2
}

TEST_CASE("machines fulfil their KKT conditions, and the primal is never below the dual", "[cpu]") {
  for (const double spread : {0.2, 1.0, 2.0}) {
    for (const double penalty : {0.1, 10.0, 1e4}) {
      INFO("spread " << spread << ", C " << penalty);
      const Points p = clouds(60, spread, 3);
      const std::vector<double> gram = radial_gram(p.x, p.x, 2, 1.0);
      const SupportVectorMachine machine = train_support_vectors(gram, p.y, {.penalty = penalty});
      REQUIRE(machine.converged);
      const Optimality optimum = optimality(machine, gram, p.y, penalty);
      CHECK(optimum.violation < 1e-6);
      CHECK(optimum.primal - optimum.dual >= -1e-9 * optimum.primal);
      // Each point's loss may be off by the tolerance.
      CHECK(optimum.primal - optimum.dual < 60 * penalty * 1e-6 + 1e-9 * optimum.primal);
      double sum = 0;
      for (std::size_t i = 0; i < 60; ++i) {
        CHECK(machine.alpha[i] >= 0);
        CHECK(machine.alpha[i] <= penalty);
        sum += machine.alpha[i] * p.y[i];
      }
      CHECK(std::abs(sum) < 1e-8 * penalty * 60);
    }
  }
}

TEST_CASE("separable clouds are separated, and a machine that isn't trained violates its conditions",
          "[cpu]") {
  const Points p = clouds(40, 0.2, 4);
  const std::vector<double> gram = linear_gram(p);
  const SupportVectorMachine machine = train_support_vectors(gram, p.y);
  const std::vector<double> decision = decide(machine, gram, p.y);
  for (std::size_t i = 0; i < 40; ++i) CHECK(decision[i] * p.y[i] > 1 - 1e-5);
  SupportVectorMachine nothing;
  nothing.alpha.assign(40, 0.0);
  CHECK(optimality(nothing, gram, p.y, 1e4).violation > 1);
  CHECK_THROWS_AS(train_support_vectors(gram, std::vector<std::int8_t>(40, 1)), std::invalid_argument);
  CHECK_THROWS_AS(train_support_vectors(std::vector<double>(9), p.y), std::invalid_argument);
}

TEST_CASE("clipping removes negative eigenvalues and leaves semidefinite matrices alone", "[cpu]") {
  const std::vector<double> indefinite{1, 2, 2, 1};  // eigenvalues 3 and -1
  CHECK(std::abs(smallest_eigenvalue(indefinite, 2) + 1) < 1e-12);
  for (const double value : clip_to_semidefinite(indefinite, 2)) CHECK(std::abs(value - 1.5) < 1e-12);
  const std::vector<double> definite{2, 1, 1, 2};
  const std::vector<double> same = clip_to_semidefinite(definite, 2);
  for (std::size_t i = 0; i < 4; ++i) CHECK(std::abs(same[i] - definite[i]) < 1e-12);
}
