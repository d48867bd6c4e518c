// SPDX-License-Identifier: Apache-2.0
#include "baselines/learning/least_squares.h"

#include <testing/catch.h>
#include <cmath>
#include <random>
#include <vector>

#include "kernels/learning/minnorm_sweep_reference.h"

using namespace remeasure;
using namespace remeasure::baselines;

TEST_CASE("Eigen's least-squares sweeps agree with the oracle", "[cpu]") {
  const SweepShape shape{.trials = 3, .samples = 20, .features = 60, .noise = 0.1, .isotropic = false};
  const std::vector<int> sizes{0, 1, 10, 18, 20, 22, 40, 60};
  std::mt19937 random(3);
  std::normal_distribution<float> normal;
  std::vector<float> x(3 * 60 * 20), y(3 * 20), beta(60), variance(60);
  for (auto* values : {&x, &y, &beta}) {
    for (float& value : *values) value = normal(random);
  }
  for (std::size_t j = 0; j < variance.size(); ++j) variance[j] = 0.5f + static_cast<float>(j % 3);
  const kernels::SweepOracle oracle = kernels::minnorm_sweep_oracle(shape, sizes, {x, y, beta, variance}, 3);
  for (const EigenSolver solver : {EigenSolver::cholesky, EigenSolver::orthogonal}) {
    std::vector<float> risk(sizes.size() * 3);
    least_squares_eigen(shape, sizes, x, y, beta, variance, solver, risk, 2);
    for (std::size_t i = 0; i < risk.size(); ++i) {
      INFO("problem " << i);
      REQUIRE(std::fabs(static_cast<double>(risk[i]) - oracle.risk[i]) < 1e-4 * oracle.scale[i]);
    }
  }
}
