// SPDX-License-Identifier: Apache-2.0
#include "kernels/learning/batch_norm_reference.h"

#include <testing/catch.h>

#include <cmath>

#include "kernels/learning/testing/batch_norm_problem.h"
#include "kernels/learning/testing/gradient_check.h"

using namespace remeasure;
using namespace remeasure::kernels;
using namespace remeasure::kernels::testing;

namespace {

const BatchNormShape kShape{6, 4, 5, 3};

struct Layer {
  std::vector<double> x, weight, gamma, beta;

  Layer() : x(kShape.values()), weight(x.size()), gamma{0.7, -1.2, 1.5}, beta{0.3, -0.2, 0.1} {
    for (std::size_t i = 0; i < x.size(); ++i) {
      const NormalPair<double> pair = normal_double(philox(11, i));
      x[i] = 2 * pair.first + static_cast<double>(i % 3);
      weight[i] = pair.second + 0.3;
    }
  }
  /// sum of weight . y: its derivative by y is `weight`.
  double loss(const StatisticsSample& sample, bool relu) const {
    std::vector<double> y(x.size());
    normalize_reference<double>(kShape, statistics_reference<double>(kShape, sample, x), {gamma, beta, relu},
                                x, y);
    double sum = 0;
    for (std::size_t i = 0; i < y.size(); ++i) sum += weight[i] * y[i];
    return sum;
  }
  BatchNormGradients<double> gradients(const StatisticsSample& sample, bool relu,
                                       StatisticsGradient mode) const {
    return backward_reference<double>(kShape, sample, mode, statistics_reference<double>(kShape, sample, x),
                                      {gamma, beta, relu}, x, weight);
  }
};

std::vector<StatisticsSample> samples() {
  const auto rows = [](const SampleBox& box) { return rows_of(kShape, box); };
  return {{{rows(every_row(kShape)), 1}},
          {{rows(sampled_images(kShape, 3, {1, 0, 0})), 1}},
          {{rows(sampled_features(kShape, 4, {1, 0, 0})), 1}},
          {{scattered_rows(kShape, 17, {1, 0, 0}), 1}},
          {{rows(sampled_features(kShape, 4, {2, 0, 0})), 0.75}, {rows(last_images(kShape, 1)), 0.25}}};
}

}  // namespace

TEST_CASE("the exact gradient is the derivative at every sample", "[cpu]") {
  Layer layer;
  for (const StatisticsSample& sample : samples()) {
    for (const bool relu : {false, true}) {
      INFO("groups " << sample.size() << ", rows " << sample[0].rows.size() << ", relu " << relu);
      const auto gradients = layer.gradients(sample, relu, StatisticsGradient::exact);
      const auto loss = [&] { return layer.loss(sample, relu); };
      CHECK(gradient_error(loss, layer.x, gradients.x, 1e-6, layer.x.size()) < 1e-6);
      CHECK(gradient_error(loss, layer.gamma, gradients.gamma, 1e-6) < 1e-6);
      CHECK(gradient_error(loss, layer.beta, gradients.beta, 1e-6) < 1e-6);
    }
  }
}

TEST_CASE("the cheap gradients are the exact one if all rows are sampled, and others if not", "[cpu]") {
  const Layer layer;
  for (const StatisticsGradient mode : {StatisticsGradient::sampled, StatisticsGradient::estimated}) {
    const auto difference = [&](const StatisticsSample& sample) {
      const auto exact = layer.gradients(sample, true, StatisticsGradient::exact),
                 cheap = layer.gradients(sample, true, mode);
      CHECK(exact.gamma == cheap.gamma);
      CHECK(exact.beta == cheap.beta);
      return relative_error(cheap.x, exact.x);
    };
    CHECK(difference(samples()[0]) < 1e-14);
    for (std::size_t i = 1; i < samples().size(); ++i) CHECK(difference(samples()[i]) > 0.05);
  }
}

TEST_CASE("an estimated gradient has the means of its sample taken off everywhere", "[cpu]") {
  // Over the sampled rows it is orthogonal to ones and to x, as full batch normalisation's is over all.
  const Layer layer;
  const StatisticsSample sample = samples()[2];
  const auto gradients = layer.gradients(sample, true, StatisticsGradient::estimated);
  const auto statistics = statistics_reference<double>(kShape, sample, layer.x);
  for (std::size_t c = 0; c < 3; ++c) {
    double sum = 0, product = 0, scale = 0;
    for (const std::int32_t row : sample[0].rows) {
      const auto i = static_cast<std::size_t>(row) * 3 + c;
      sum += gradients.x[i];
      product += gradients.x[i] * (layer.x[i] - statistics.mean[c]);
      scale += std::abs(gradients.x[i]);
    }
    CHECK(std::abs(sum) < 1e-12 * scale);
    CHECK(std::abs(product) < 1e-4 * scale);  // epsilon
  }
}

TEST_CASE("statistics of all rows are full batch normalisation", "[cpu]") {
  const Layer layer;
  const auto statistics = statistics_reference<double>(kShape, samples()[0], layer.x);
  for (std::size_t c = 0; c < 3; ++c) {
    double sum = 0, squares = 0;
    for (std::size_t i = c; i < layer.x.size(); i += 3) sum += layer.x[i];
    const double mean = sum / static_cast<double>(kShape.rows());
    for (std::size_t i = c; i < layer.x.size(); i += 3) squares += (layer.x[i] - mean) * (layer.x[i] - mean);
    CHECK(std::abs(statistics.mean[c] - mean) < 1e-13);
    CHECK(std::abs(statistics.variance[c] - squares / static_cast<double>(kShape.rows())) < 1e-13);
  }
  // The same in float, on several threads: 1e-6.
  const std::vector<float> x(layer.x.begin(), layer.x.end());
  const auto in_float = statistics_reference<float>(kShape, samples()[0], x, 3);
  CHECK(relative_error(in_float.mean, statistics.mean) < 1e-6);
  CHECK(relative_error(in_float.variance, statistics.variance) < 1e-6);
}

TEST_CASE("groups' statistics are averaged by weight", "[cpu]") {
  const Layer layer;
  const StatisticsSample mixed = samples()[4];
  const auto statistic = [&](const SampledRows& group) {
    return statistics_reference<double>(kShape, {{group.rows, 1}}, layer.x);
  };
  const auto both = statistics_reference<double>(kShape, mixed, layer.x);
  const auto first = statistic(mixed[0]), second = statistic(mixed[1]);
  for (std::size_t c = 0; c < 3; ++c) {
    CHECK(std::abs(both.mean[c] - (0.75 * first.mean[c] + 0.25 * second.mean[c])) < 1e-14);
    CHECK(std::abs(both.variance[c] - (0.75 * first.variance[c] + 0.25 * second.variance[c])) < 1e-14);
  }
}

TEST_CASE("samples outside of the batch and weights that don't add up are refused", "[cpu]") {
  const Layer layer;
  CHECK_THROWS_AS(statistics_reference<double>(kShape, {{{0, 120}, 1}}, layer.x), std::invalid_argument);
  CHECK_THROWS_AS(statistics_reference<double>(kShape, {{{}, 1}}, layer.x), std::invalid_argument);
  CHECK_THROWS_AS(statistics_reference<double>(kShape, {{{0}, 0.5}}, layer.x), std::invalid_argument);
}
