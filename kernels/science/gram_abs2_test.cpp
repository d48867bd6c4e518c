// SPDX-License-Identifier: Apache-2.0
#include <testing/catch.h>
#include <cmath>

#include "kernels/science/binomial_draw.h"
#include "kernels/science/testing/quantum_problem.h"
#include "kernels/simt/engine.h"
#include "kernels/simt/operation_counts.h"

using namespace remeasure;
using namespace remeasure::kernels;
using namespace remeasure::kernels::testing;

namespace {

template <class T, class U>
double largest_difference(const std::vector<T>& a, const std::vector<U>& b) {
  double largest = a.size() == b.size() ? 0 : INFINITY;
  for (std::size_t i = 0; i < a.size() && i < b.size(); ++i) {
    const double difference = std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i]));
    if (!(difference <= largest)) largest = difference;
  }
  return largest;
}

std::vector<std::complex<double>> widened(const std::vector<std::complex<float>>& states) {
  return {states.begin(), states.end()};
}

struct Pair {
  std::vector<std::complex<float>> a, b;
};
Pair states_of(int rows, int columns, int qubits) {
  const FeatureMapShape left{rows, qubits}, right{columns, qubits};
  return {reference_states<float>(left, random_points(left, 1)),
          reference_states<float>(right, random_points(right, 2))};
}

}  // namespace

TEST_CASE("gram_abs2 is |<b|a>|^2 to float accuracy, at sizes around its tiles", "[simt]") {
  Device<Simt> device;
  struct Size {
    int rows, columns, qubits;
  };
  for (const Size& size :
       {Size{1, 1, 1}, Size{5, 70, 2}, Size{64, 64, 3}, Size{65, 3, 4}, Size{33, 65, 5}, Size{70, 130, 6}}) {
    INFO(size.rows << " x " << size.columns << ", " << size.qubits << " qubits");
    const Pair states = states_of(size.rows, size.columns, size.qubits);
    const GramShape shape{size.rows, size.columns, size.qubits, false};
    const std::vector<double> exact = reference_gram(shape, widened(states.a), widened(states.b));
    CHECK(largest_difference(run_gram(device, shape, {}, states.a, states.b), exact) < 3e-6);
  }
}

TEST_CASE("a symmetric gram_abs2 computes half and mirrors the rest exactly", "[simt]") {
  Device<Simt> device;
  for (const auto& [m, qubits] : {std::pair{1, 2}, {40, 2}, {65, 5}, {129, 3}, {200, 4}}) {
    INFO(m << " samples of " << qubits << " qubits");
    const Pair states = states_of(m, m, qubits);
    const GramShape shape{m, m, qubits, true};
    const std::vector<float> gram = run_gram(device, shape, {}, states.a, states.a);
    CHECK(largest_difference(gram, reference_gram(shape, widened(states.a), widened(states.a))) < 3e-6);
    const auto side = static_cast<std::size_t>(m);
    for (std::size_t r = 0; r < side; ++r) {
      CHECK(std::abs(gram[r * side + r] - 1) < 2e-6f);
      for (std::size_t c = 0; c < r; ++c) REQUIRE(gram[r * side + c] == gram[c * side + r]);
    }
  }
}

TEST_CASE("three TF32 products keep float accuracy over thousands of amplitudes; one wouldn't", "[simt]") {
  Device<Simt> device;
  const Pair states = states_of(3, 2, 12);
  const GramShape shape{3, 2, 12, false};
  // Nearly equal states, so that the entries are near 1 and every amplitude counts. A TF32 product alone errs
  // by 1e-4.
  Pair close = states;
  for (std::size_t i = 0; i < close.b.size(); ++i) close.b[i] = close.a[i] * std::complex<float>(0.8f, 0.6f);
  const std::vector<double> exact = reference_gram(shape, widened(close.a), widened(close.b));
  CHECK(exact[0] > 0.99);
  CHECK(largest_difference(run_gram(device, shape, {}, close.a, close.b), exact) < 3e-6);
}

TEST_CASE("depolarising noise draws entries towards 2^-n, and shots are drawn once for both sides",
          "[simt]") {
  Device<Simt> device;
  const Pair states = states_of(70, 70, 2);
  const GramShape shape{70, 70, 2, true};
  const std::vector<double> exact = reference_gram(shape, widened(states.a), widened(states.a));
  const Measurement noisy{.depolarising = 0.1};
  const std::vector<float> dimmed = run_gram(device, shape, noisy, states.a, states.a);
  for (std::size_t i = 0; i < exact.size(); ++i)
    REQUIRE(std::abs(static_cast<double>(dimmed[i]) - (0.81 * exact[i] + 0.19 / 4)) < 1e-6);
  const Measurement counted{.shots = 1000, .depolarising = 0.05, .seed = 9};
  const std::vector<float> drawn = run_gram(device, shape, counted, states.a, states.a);
  const std::vector<double> expected = measured_gram(shape, counted, exact);
  std::size_t different = 0;
  for (std::size_t r = 0; r < 70; ++r) {
    for (std::size_t c = 0; c < 70; ++c) {
      const std::size_t i = r * 70 + c;
      REQUIRE(drawn[i] == drawn[c * 70 + r]);
      // float and double probabilities differ in the last bits: a draw may then fall on the other side of a
      // step.
      REQUIRE(std::abs(static_cast<double>(drawn[i]) * 1000 -
                       std::round(static_cast<double>(drawn[i]) * 1000)) < 1e-2);
      if (std::abs(static_cast<double>(drawn[i]) - expected[i]) > 1e-6) ++different;
    }
  }
  CHECK(different < 15);
  const GramShape whole{70, 33, 2, false};  // of two sets of states
  const Pair two = states_of(70, 33, 2);
  const std::vector<double> wanted =
      measured_gram(whole, counted, reference_gram(whole, widened(two.a), widened(two.b)));
  const std::vector<float> both = run_gram(device, whole, counted, two.a, two.b);
  std::size_t others = 0;
  for (std::size_t i = 0; i < wanted.size(); ++i)
    others += std::abs(static_cast<double>(both[i]) - wanted[i]) > 1e-6 ? 1 : 0;
  CHECK(others < 8);
  CHECK(run_gram(device, shape, {.shots = 1000, .depolarising = 0.05, .seed = 10}, states.a, states.a) !=
        drawn);
}

TEST_CASE("gram_abs2 gives the same bits under every schedule", "[simt]") {
  Device<Simt> device;
  const Pair states = states_of(70, 70, 5);
  const GramShape shape{70, 70, 5, true};
  const Measurement measurement{.shots = 500, .seed = 3};
  const std::vector<float> first = run_gram(device, shape, measurement, states.a, states.a);
  for (const std::uint64_t seed : {1, 2, 3}) {
    device.engine().set_schedule(seed);
    CHECK(run_gram(device, shape, measurement, states.a, states.a) == first);
  }
}

TEST_CASE("gram_abs2 executes the operations of its formula", "[simt]") {
  if constexpr (!simt::kOperationsCounted) SKIP_TEST("this compiler's assembly isn't counted");
  Device<Simt> device;
  for (const GramShape& shape : {GramShape{70, 70, 5, true}, GramShape{10, 70, 6, false}}) {
    const Pair states = states_of(shape.rows, shape.columns, shape.qubits);
    device.engine().reset_counts();
    run_gram(device, shape, {}, states.a, shape.symmetric ? states.a : states.b);
    const simt::LaunchCounts counts = device.engine().counts("gram_abs2");
    const double flops = static_cast<double>(counts[simt::Counter::scalar_flops]) +
                         static_cast<double>(counts[simt::Counter::mma_flops]);
    CHECK(std::abs(flops / gram_abs2_work(shape).flops - 1) < 0.02);
  }
}

TEST_CASE("abs2_of_products takes every entry, or mirrors those above the diagonal", "[simt]") {
  Device<Simt> device;
  Stream<Simt> stream(device);
  const int m = 20;
  std::vector<float> products(2 * m * m);
  for (std::size_t i = 0; i < products.size(); ++i)
    products[i] = static_cast<float>(std::sin(static_cast<double>(i)));
  DeviceBuffer<Simt, float> from(device, products.size()), to(device, m * m);
  stream.upload(std::span<const float>(products), from.span());
  for (const bool symmetric : {false, true}) {
    abs2_of_products<Simt>(stream, {m, m, 3, symmetric}, from, to);
    std::vector<float> gram(m * m);
    stream.download(std::as_const(to).span(), std::span<float>(gram));
    for (std::size_t r = 0; r < m; ++r) {
      for (std::size_t c = 0; c < m; ++c) {
        const std::size_t i = symmetric && r > c ? c * m + r : r * m + c;
        REQUIRE(std::abs(gram[r * m + c] - (products[2 * i] * products[2 * i] +
                                            products[2 * i + 1] * products[2 * i + 1])) < 1e-6f);
      }
    }
  }
}

TEST_CASE("binomial draws have the mean, the variance and the tails of the distribution", "[cpu]") {
  struct Row {
    int shots;
    double p;
  };
  for (const Row& row : {Row{1, 0.3}, Row{20, 0.05}, Row{20, 0.5}, Row{100, 0.2}, Row{1000, 0.9},
                         Row{50'000, 0.3}, Row{50'000, 1e-4}, Row{50'000, 0.9999}, Row{30, 0.4}}) {
    INFO(row.shots << " shots of " << row.p);
    const int kMany = 20'000;
    double mean = 0, squares = 0, below = 0;
    const double centre = row.shots * row.p, deviation = std::sqrt(centre * (1 - row.p));
    for (int i = 0; i < kMany; ++i) {
      const int k = binomial_draw(row.shots, row.p, 5, static_cast<std::uint64_t>(i));
      REQUIRE(k >= 0);
      REQUIRE(k <= row.shots);
      mean += (k - centre) / kMany;
      squares += (k - centre) * (k - centre) / kMany;
      below += k <= centre - 0.5 ? 1.0 / kMany : 0;
    }
    CHECK(std::abs(mean) < 4 * deviation / std::sqrt(kMany));
    CHECK(std::abs(squares / (deviation * deviation) - 1) < 0.08);
    double exact = 0;  // of k <= centre - 1/2
    for (int k = 0; k <= std::floor(centre - 0.5); ++k) {
      exact +=
          std::exp(std::lgamma(row.shots + 1.0) - std::lgamma(k + 1.0) - std::lgamma(row.shots - k + 1.0) +
                   k * std::log(row.p) + (row.shots - k) * std::log1p(-row.p));
    }
    CHECK(std::abs(below - exact) < 0.015);
  }
  CHECK(binomial_draw(100, 0.0, 1, 1) == 0);
  CHECK(binomial_draw(100, -1e-9, 1, 1) == 0);
  CHECK(binomial_draw(100, 1.0, 1, 1) == 100);
}

TEST_CASE("gram_abs2 refuses what doesn't fit", "[simt]") {
  Device<Simt> device;
  Stream<Simt> stream(device);
  DeviceBuffer<Simt, float> a(device, 16), b(device, 16), gram(device, 4);
  CHECK_THROWS_AS((gram_abs2<Simt>(stream, {2, 2, 2, true}, {}, a, b, gram)), std::invalid_argument);
  CHECK_THROWS_AS((gram_abs2<Simt>(stream, {2, 2, 3, false}, {}, a, b, gram)), std::invalid_argument);
  CHECK_THROWS_AS((gram_abs2<Simt>(stream, {2, 2, 2, false}, {.depolarising = 2}, a, b, gram)),
                  std::invalid_argument);
  CHECK_THROWS_AS((abs2_of_products<Simt>(stream, {2, 2, 2, false}, a, gram)), std::invalid_argument);
}
