// SPDX-License-Identifier: Apache-2.0
#include "kernels/learning/convolution_layers.h"

#include <testing/catch.h>

#include "kernels/device/philox.h"
#include "kernels/learning/small_cnn.h"
#include "kernels/learning/testing/gradient_check.h"
#include "kernels/learning/testing/normal_matrix.h"

using namespace remeasure;
using namespace remeasure::kernels;
using namespace remeasure::kernels::layers;
using remeasure::kernels::testing::gradient_error;
using remeasure::kernels::testing::normal_matrix;

namespace {

template <class Layer>
void check_layer(Layer& layer, const Pictures& pictures, int channels,
                 std::span<Parameter<double>*> parameters, const auto& forward, const auto& backward) {
  Matrix<double> x = normal_matrix<double>(pictures.rows(), channels, 1), y, dx;
  forward(layer, x, y);
  const Matrix<double> weight =
      normal_matrix<double>(static_cast<int>(y.rows()), static_cast<int>(y.cols()), 2);
  backward(layer, weight, dx);
  const auto loss = [&] {
    Matrix<double> out;
    forward(layer, x, out);
    return out.cwiseProduct(weight).sum();
  };
  const Matrix<double> of_x = dx;
  CHECK(gradient_error(loss, values(x), values(of_x), 1e-6, 200) < 1e-6);
  for (Parameter<double>* parameter : parameters) {
    const Matrix<double> gradient = parameter->gradient;
    CHECK(gradient_error(loss, values(parameter->value), values(gradient), 1e-6) < 1e-6);
  }
}

}  // namespace

TEST_CASE("a 3x3 convolution is the sum over its taps", "[cpu]") {
  for (const int stride : {1, 2}) {
    const Pictures in{2, 5, 4};
    Convolution3x3<double> layer(3, 2, stride);
    layer.initialise(1, 0);
    const Matrix<double> x = normal_matrix<double>(in.rows(), 3, 3);
    Matrix<double> y;
    layer.forward(in, x, y);
    const Pictures out = layer.output(in);
    CHECK(out == Pictures{2, (5 + stride - 1) / stride, (4 + stride - 1) / stride});
    REQUIRE(y.rows() == out.rows());
    double worst = 0;
    for (int n = 0; n < 2; ++n) {
      for (int v = 0; v < out.height; ++v) {
        for (int u = 0; u < out.width; ++u) {
          for (int k = 0; k < 2; ++k) {
            double sum = 0;
            for (int r = 0; r < 3; ++r) {
              for (int s = 0; s < 3; ++s) {
                const int a = v * stride + r - 1, b = u * stride + s - 1;
                if (a < 0 || a >= 5 || b < 0 || b >= 4) continue;
                for (int c = 0; c < 3; ++c)
                  sum += layer.weight.value(k, (r * 3 + s) * 3 + c) * x((n * 5 + a) * 4 + b, c);
              }
            }
            worst = std::max(worst, std::abs(sum - y((n * out.height + v) * out.width + u, k)));
          }
        }
      }
    }
    CHECK(worst < 1e-12);
  }
}

TEST_CASE("the gradients of a convolution, of group normalisation and of pooling are differences", "[cpu]") {
  const Pictures pictures{3, 5, 4};
  for (const int stride : {1, 2}) {
    Convolution3x3<double> convolution(3, 4, stride);
    convolution.initialise(2, 1);
    Parameter<double>* parameters[] = {&convolution.weight};
    check_layer(
        convolution, pictures, 3, parameters,
        [&](auto& l, const auto& x, auto& y) { l.forward(pictures, x, y); },
        [](auto& l, const auto& dy, auto& dx) { l.backward(dy, &dx); });
  }
  GroupNorm<double> groups(6, 3);
  groups.gamma.value << 1, -0.5, 2, 0.7, 1.2, -1;
  groups.beta.value << 0.2, 0.1, -0.3, 0.4, -0.2, 0.3;
  Parameter<double>* of_groups[] = {&groups.gamma, &groups.beta};
  check_layer(
      groups, pictures, 6, of_groups, [&](auto& l, const auto& x, auto& y) { l.forward(pictures, x, y); },
      [](auto& l, const auto& dy, auto& dx) { l.backward(dy, dx); });
  int pool = 0;
  check_layer(
      pool, pictures, 2, {}, [&](int, const auto& x, auto& y) { average_pool(pictures, x, y); },
      [&](int, const auto& dy, auto& dx) { average_pool_backward(pictures, dy, dx); });
}

TEST_CASE("a batch normalisation layer takes its sample's statistics, and infers with their averages",
          "[cpu]") {
  const Pictures pictures{4, 3, 3};
  BatchNorm<double> norm(2);
  const Matrix<double> x = normal_matrix<double>(pictures.rows(), 2, 5);
  Matrix<double> y, inferred;
  const StatisticsSample sample = {{rows_of(shape_of(pictures, 2), {1, 2, 0, 3, 0, 3}), 1}};
  for (int step = 0; step < 200; ++step) norm.forward(pictures, x, sample, y);
  const double mean = x.middleRows(9, 18).col(0).mean();
  CHECK(std::abs(norm.statistics().mean[0] - mean) < 1e-12);
  CHECK(std::abs(norm.running().mean[0] - mean) < 1e-6);
  norm.infer(pictures, x, inferred);
  CHECK((inferred - y).cwiseAbs().maxCoeff() < 1e-6);
  CHECK(y.minCoeff() == 0.0);  // ReLU
}

TEST_CASE("the gradient of the whole network is a difference, virtual images included", "[cpu]") {
  const Pictures pictures{4, 8, 8};
  const std::vector<int> labels = {0, 2, 1};
  struct Case {
    Normalization normalization;
    int images;
  };
  const Case cases[] = {
      {{.from = StatisticsFrom::batch}, 3},
      {{.from = StatisticsFrom::features, .parts = 4}, 3},
      {{.from = StatisticsFrom::virtual_images, .virtual_images = 1}, 3},
      {{.from = StatisticsFrom::images, .parts = 2, .virtual_images = 1, .virtual_weight = 0.3}, 3},
      {{.from = StatisticsFrom::groups, .groups = 2}, 3},
  };
  for (const Case& c : cases) {
    SmallCnn<double> network(3, 4, 3, c.normalization, 5);
    Matrix<double> x = normal_matrix<double>(pictures.rows(), 3, 6), by_logits;
    (void)softmax_cross_entropy<double>(network.forward(pictures, x, c.images, 7), labels, &by_logits);
    network.backward(by_logits);
    INFO("statistics from " << static_cast<int>(c.normalization.from));
    for (Parameter<double>* parameter : network.parameters()) {
      const Matrix<double> gradient = parameter->gradient;
      const auto loss = [&] {
        return softmax_cross_entropy<double>(network.forward(pictures, x, c.images, 7), labels, nullptr);
      };
      CHECK(gradient_error(loss, values(parameter->value), values(gradient), 1e-6, 24) < 1e-5);
    }
  }
}

TEST_CASE("a network's samples differ by layer and step, fixed ones only by layer", "[cpu]") {
  const BatchNormShape shape{10, 16, 16, 4};
  const auto rows = [&](const Normalization& n, int step, int layer = 0) {
    return statistics_sample(n, shape, 8, {1, layer, step})[0].rows;
  };
  const Normalization features{.from = StatisticsFrom::features, .parts = 8},
      pixel{.from = StatisticsFrom::fixed_pixel}, value{.from = StatisticsFrom::one_value};
  CHECK(rows(features, 0).size() == 8 * 32);
  CHECK(rows(features, 0) != rows(features, 1));
  CHECK(rows(features, 0) != rows(features, 0, 1));
  CHECK(rows(pixel, 0).size() == 8);
  CHECK(rows(pixel, 0) == rows(pixel, 1));
  CHECK(rows(value, 0).size() == 1);
  CHECK(rows(value, 0) != rows(value, 1));
  const auto mixed =
      statistics_sample({.from = StatisticsFrom::images, .parts = 4, .virtual_weight = 0.2}, shape, 8, {});
  REQUIRE(mixed.size() == 2);
  CHECK(mixed[0].weight == 0.8);
  CHECK(mixed[1].rows.front() == 8 * 256);
  CHECK(mixed[1].rows.size() == 2 * 256);
}

TEST_CASE("training is the same every time, and learns", "[cpu]") {
  const int images = 60;
  std::vector<float> pixels;
  std::vector<std::uint8_t> labels;
  for (int i = 0; i < images; ++i) {
    labels.push_back(static_cast<std::uint8_t>(i % 3));
    for (int p = 0; p < 64; ++p) {
      for (int c = 0; c < 3; ++c) {
        const auto at = static_cast<std::uint64_t>((i * 64 + p) * 3 + c);
        pixels.push_back((c == i % 3 ? 1.0f : 0.0f) +
                         0.5f * normal_float(philox(3, at).word[0], philox(3, at).word[1]).first);
      }
    }
  }
  const LabelledPictures data{{images, 8, 8}, 3, 3, pixels, labels};
  const Normalization normalization{.from = StatisticsFrom::features,
                                    .parts = 4,
                                    .gradient = StatisticsGradient::sampled,
                                    .virtual_images = 1,
                                    .virtual_weight = 0.1};
  const CnnTraining plan{.width = 4, .batch = 12, .steps = 40, .seed = 3};
  const CnnTrained first = train_small_cnn(normalization, plan, data, data),
                   second = train_small_cnn(normalization, plan, data, data);
  CHECK(first.loss == second.loss);
  CHECK(first.finite);
  CHECK(first.test_accuracy > 0.9);
  CHECK(first.last_loss < 0.5);
}
