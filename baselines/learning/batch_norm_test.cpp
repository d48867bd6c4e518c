// SPDX-License-Identifier: Apache-2.0
#include "baselines/learning/batch_norm.h"

#include <testing/catch.h>

#include "kernels/learning/testing/batch_norm_problem.h"

using namespace remeasure;
using namespace remeasure::kernels;
using namespace remeasure::kernels::testing;

namespace {

struct Expected {
  ChannelStatistics<double> statistics;
  std::vector<double> y;
  BatchNormGradients<double> gradients;
};

Expected expected(const BatchNormProblem& p) {
  const std::vector<double> x = to_double(p.x), gamma = to_double(p.gamma), beta = to_double(p.beta);
  const StatisticsSample all = {{rows_of(p.shape, every_row(p.shape)), 1}};
  Expected result{statistics_reference<double>(p.shape, all, x), std::vector<double>(x.size()), {}};
  normalize_reference<double>(p.shape, result.statistics, {gamma, beta, true}, x, result.y);
  result.gradients = backward_reference<double>(p.shape, all, StatisticsGradient::exact, result.statistics,
                                                {gamma, beta, true}, x, to_double(p.gradient));
  return result;
}

}  // namespace

TEST_CASE("Eigen's batch normalisation and its gradient are the reference's", "[cpu]") {
  for (const BatchNormShape& shape : {BatchNormShape{5, 7, 6, 24}, BatchNormShape{1, 1, 3, 8}}) {
    const BatchNormProblem p(shape, 4);
    const Expected want = expected(p);
    const std::vector<float> x = converted<float>(p.x), g = converted<float>(p.gradient);
    const auto channels = static_cast<std::size_t>(shape.channels);
    std::vector<float> y(x.size()), mean(channels), inverse(channels), dx(x.size()), of_gamma(channels),
        of_beta(channels);
    for (const int threads : {1, 0}) {
      baselines::batch_norm_eigen(shape, p.gamma, p.beta, x, y, mean, inverse, threads);
      baselines::batch_norm_backward_eigen(shape, p.gamma, p.beta, mean, inverse, x, g,
                                           {dx, of_gamma, of_beta}, threads);
      CHECK(relative_error(y, want.y) < 1e-6);
      CHECK(relative_error(mean, want.statistics.mean) < 1e-6);
      CHECK(relative_error(inverse, want.statistics.inverse_deviation()) < 1e-6);
      CHECK(relative_error(dx, want.gradients.x) < 1e-5);
      CHECK(relative_error(of_gamma, want.gradients.gamma) < 1e-5);
      CHECK(relative_error(of_beta, want.gradients.beta) < 1e-5);
    }
  }
}

TEST_CASE("cuDNN's batch normalisation and its gradient are the reference's", "[gpu]") {
  if (Device<Cuda>::count() == 0) SKIP_TEST(Device<Cuda>::why_not());
  if (!baselines::BatchNormCudnn::why_not().empty()) SKIP_TEST(baselines::BatchNormCudnn::why_not());
  remeasure::testing::on_gpu([](auto& bench) {
    const BatchNormProblem p({16, 14, 14, 64});
    const Expected want = expected(p);
    const auto x = bench.upload(p.x), g = bench.upload(p.gradient);
    const auto gamma = bench.upload(p.gamma), beta = bench.upload(p.beta);
    auto y = bench.template output<half>(p.x.size()), dx = bench.template output<half>(p.x.size());
    auto mean = bench.template output<float>(64), inverse = bench.template output<float>(64);
    auto of_gamma = bench.template output<float>(64), of_beta = bench.template output<float>(64);
    baselines::BatchNormCudnn layer(bench.stream(), p.shape);
    layer.forward({gamma.span(), beta.span()}, x.span(), y.span(), mean.span(), inverse.span());
    layer.backward({gamma.span(), beta.span()}, x.span(), std::as_const(y).span(), std::as_const(mean).span(),
                   std::as_const(inverse).span(), g.span(), dx.span(), of_gamma.span(), of_beta.span());
    CHECK(relative_error(to_double(bench.download(y)), want.y) < 1e-3);
    CHECK(relative_error(to_double(bench.download(dx)), want.gradients.x) < 2e-3);
    CHECK(relative_error(bench.download(of_gamma), want.gradients.gamma) < 1e-3);
    CHECK(relative_error(bench.download(of_beta), want.gradients.beta) < 1e-3);
  });
}
