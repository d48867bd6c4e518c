// SPDX-License-Identifier: Apache-2.0
#include "baselines/science/quantum_states.h"

#include <testing/catch.h>
#include <cmath>

#include "kernels/device/testing/relative_error.h"
#include "kernels/science/testing/quantum_problem.h"

using namespace remeasure;
using namespace remeasure::baselines;
using namespace remeasure::kernels::testing;

TEST_CASE("explicit matrices by Eigen give the states of the butterflies", "[cpu]") {
  for (const FeatureMapShape& shape :
       {FeatureMapShape{1, 1}, FeatureMapShape{7, 2}, FeatureMapShape{5, 3}, FeatureMapShape{3, 7}}) {
    const std::vector<double> x = random_points(shape);
    std::vector<std::complex<float>> states(shape.values() / 2);
    feature_map_eigen(shape, x, states);
    CHECK(relative_error(pairs(states), pairs(reference_states<double>(shape, x))) < 1e-6);
  }
  std::vector<std::complex<float>> states(4);
  const std::vector<double> x(2);
  CHECK_THROWS_AS(feature_map_eigen({1, 13}, x, states), std::invalid_argument);
}

TEST_CASE("Eigen's kernel matrix is that of the reference, also where it isn't square", "[cpu]") {
  const FeatureMapShape left{9, 4}, right{5, 4};
  const auto a = reference_states<float>(left, random_points(left, 1)),
             b = reference_states<float>(right, random_points(right, 2));
  for (const bool symmetric : {false, true}) {
    const GramShape shape{9, symmetric ? 9 : 5, 4, symmetric};
    const auto& other = symmetric ? a : b;
    std::vector<float> gram(shape.entries());
    gram_eigen(shape, a, other, gram);
    for (std::size_t r = 0; r < 9; ++r) {
      for (std::size_t c = 0; c < static_cast<std::size_t>(shape.columns); ++c) {
        const double exact = kernels::gram_entry(state_of(a, left, r), state_of(other, left, c));
        CHECK(std::abs(static_cast<double>(gram[r * static_cast<std::size_t>(shape.columns) + c]) - exact) <
              1e-6);
      }
    }
  }
}

TEST_CASE("a unitary takes 2^(n + 1) times its state's bytes", "[cpu]") {
  for (const int n : {2, 5, 16}) {
    CHECK(explicit_unitary_bytes(n) / (8 * std::exp2(n)) == std::exp2(n + 1));
  }
}
