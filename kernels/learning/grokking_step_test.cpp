// SPDX-License-Identifier: Apache-2.0
//
// The products, the gather layer, and the whole training step on them.
#include "kernels/learning/grokking_step.h"

#include <testing/catch.h>
#include <cmath>

#include "kernels/device/philox.h"
#include "kernels/device/testing/normal_values.h"
#include "kernels/device/testing/relative_error.h"
#include "kernels/device/testing/test_bench.h"
#include "kernels/learning/testing/gradient_check.h"
#include "kernels/simt/engine.h"

using namespace remeasure;
using namespace remeasure::kernels;
using Catch::Matchers::ContainsSubstring;
using remeasure::kernels::testing::normal_values;
using remeasure::kernels::testing::relative_error;
using remeasure::testing::TestBench;

namespace {

std::size_t area(int a, int b) {
  return static_cast<std::size_t>(a) * static_cast<std::size_t>(b);
}

struct Operands {
  std::vector<float> a, b, mask;
  explicit Operands(const DenseProduct& p)
      : a(normal_values(area(p.rows, p.inner), 1)), b(normal_values(area(p.inner, p.columns), 2)) {
    if (p.epilogue == DenseEpilogue::mask) mask = normal_values(area(p.rows, p.columns), 3);
  }
};

template <class Target>
std::vector<float> multiply(TestBench<Target>& bench, const DenseProduct& p, const Operands& o) {
  const auto a = bench.upload(o.a), b = bench.upload(o.b), mask = bench.upload(o.mask);
  auto c = bench.template output<float>(area(p.rows, p.columns)),
       workspace = bench.template output<float>(dense_workspace(p));
  dense_product<Target>(bench.stream(), p, a.span(), b.span(), c, mask.span(), workspace);
  return bench.download(c);
}

std::vector<double> multiplied(const DenseProduct& p, const Operands& o) {
  std::vector<double> c;
  for (int m = 0; m < p.rows; ++m) {
    for (int n = 0; n < p.columns; ++n) {
      double sum = 0;
      for (int k = 0; k < p.inner; ++k) {
        const std::size_t a = p.transpose_a ? area(k, p.rows) + static_cast<std::size_t>(m)
                                            : area(m, p.inner) + static_cast<std::size_t>(k);
        const std::size_t b = p.transpose_b ? area(n, p.inner) + static_cast<std::size_t>(k)
                                            : area(k, p.columns) + static_cast<std::size_t>(n);
        sum += static_cast<double>(o.a[a]) * static_cast<double>(o.b[b]);
      }
      if (p.epilogue == DenseEpilogue::relu) sum = std::max(sum, 0.0);
      if (p.epilogue == DenseEpilogue::mask && o.mask[c.size()] <= 0) sum = 0;
      c.push_back(sum);
    }
  }
  return c;
}

struct Training {
  GrokkingShape shape;
  std::vector<std::uint16_t> pairs, labels;
  std::vector<float> weights, mean, square;
  PairSegments segments;

  Training(int rows, int modulus, int hidden) : shape{rows, modulus, hidden} {
    for (int i = 0; i < rows; ++i) {
      const Philox4 random = philox(11, static_cast<std::uint64_t>(i));
      const auto x = static_cast<std::uint16_t>(random.word[0] % static_cast<unsigned>(modulus)),
                 y = static_cast<std::uint16_t>(random.word[1] % static_cast<unsigned>(modulus));
      pairs.insert(pairs.end(), {x, y});
      labels.push_back(static_cast<std::uint16_t>((x + y) % modulus));
    }
    const auto total = static_cast<std::size_t>(shape.tensors().total());
    weights = normal_values(total, 12, 0.4);
    mean = normal_values(total, 13, 1e-3);
    square = normal_values(total, 14, 1e-3);
    for (float& v : square) v *= v;
    segments = pair_segments(modulus, pairs);
  }
  template <class T>
  GrokkingSamples<T> samples() const {
    return {.pairs = pairs, .features = {}, .labels = labels};
  }
  std::span<const float> tensor(int i) const {
    const TensorList list = shape.tensors();
    return std::span(weights).subspan(static_cast<std::size_t>(list.begin[i]),
                                      static_cast<std::size_t>(list.size(i)));
  }
  template <class T>
  GrokkingNetwork<T> network() const {
    GrokkingNetwork<T> network(2 * shape.modulus, shape.hidden, shape.modulus);
    network.set_weights(tensor(0), tensor(1), tensor(2));
    return network;
  }
};

struct Stepped {
  std::vector<float> weights, gradient, losses;
  std::vector<std::uint32_t> collapsed;
  bool operator==(const Stepped&) const = default;
};

template <class Target>
Stepped step_on(TestBench<Target>& bench, const Training& t, GrokkingLoss loss, const PerpAdamW& settings) {
  const auto pairs = bench.upload(t.pairs), labels = bench.upload(t.labels);
  const auto begin = bench.upload(t.segments.begin), rows = bench.upload(t.segments.rows);
  const auto w = bench.upload(t.weights), m = bench.upload(t.mean), v = bench.upload(t.square);
  auto new_w = bench.template output<float>(w.size()), new_m = bench.template output<float>(w.size()),
       new_v = bench.template output<float>(w.size()), gradient = bench.template output<float>(w.size()),
       losses = bench.template output<float>(t.labels.size());
  auto collapsed = bench.template output<std::uint32_t>(t.shape.losses().mask_words());
  GrokkingStep<Target> step(bench.stream(), t.shape, loss, settings);
  step(20, {pairs.span(), labels.span(), begin.span(), rows.span()},
       {w.span(), m.span(), v.span(), new_w.span(), new_m.span(), new_v.span()},
       {gradient.span(), losses.span(), collapsed.span()});
  return {bench.download(new_w), bench.download(gradient), bench.download(losses), bench.download(collapsed)};
}

std::vector<double> flat_gradient(GrokkingNetwork<double>& network) {
  std::vector<double> flat;
  for (layers::Parameter<double>* parameter : network.parameters()) {
    const auto values = layers::values(std::as_const(parameter->gradient));
    flat.insert(flat.end(), values.begin(), values.end());
  }
  return flat;
}

}  // namespace

TEST_CASE("dense_product is the product in double, at odd sizes and in all forms", "[simt]") {
  TestBench<Simt> bench;
  for (const auto& [rows, columns, inner] :
       {std::array{1, 1, 1}, {65, 64, 16}, {70, 33, 17}, {64, 130, 100}, {20, 30, 1500}}) {
    for (const auto& [ta, tb] : {std::pair{false, false}, {false, true}, {true, false}}) {
      for (const auto epilogue : {DenseEpilogue::none, DenseEpilogue::relu, DenseEpilogue::mask}) {
        const DenseProduct p{rows, columns, inner, ta, tb, epilogue};
        const Operands operands(p);
        const std::vector<double> exact = multiplied(p, operands);
        const std::vector<float> c = multiply(bench, p, operands);
        INFO(rows << " x " << columns << " x " << inner << (ta ? " Ta" : "") << (tb ? " Tb" : ""));
        for (std::size_t i = 0; i < c.size(); ++i)
          REQUIRE(std::abs(static_cast<double>(c[i]) - exact[i]) < 1e-6 * inner);
      }
    }
  }
  CHECK(dense_plan({20, 30, 1500, true, false}).parts == 6);
  CHECK(dense_plan({20, 30, 1500, true, false, DenseEpilogue::relu}).parts == 1);
}

TEST_CASE("dense_product has the same bits in every schedule, in one part and in several", "[simt]") {
  TestBench<Simt> bench;
  for (const DenseProduct& p :
       {DenseProduct{70, 65, 40, false, true}, DenseProduct{20, 70, 1100, true, false}}) {
    const Operands operands(p);
    const std::vector<float> first = multiply(bench, p, operands);
    for (const std::uint64_t seed : {1, 2}) {
      bench.device().engine().set_schedule(seed);
      CHECK(multiply(bench, p, operands) == first);
    }
    bench.device().engine().set_schedule(0);
  }
}

TEST_CASE("dense_product refuses what doesn't fit", "[simt]") {
  TestBench<Simt> bench;
  DenseProduct p{3, 4, 5};
  const Operands operands(p);
  p.inner = 6;
  CHECK_THROWS_WITH(multiply(bench, p, operands), ContainsSubstring("15, 20 and 12 values"));
  p = {3, 4, 5, true, true};
  CHECK_THROWS_WITH(multiply(bench, p, operands), ContainsSubstring("both operands"));
}

TEST_CASE("pair_embedding is the one-hot product, and its gradient the transposed one", "[simt]") {
  TestBench<Simt> bench;
  for (const auto& [rows, modulus, hidden] : {std::array{1, 1, 1}, {50, 7, 33}, {9, 31, 64}, {300, 5, 40}}) {
    const Training t(rows, modulus, hidden);
    const PairShape shape = t.shape.pairs();
    const auto weights = bench.upload(std::vector<float>(t.tensor(0).begin(), t.tensor(0).end()));
    const auto pairs = bench.upload(t.pairs);
    auto out = bench.output<float>(shape.activations());
    pair_embedding<Simt>(bench.stream(), shape, weights.span(), pairs.span(), out);
    const std::vector<float> gradient = normal_values(shape.activations(), 21);
    const auto from = bench.upload(gradient);
    const auto begin = bench.upload(t.segments.begin), order = bench.upload(t.segments.rows);
    auto by_weights = bench.output<float>(shape.weights());
    pair_embedding_gradient<Simt>(bench.stream(), shape, begin.span(), order.span(), from.span(), by_weights);
    std::vector<double> expected(shape.weights(), 0.0);
    const std::vector<float> result = bench.download(out), summed = bench.download(by_weights);
    const auto width = static_cast<std::size_t>(hidden);
    for (std::size_t i = 0; i < static_cast<std::size_t>(rows); ++i) {
      for (std::size_t h = 0; h < width; ++h) {
        const std::size_t x = t.pairs[2 * i] * width + h,
                          y = (static_cast<std::size_t>(modulus) + t.pairs[2 * i + 1]) * width + h;
        REQUIRE(result[i * width + h] == std::max(t.weights[x] + t.weights[y], 0.0f));
        expected[x] += static_cast<double>(gradient[i * width + h]);
        expected[y] += static_cast<double>(gradient[i * width + h]);
      }
    }
    CHECK(relative_error(summed, expected) < 1e-6);
    for (std::size_t i = 0; i < summed.size(); ++i) CHECK((expected[i] != 0 || summed[i] == 0));
  }
  CHECK_THROWS_WITH(pair_segments(3, std::vector<std::uint16_t>{0, 3}), ContainsSubstring("below 3"));
}

TEST_CASE("gradients of the grokking network are the differences of its loss", "[cpu]") {
  const Training t(40, 7, 10);
  const GrokkingSamples<double> samples = t.samples<double>();
  for (const GrokkingLoss loss : {GrokkingLoss::ce64, GrokkingLoss::stable_max}) {
    GrokkingNetwork<double> network = t.network<double>();
    std::vector<double> losses(40);
    const auto mean = [&] {
      network.gradients(samples, loss, losses);
      double sum = 0;
      for (const double each : losses) sum += each / 40;
      return sum;
    };
    network.gradients(samples, loss, losses);
    for (layers::Parameter<double>* parameter : network.parameters()) {
      const layers::Matrix<double> gradient = parameter->gradient;
      CHECK(kernels::testing::gradient_error(mean, layers::values(parameter->value), layers::values(gradient),
                                             1e-6) < 1e-5);
    }
  }
}

TEST_CASE("pairs and their one-hot features are the same network", "[cpu]") {
  const Training t(30, 5, 8);
  GrokkingSamples<double> pairs = t.samples<double>(), features = pairs;
  features.pairs.clear();
  features.features = layers::Matrix<double>::Zero(30, 10);
  for (int i = 0; i < 30; ++i) {
    features.features(i, t.pairs[2 * static_cast<std::size_t>(i)]) = 1;
    features.features(i, 5 + t.pairs[2 * static_cast<std::size_t>(i) + 1]) = 1;
  }
  GrokkingNetwork<double> first = t.network<double>(), second = t.network<double>();
  first.gradients(pairs, GrokkingLoss::ce64, {});
  second.gradients(features, GrokkingLoss::ce64, {});
  CHECK(relative_error(flat_gradient(first), flat_gradient(second)) < 1e-14);
}

TEST_CASE("a training step on the kernels is the step in double, for every loss and rule", "[simt]") {
  TestBench<Simt> bench;
  for (const Training& t : {Training(60, 7, 20), Training(1100, 11, 33)}) {
    for (const auto loss :
         {GrokkingLoss::ce16, GrokkingLoss::ce32, GrokkingLoss::ce64, GrokkingLoss::stable_max}) {
      GrokkingNetwork<double> network = t.network<double>();
      std::vector<double> losses(t.labels.size());
      network.gradients(t.samples<double>(), loss, losses);
      const std::vector<double> gradient = flat_gradient(network);
      const auto wide = [](const std::vector<float>& x) { return std::vector<double>(x.begin(), x.end()); };
      for (const bool project : {true, false}) {
        if (t.shape.rows > 100 && (project || loss != GrokkingLoss::ce32)) continue;
        INFO(to_string(loss) << (project ? " projected" : ""));
        const PerpAdamW settings{.beta2 = 0.99, .project = project};
        const Stepped stepped = step_on(bench, t, loss, settings);
        // Logits differ in their last bits, and half rounds some of them to its next number.
        CHECK(relative_error(stepped.gradient, gradient) < (loss == GrokkingLoss::ce16 ? 2e-3 : 2e-6));
        CHECK(relative_error(stepped.losses, losses) < (loss == GrokkingLoss::ce16 ? 2e-3 : 2e-6));
        CHECK(step_on(bench, t, loss, settings) == stepped);
        std::vector<double> weights = wide(t.weights), mean = wide(t.mean), square = wide(t.square),
                            again(weights.size());
        grokking_step_reference<double>(network, t.samples<double>(), loss, settings, 20, weights, mean,
                                        square, again, losses);
        CHECK(again == gradient);
        CHECK(relative_error(stepped.weights, weights) < (loss == GrokkingLoss::ce16 ? 1e-4 : 1e-6));
      }
    }
  }
}

TEST_CASE("training on the kernels is training on Eigen, step after step", "[simt]") {
  TestBench<Simt> bench;
  Training t(120, 11, 16);
  std::fill(t.mean.begin(), t.mean.end(), 0.0f);
  std::fill(t.square.begin(), t.square.end(), 0.0f);
  const auto pairs = bench.upload(t.pairs), labels = bench.upload(t.labels);
  const auto begin = bench.upload(t.segments.begin), rows = bench.upload(t.segments.rows);
  auto w = bench.upload(t.weights), m = bench.upload(t.mean), v = bench.upload(t.square);
  auto gradient = bench.output<float>(w.size()), losses = bench.output<float>(t.labels.size());
  auto collapsed = bench.output<std::uint32_t>(t.shape.losses().mask_words());
  GrokkingStep<Simt> step(bench.stream(), t.shape, GrokkingLoss::ce32, {.beta2 = 0.99, .epsilon = 1e-3});
  for (int i = 1; i <= 20; ++i) {
    step(i, {pairs.span(), labels.span(), begin.span(), rows.span()},
         {std::as_const(w).span(), std::as_const(m).span(), std::as_const(v).span(), w.span(), m.span(),
          v.span()},
         {gradient.span(), losses.span(), collapsed.span()});
  }
  GrokkingNetwork<float> network = t.network<float>();
  train_grokking(network,
                 {.rule = GradientRule::orthogonal,
                  .optimizer = {.learning_rate = 0.01, .beta2 = 0.99, .epsilon = 1e-3},
                  .epochs = 20},
                 t.samples<float>(), t.samples<float>(), {});
  std::vector<double> trained;
  for (layers::Parameter<float>* parameter : network.parameters()) {
    for (const float x : layers::values(parameter->value)) trained.push_back(static_cast<double>(x));
  }
  CHECK(relative_error(bench.download(w), trained) < 1e-4);
  CHECK(relative_error(t.weights, trained) > 0.02);  // 20 steps did move them
}
