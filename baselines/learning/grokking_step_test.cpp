// SPDX-License-Identifier: Apache-2.0
#include "baselines/learning/grokking_step.h"

#include <testing/catch.h>
#include <cmath>

#include "kernels/device/testing/relative_error.h"
#include "kernels/learning/layers.h"

using namespace remeasure;
using namespace remeasure::baselines;
using kernels::testing::relative_error;

namespace {

struct Problem {
  GrokkingShape shape{90, 7, 20};
  kernels::GrokkingSamples<double> samples;
  std::vector<float> weights, mean, square;

  Problem() {
    for (std::uint16_t i = 0; i < 90; ++i) {
      const auto x = static_cast<std::uint16_t>(i % 7), y = static_cast<std::uint16_t>(i * 5 % 7);
      samples.pairs.insert(samples.pairs.end(), {x, y});
      samples.labels.push_back(static_cast<std::uint16_t>((x + y + i / 49) % 7));
    }
    kernels::layers::Parameter<float> all(1, shape.tensors().total()), moments = all;
    initialise_uniform(all, 0.5, 3, 0);
    initialise_uniform(moments, 1e-3, 3, 1);
    weights.assign(all.value.data(), all.value.data() + all.value.size());
    mean.assign(moments.value.data(), moments.value.data() + moments.value.size());
    for (const float m : mean) square.push_back(m * m + 1e-8f);
  }
};

std::vector<double> wide(const std::vector<float>& x) {
  return {x.begin(), x.end()};
}

}  // namespace

TEST_CASE("Eigen's grokking step on the one-hot matrix is the step in double", "[cpu]") {
  const Problem p;
  const std::vector<float> one_hot = one_hot_pairs(p.shape, p.samples.pairs);
  CHECK(one_hot.size() == 90 * 14);
  for (const auto loss :
       {GrokkingLoss::ce16, GrokkingLoss::ce32, GrokkingLoss::ce64, GrokkingLoss::stable_max}) {
    for (const bool project : {true, false}) {
      INFO(kernels::to_string(loss) << (project ? " projected" : ""));
      const PerpAdamW optimizer{.weight_decay = 0.1, .project = project};
      const std::size_t size = p.weights.size();
      std::vector<float> weights(size), mean(size), square(size), gradient(size), losses(90);
      grokking_step_eigen(
          p.shape, loss, optimizer, 4,
          {one_hot, p.samples.labels, p.weights, p.mean, p.square, weights, mean, square, gradient, losses});
      std::vector<double> exact = wide(p.weights), exact_mean = wide(p.mean), exact_square = wide(p.square),
                          exact_gradient(size), exact_losses(90);
      kernels::GrokkingNetwork<double> network(14, 20, 7);
      kernels::grokking_step_reference<double>(network, p.samples, loss, optimizer, 4, exact, exact_mean,
                                               exact_square, exact_gradient, exact_losses);
      const double limit = loss == GrokkingLoss::ce16 ? 1e-2 : 2e-6;
      CHECK(relative_error(gradient, exact_gradient) < limit);
      CHECK(relative_error(losses, exact_losses) < limit);
      CHECK(relative_error(mean, exact_mean) < limit);
      CHECK(relative_error(weights, exact) < limit / 2);
    }
  }
}

TEST_CASE("On a GPU the libraries' grokking step is the step in double", "[gpu]") {
  if (Device<Cuda>::count() == 0) SKIP_TEST(Device<Cuda>::why_not());
  if constexpr (kBuiltWithCuda) {
    if (!LibraryGrokkingStep::why_not().empty()) SKIP_TEST(LibraryGrokkingStep::why_not());
    const Problem p;
    Device<Cuda> device;
    Stream<Cuda> stream(device);
    const std::size_t size = p.weights.size();
    const std::vector<float> one_hot = one_hot_pairs(p.shape, p.samples.pairs);
    const auto upload = [&](const std::vector<float>& values) {
      DeviceBuffer<Cuda, float> buffer(device, values.size());
      stream.upload(std::span<const float>(values), buffer.span());
      return buffer;
    };
    auto x = upload(one_hot), w = upload(p.weights), m = upload(p.mean), v = upload(p.square);
    DeviceBuffer<Cuda, float> new_w(device, size), new_m(device, size), new_v(device, size),
        gradient(device, size), loss(device, 1);
    LibraryGrokkingStep step(stream, p.shape, {}, p.samples.labels);
    step(4, {x, w, m, v, new_w, new_m, new_v, gradient}, loss);
    std::vector<float> result(size);
    stream.download(std::as_const(gradient).span(), std::span<float>(result));
    std::vector<double> exact = wide(p.weights), mean = wide(p.mean), square = wide(p.square),
                        exact_gradient(size);
    kernels::GrokkingNetwork<double> network(14, 20, 7);
    kernels::grokking_step_reference<double>(network, p.samples, GrokkingLoss::ce32, {}, 4, exact, mean,
                                             square, exact_gradient, {});
    CHECK(relative_error(result, exact_gradient) < 1e-5);
  }
}
