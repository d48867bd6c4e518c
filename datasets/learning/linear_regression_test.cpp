// SPDX-License-Identifier: Apache-2.0
#include "datasets/learning/linear_regression.h"

#include <testing/catch.h>
#include <cmath>

#include "datasets/random.h"
#include "datasets/test_support.h"

using namespace remeasure::datasets;
using namespace remeasure::datasets::testing;
using Catch::Matchers::ContainsSubstring;

namespace {

LinearRegression problem(const RegressionChoice& choice, std::uint64_t seed = 3) {
  const TemporaryFolder folder;
  return read_linear_regression(
      *Store(folder.path()).open(linear_regression_definition, linear_regression(choice, seed)).reader);
}

}  // namespace

TEST_CASE("regenerated trials are those of the file, bit for bit", "[cpu]") {
  for (const char* order : {"natural", "reversed", "random"}) {
    const LinearRegression stored =
        problem({.samples = 7, .features = 19, .trials = 4, .spectrum = "dct", .order = order});
    LinearRegression one = stored;
    one.trials = 1;
    const LinearRegression again = with_trials(one, 4);
    CHECK(again.x == stored.x);
    CHECK(again.y == stored.y);
  }
}

TEST_CASE("responses are the true coefficients times the features plus noise of the stated variance",
          "[cpu]") {
  const LinearRegression p = problem({.samples = 50, .features = 40, .trials = 40, .noise = 0.25});
  double residual = 0, signal = 0;
  for (int t = 0; t < p.trials; ++t) {
    for (int i = 0; i < p.samples; ++i) {
      double sum = 0;
      for (int j = 0; j < p.features; ++j) {
        sum += static_cast<double>(p.beta[static_cast<std::size_t>(j)]) *
               static_cast<double>(p.x[static_cast<std::size_t>((t * p.features + j) * p.samples + i)]);
      }
      const double difference = static_cast<double>(p.y[static_cast<std::size_t>(t * p.samples + i)]) - sum;
      residual += difference * difference;
      signal += sum * sum;
    }
  }
  const double n =
      p.trials * p.samples;  // the mean of n squares of N(0, s) has standard deviation s sqrt(2 / n)
  CHECK(std::fabs(residual / n - 0.25) < 5 * 0.25 * std::sqrt(2 / n));
  CHECK(std::fabs(signal / n - 1) < 5 * std::sqrt(2 / n));
}

TEST_CASE("spectra, signals and orders are what they say", "[cpu]") {
  const auto power = [](const LinearRegression& p) {
    double sum = 0;
    for (std::size_t j = 0; j < p.beta.size(); ++j) {
      sum += static_cast<double>(p.variance[j]) * static_cast<double>(p.beta[j]) *
             static_cast<double>(p.beta[j]);
    }
    return sum;
  };
  for (const char* spectrum : {"isotropic", "dct", "benign", "steep"}) {
    CHECK(std::fabs(power(problem({.trials = 1, .spectrum = spectrum})) - 1) < 1e-6);
  }
  const LinearRegression decaying = problem({.trials = 1, .signal = "decaying", .order = "natural"});
  CHECK(std::fabs(decaying.beta[0] / decaying.beta[9]) > 9.999f);
  CHECK(std::fabs(decaying.beta[0] / decaying.beta[9]) < 10.001f);
  const LinearRegression reversed = problem({.trials = 1, .signal = "decaying", .order = "reversed"});
  CHECK(reversed.beta.back() == decaying.beta.front());
  CHECK(power(problem({.trials = 1, .signal = "none"})) == 0);
  CHECK(problem({.trials = 1, .spectrum = "benign", .order = "natural"}).variance[8] == 0.01f);
  CHECK_THROWS_WITH(problem({.spectrum = "flat"}), ContainsSubstring("spectrum \"flat\""));
  CHECK_THROWS_WITH(problem({.signal = "flat"}), ContainsSubstring("signal \"flat\""));
  CHECK_THROWS_WITH(problem({.order = "flat"}), ContainsSubstring("order \"flat\""));
  CHECK_THROWS_WITH(problem({.noise = -1}), ContainsSubstring("noise is -1"));
}

TEST_CASE("the dct spectrum is that of the DCT coefficients of a smooth signal", "[cpu]") {
  // s(t) = sum_k c_k b_k(t) with orthonormal cosines b_k and independent c_k ~ N(0, v_k) is smooth; its DCT
  // gives c back.
  const LinearRegression p =
      problem({.samples = 3, .features = 64, .trials = 1, .spectrum = "dct", .order = "natural"});
  constexpr int n = 64;
  const auto basis = [](int k, int t) {
    return std::sqrt((k == 0 ? 1.0 : 2.0) / n) * portable_cospi((t + 0.5) * k / n);
  };
  for (int i = 0; i < p.samples; ++i) {
    std::vector<double> signal(n, 0.0);
    for (int k = 0; k < n; ++k) {
      for (int t = 0; t < n; ++t) {
        signal[static_cast<std::size_t>(t)] +=
            static_cast<double>(p.x[static_cast<std::size_t>(k * p.samples + i)]) * basis(k, t);
      }
    }
    double roughness = 0, size = 0;
    for (std::size_t t = 1; t < n; ++t) {
      roughness += (signal[t] - signal[t - 1]) * (signal[t] - signal[t - 1]);
      size += 2 * signal[t] * signal[t];
    }
    CHECK(roughness / size < 0.35);  // 1 for white noise, whose neighbours are independent
    for (int k = 0; k < n; ++k) {
      double coefficient = 0;
      for (int t = 0; t < n; ++t) coefficient += signal[static_cast<std::size_t>(t)] * basis(k, t);
      REQUIRE(std::fabs(coefficient - static_cast<double>(p.x[static_cast<std::size_t>(k * p.samples + i)])) <
              1e-12);
    }
  }
}
