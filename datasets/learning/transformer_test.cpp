// SPDX-License-Identifier: Apache-2.0
#include "datasets/learning/transformer.h"

#include <testing/catch.h>
#include <cmath>

#include "datasets/learning/dense_math.h"
#include "datasets/learning/transformer_training.h"
#include "datasets/random.h"

using namespace remeasure::datasets;

namespace {

struct Problem {
  TransformerShape shape;
  std::vector<double> weights, inputs;
  std::vector<std::uint16_t> labels;
};

constexpr int kSamples = 3;

Problem problem_of(TransformerShape shape) {
  Problem p{shape, {}, {}, {}};
  const Philox random(5, 1);
  for (const float w : initial_weights(shape, 7))
    p.weights.push_back(static_cast<double>(w) + 0.1 * random.normal(p.weights.size()));
  for (int i = 0; i < kSamples * shape.tokens * shape.inputs; ++i)
    p.inputs.push_back(Philox(6, 2).normal(static_cast<std::uint64_t>(i)));
  for (int i = 0; i < kSamples; ++i) p.labels.push_back(static_cast<std::uint16_t>(i % shape.classes));
  return p;
}

double loss_of(const Problem& p, const std::vector<double>& weights) {
  Transformer<double> model(p.shape, weights);
  return cross_entropy<double>(model.forward(p.inputs, kSamples), p.labels, p.shape.classes, {});
}

/// Largest difference between the gradient and central differences over a sample of every slice, relative to
/// the slice's largest.
double worst_gradient(const TransformerShape& shape) {
  const Problem p = problem_of(shape);
  Transformer<double> model(p.shape, p.weights);
  const auto logits = model.forward(p.inputs, kSamples);
  std::vector<double> by_logits(logits.size()), gradient(p.weights.size(), 0.0);
  cross_entropy<double>(logits, p.labels, shape.classes, by_logits);
  model.backward(by_logits, gradient);
  double worst = 0;
  for (const WeightSlice& slice : weight_slices(shape)) {
    double largest = 1e-3;
    for (std::size_t i = 0; i < slice.size(); ++i)
      largest = std::max(largest, std::abs(gradient[slice.offset + i]));
    for (std::size_t i = 0; i < slice.size(); i += 1 + slice.size() / 7) {
      constexpr double kStep = 1e-5;
      std::vector<double> moved = p.weights;
      moved[slice.offset + i] += kStep;
      const double up = loss_of(p, moved);
      moved[slice.offset + i] -= 2 * kStep;
      const double difference = (up - loss_of(p, moved)) / (2 * kStep);
      INFO(slice.name << " " << i << ": " << gradient[slice.offset + i] << ", by differences " << difference);
      const double error = std::abs(gradient[slice.offset + i] - difference) / largest;
      CHECK(error < 1e-6);
      worst = std::max(worst, error);
    }
  }
  return worst;
}

const TransformerShape kSmall{
    .tokens = 5, .inputs = 6, .dim = 8, .heads = 2, .layers = 2, .mlp = 12, .classes = 4};

}  // namespace

TEST_CASE("multiply is the product in the order of the inner index, at any size and stride", "[cpu]") {
  for (const auto& [rows, columns, inner] :
       {std::array{1, 1, 1}, std::array{7, 33, 5}, std::array{6, 32, 40}, std::array{13, 70, 3}}) {
    std::vector<float> a(static_cast<std::size_t>(rows * inner)),
        b(static_cast<std::size_t>(columns * inner));
    for (std::size_t i = 0; i < a.size(); ++i) a[i] = static_cast<float>(Philox(1, 1).normal(i));
    for (std::size_t i = 0; i < b.size(); ++i) b[i] = static_cast<float>(Philox(1, 2).normal(i));
    std::vector<float> c(static_cast<std::size_t>(rows * columns), 2.0f), d = c;
    multiply<float>(rows, columns, inner, row_major(a.data(), inner), row_major(b.data(), inner).transposed(),
                    c.data(), columns);
    multiply<float>(rows, columns, inner, row_major(a.data(), rows).transposed(),
                    row_major(b.data(), columns), d.data(), columns, true);
    for (int i = 0; i < rows; ++i) {
      for (int j = 0; j < columns; ++j) {
        float once = 0, added = 0;
        for (int k = 0; k < inner; ++k) {
          once += a[static_cast<std::size_t>(i * inner + k)] * b[static_cast<std::size_t>(j * inner + k)];
          added += a[static_cast<std::size_t>(k * rows + i)] * b[static_cast<std::size_t>(k * columns + j)];
        }
        const auto at = static_cast<std::size_t>(i * columns + j);
        REQUIRE(std::abs(c[at] - once) < 1e-5f * (1 + std::abs(once)));
        REQUIRE(std::abs(d[at] - (2.0f + added)) < 1e-5f * (1 + std::abs(added)));
      }
    }
  }
}

TEST_CASE("portable_exp and gelu agree with the C library", "[cpu]") {
  for (double x = -80; x < 80; x += 0.37) {
    CHECK(std::abs(portable_exp<float>(static_cast<float>(x)) / std::exp(static_cast<float>(x)) - 1) < 3e-7f);
    CHECK(std::abs(portable_exp<double>(x) / std::exp(x) - 1) < 2e-15);
  }
  CHECK(portable_exp(-1000.0f) == 0.0f);
  CHECK(portable_exp(-1000.0) == 0.0);
  double least = 0;
  for (double x = -6; x < 6; x += 0.01) {
    CHECK(std::abs(gelu(x) - x * 0.5 * std::erfc(-x * std::sqrt(0.5))) < 1e-6);
    CHECK(std::abs(gelu_slope(x) - (gelu(x + 1e-5) - gelu(x - 1e-5)) / 2e-5) < 1e-7);
    least = std::min(least, gelu(x));
  }
  CHECK(std::abs(least + 0.16997) < 1e-4);
}

TEST_CASE("a transformer's gradient is what finite differences say", "[cpu]") {
  SECTION("vision: norms first, class token, gelu") {
    CHECK(worst_gradient(kSmall) < 1e-6);
  }
  SECTION("text: norms last and without variance, mean of the tokens, relu, pooler") {
    TransformerShape shape = kSmall;
    shape.class_token = shape.norm_first = false;
    shape.activation = Activation::relu;
    shape.normalisation = Normalisation::centred;
    shape.pooler = true;
    CHECK(worst_gradient(shape) < 1e-6);
  }
}

TEST_CASE("gradients by the outputs of the products are given out", "[cpu]") {
  const Problem p = problem_of(kSmall);
  for (const Site site :
       {Site::embed, Site::qkv, Site::scores, Site::mix, Site::proj, Site::fc1, Site::fc2, Site::head}) {
    Transformer<double> model(p.shape, p.weights);
    std::vector<double> captured, unused(p.weights.size());
    const int layer = site == Site::embed || site == Site::head ? 0 : 1;
    model.on_gradient = [&](Site of, int at, std::span<const double> g) {
      if (of == site && at == layer) captured.assign(g.begin(), g.end());
    };
    const auto logits = model.forward(p.inputs, kSamples);
    std::vector<double> by_logits(logits.size());
    cross_entropy<double>(logits, p.labels, p.shape.classes, by_logits);
    model.backward(by_logits, unused);
    REQUIRE_FALSE(captured.empty());
    const auto loss_with = [&](std::size_t at, double change) {
      Transformer<double> changed(p.shape, p.weights);
      changed.on_matmul = [&](const MatmulCall<double>& call) {
        if (call.site != site || call.layer != layer) return false;
        for (int m = 0; m < call.matrices; ++m) {
          const std::ptrdiff_t rows = call.rows, inner = call.inner, columns = call.columns;
          const double *a = call.a + m * rows * inner,
                       *b = call.b + (call.matrices == 1 ? 0 : m * inner * columns);
          multiply<double>(rows, columns, inner, row_major(a, inner),
                           call.b_transposed ? row_major(b, inner).transposed() : row_major(b, columns),
                           call.y + m * rows * columns, columns);
        }
        call.y[at] += change;
        return true;
      };
      return cross_entropy<double>(changed.forward(p.inputs, kSamples), p.labels, p.shape.classes, {});
    };
    double largest = 0;
    for (const double g : captured) largest = std::max(largest, std::abs(g));
    for (std::size_t i = 0; i < captured.size(); i += 1 + captured.size() / 9) {
      const double difference = (loss_with(i, 1e-5) - loss_with(i, -1e-5)) / 2e-5;
      INFO(to_string(site) << " " << i);
      CHECK(std::abs(captured[i] - difference) < 1e-5 * std::max(largest, 1e-3));
    }
  }
}

TEST_CASE("training learns, and gives the same bits again", "[cpu]") {
  // The class is the signs of two features of the second token.
  const TransformerShape shape{
      .tokens = 4, .inputs = 3, .dim = 16, .heads = 2, .layers = 1, .mlp = 32, .classes = 4};
  constexpr std::size_t kCount = 384;
  std::vector<float> inputs(kCount * 12);
  std::vector<std::uint16_t> labels(kCount);
  for (std::size_t i = 0; i < inputs.size(); ++i) inputs[i] = static_cast<float>(Philox(3, 3).normal(i));
  for (std::size_t s = 0; s < kCount; ++s) {
    labels[s] =
        static_cast<std::uint16_t>((inputs[s * 12 + 3] > 0 ? 1 : 0) + (inputs[s * 12 + 4] > 0 ? 2 : 0));
  }
  const TransformerTraining plan{.epochs = 16, .batch = 32, .learning_rate = 5e-3};
  std::vector<double> losses;
  const std::vector<float> weights = train_transformer(shape, plan, inputs, labels, &losses);
  REQUIRE(losses.size() == 16);
  CHECK(losses.front() > 1.0);
  CHECK(losses.back() < 0.3);
  CHECK(transformer_accuracy(shape, weights, inputs, labels) > 0.9);
  CHECK(train_transformer(shape, plan, inputs, labels) == weights);
  CHECK_THROWS_AS(train_transformer(shape, plan, std::span<const float>(inputs).first(12), labels),
                  std::invalid_argument);
}

TEST_CASE("training begins with the given weights, which must be of the shape", "[cpu]") {
  const TransformerShape shape = kSmall;
  const std::vector<float> inputs(static_cast<std::size_t>(4 * shape.tokens * shape.inputs), 0.5f);
  const std::vector<std::uint16_t> labels = {0, 1, 2, 3};
  std::vector<float> start = initial_weights(shape, 3);
  start[5] = 42;
  CHECK(train_transformer(shape, {.epochs = 0, .seed = 1, .start = start}, inputs, labels) == start);
  CHECK(train_transformer(shape, {.epochs = 0, .seed = 1}, inputs, labels) == initial_weights(shape, 1));
  CHECK(train_transformer(shape, {.epochs = 1, .seed = 1, .start = start}, inputs, labels) != start);
  start.pop_back();
  CHECK_THROWS_WITH(train_transformer(shape, {.start = start}, inputs, labels),
                    Catch::Matchers::ContainsSubstring("of another shape"));
}
