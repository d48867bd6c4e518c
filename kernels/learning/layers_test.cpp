// SPDX-License-Identifier: Apache-2.0
#include "kernels/learning/layers.h"

#include <testing/catch.h>
#include <cmath>
#include <limits>

#include "kernels/learning/testing/gradient_check.h"
#include "kernels/learning/testing/normal_matrix.h"

using namespace remeasure;
using namespace remeasure::kernels::layers;
using Catch::Matchers::ContainsSubstring;
using remeasure::kernels::testing::gradient_error;
using remeasure::kernels::testing::normal_matrix;

namespace {

std::vector<int> labels_of(int rows, int classes) {
  std::vector<int> labels;
  for (int i = 0; i < rows; ++i) labels.push_back(i * 7 % classes);
  return labels;
}

}  // namespace

TEST_CASE("gradients of a network are the differences of its loss", "[cpu]") {
  for (const bool with_bias : {true, false}) {
    Mlp<double> model({5, 7, 6, 4}, with_bias);
    model.initialise(3);
    Matrix<double> x = normal_matrix<double>(9, 5, 4), by_logits, by_input;
    const std::vector<int> labels = labels_of(9, 4);
    const auto loss = [&] { return softmax_cross_entropy<double>(model.forward(x), labels, nullptr); };
    softmax_cross_entropy(model.forward(x), labels, &by_logits);
    model.backward(by_logits, &by_input);
    const auto parameters = model.parameters();
    REQUIRE(parameters.size() == (with_bias ? 6 : 3));
    for (Parameter<double>* parameter : parameters) {
      const Matrix<double> gradient = parameter->gradient;
      CHECK(gradient_error(loss, values(parameter->value), values(gradient)) < 1e-7);
    }
    CHECK(gradient_error(loss, values(x), values(std::as_const(by_input))) < 1e-7);
    // The check can fail: a gradient that is one percent off somewhere.
    Matrix<double> wrong = parameters[0]->gradient;
    wrong(0, 0) += 0.01 * wrong.cwiseAbs().maxCoeff();
    CHECK(gradient_error(loss, values(parameters[0]->value), values(std::as_const(wrong))) > 5e-3);
  }
}

TEST_CASE("float layers are those in double", "[cpu]") {
  Mlp<double> exact({6, 20, 5}, true);
  Mlp<float> model({6, 20, 5}, true);
  exact.initialise(8);
  model.initialise(8);
  const Matrix<double> x = normal_matrix<double>(30, 6, 9);
  const Matrix<float> narrow = x.cast<float>();
  const Matrix<double> difference = model.forward(narrow).cast<double>() - exact.forward(x);
  CHECK(difference.norm() < 1e-6 * exact.forward(x).norm());
  CHECK(difference.norm() > 0);
}

TEST_CASE("initial weights are PyTorch's: uniform within 1 / sqrt(inputs)", "[cpu]") {
  Linear<float> layer(25, 400);
  layer.initialise(1, 0);
  CHECK(layer.weight.value.cwiseAbs().maxCoeff() <= 0.2f);
  CHECK(layer.weight.value.cwiseAbs().maxCoeff() > 0.199f);
  CHECK(layer.bias.value.cwiseAbs().maxCoeff() <= 0.2f);
  const double variance = layer.weight.value.cast<double>().squaredNorm() / 10'000;
  CHECK(std::abs(variance / (0.04 / 3) - 1) < 5 * std::sqrt(0.8 / 10'000));  // u^2 has variance 4/45 of 1/9
  Linear<float> other(25, 400), same(25, 400);
  other.initialise(1, 1);
  same.initialise(1, 0);
  CHECK(same.weight.value == layer.weight.value);
  CHECK(other.weight.value != layer.weight.value);
}

TEST_CASE("cross-entropy is the log of the label's share, whatever is added to all logits", "[cpu]") {
  Matrix<double> logits(2, 3), gradient;
  logits << 1, 2, 3, 0, 0, 0;
  const std::vector<int> labels{2, 0};
  const double expected =
      (-std::log(std::exp(3) / (std::exp(1) + std::exp(2) + std::exp(3))) + std::log(3.0)) / 2;
  CHECK(std::abs(softmax_cross_entropy(logits, labels, &gradient) - expected) < 1e-14);
  CHECK(std::abs(gradient(1, 0) - (1.0 / 3 - 1) / 2) < 1e-15);
  CHECK(std::abs(gradient.sum()) < 1e-15);
  logits.row(0).array() += 1000;
  CHECK(std::abs(softmax_cross_entropy<double>(logits, labels, nullptr) - expected) < 1e-12);
  CHECK(correct_rows(logits, labels) == 2);  // of equal logits the first
  CHECK(correct_rows(logits, std::vector<int>{1, 2}) == 0);
  CHECK_THROWS_WITH(softmax_cross_entropy<double>(logits, std::vector<int>{0, 3}, nullptr),
                    ContainsSubstring("label 3 of 3"));
  CHECK_THROWS_WITH(softmax_cross_entropy<double>(logits, std::vector<int>{0}, nullptr),
                    ContainsSubstring("1 labels"));
}

TEST_CASE("AdamW takes the steps of its definition", "[cpu]") {
  const AdamWSettings settings{.learning_rate = 0.01, .beta2 = 0.99, .epsilon = 1e-3, .weight_decay = 0.5};
  AdamW<double> optimizer(settings);
  Parameter<double> parameter(1, 2);
  parameter.value << 2, -1;
  double w[2] = {2, -1}, m[2] = {}, v[2] = {};
  for (int t = 1; t <= 5; ++t) {
    parameter.gradient << 0.1 * t, -0.02;
    Parameter<double>* const list[] = {&parameter};
    optimizer.step(list);
    for (int i = 0; i < 2; ++i) {
      const double g = i == 0 ? 0.1 * t : -0.02;
      m[i] = 0.9 * m[i] + 0.1 * g;
      v[i] = 0.99 * v[i] + 0.01 * g * g;
      w[i] -= 0.01 * 0.5 * w[i];
      w[i] -= 0.01 * (m[i] / (1 - std::pow(0.9, t))) / (std::sqrt(v[i] / (1 - std::pow(0.99, t))) + 1e-3);
      CHECK(std::abs(parameter.value(0, i) - w[i]) < 1e-14);
    }
  }
  // Decoupled: without a gradient it is decay alone, and with epsilon = 0 a first step is the rate exactly.
  std::vector<double> zero{0}, mean{0}, square{0}, value{4};
  adamw_update<double>({.learning_rate = 0.1, .weight_decay = 1}, 1, zero, mean, square, value);
  CHECK(std::abs(value[0] - 3.6) < 1e-15);
  zero[0] = 1e-30;
  value[0] = 4;
  adamw_update<double>({.learning_rate = 0.1, .epsilon = 0}, 1, zero, mean, square, value);
  CHECK(std::abs(value[0] - 3.9) < 1e-12);
}

TEST_CASE("AdamW refuses other parameters than it began with", "[cpu]") {
  AdamW<float> optimizer({});
  Parameter<float> a(1, 2), b(2, 2);
  Parameter<float>* const one[] = {&a};
  Parameter<float>* const two[] = {&a, &b};
  Parameter<float>* const other[] = {&b};
  optimizer.step(one);
  CHECK_THROWS_WITH(optimizer.step(two), ContainsSubstring("2 parameters; it began with 1"));
  CHECK_THROWS_WITH(optimizer.step(other), ContainsSubstring("another size"));
}

TEST_CASE("a network learns exclusive or, the same bits every time", "[cpu]") {
  Matrix<float> x(4, 2), by_logits;
  x << 0, 0, 0, 1, 1, 0, 1, 1;
  const std::vector<int> labels{0, 1, 1, 0};
  const auto train = [&](std::uint64_t seed) {
    Mlp<float> model({2, 16, 2}, true);
    model.initialise(seed);
    AdamW<float> optimizer({.learning_rate = 0.02});
    for (int epoch = 0; epoch < 300; ++epoch) {
      softmax_cross_entropy(model.forward(x), labels, &by_logits);
      model.backward(by_logits);
      optimizer.step(model.parameters());
    }
    return Matrix<float>(model.forward(x));
  };
  const Matrix<float> logits = train(1);
  CHECK(correct_rows(logits, labels) == 4);
  CHECK(softmax_cross_entropy<float>(logits, labels, nullptr) < 0.01);
  CHECK(train(1) == logits);
  CHECK(train(2) != logits);
}

TEST_CASE("networks refuse widths that can't be", "[cpu]") {
  CHECK_THROWS_WITH(Mlp<float>({3}, true), ContainsSubstring("inputs and outputs"));
  CHECK_THROWS_WITH(Mlp<float>({3, 0, 2}, true), ContainsSubstring("width 0"));
  Mlp<float> model({3, 2}, true);
  CHECK_THROWS_WITH(model.backward(Matrix<float>(1, 2)), ContainsSubstring("before forward"));
}
