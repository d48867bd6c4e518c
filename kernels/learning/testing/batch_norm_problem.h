// SPDX-License-Identifier: Apache-2.0
//
// A small layer for the tests of batch normalisation, its oracle, and one run of the kernels on a target.
#pragma once

#include <cstring>
#include <utility>
#include <vector>

#include "kernels/device/philox.h"
#include "kernels/device/testing/relative_error.h"
#include "kernels/device/testing/test_bench.h"
#include "kernels/learning/batch_norm_reference.h"

namespace remeasure::kernels::testing {

using remeasure::testing::TestBench;

/// N(mean, scale^2) rounded to half, with a mean and a scale of each channel.
inline std::vector<half> activations(const BatchNormShape& shape, std::uint64_t seed, float mean_scale = 1) {
  std::vector<half> x(shape.values());
  for (std::size_t i = 0; i < x.size(); ++i) {
    const std::size_t c = i % static_cast<std::size_t>(shape.channels);
    const Philox4 random = philox(seed, i), of_channel = philox(seed, c, 1);
    const float scale = 0.5f + uniform_float(of_channel.word[0]);
    const float mean = mean_scale * (4 * uniform_float(of_channel.word[1]) - 2);
    x[i] = half(mean + scale * normal_float(random.word[0], random.word[1]).first);
  }
  return x;
}

inline std::vector<float> channel_values(const BatchNormShape& shape, std::uint64_t seed, float from,
                                         float to) {
  std::vector<float> values(static_cast<std::size_t>(shape.channels));
  for (std::size_t c = 0; c < values.size(); ++c)
    values[c] = from + (to - from) * uniform_float(philox(seed, c, 2).word[0]);
  return values;
}

template <class To, class From>
std::vector<To> converted(const std::vector<From>& values) {
  std::vector<To> result;
  result.reserve(values.size());
  for (const From value : values) result.push_back(static_cast<To>(static_cast<float>(value)));
  return result;
}
inline std::vector<double> to_double(const std::vector<half>& values) {
  return converted<double>(values);
}
inline std::vector<double> to_double(const std::vector<float>& values) {
  return {values.begin(), values.end()};
}

struct BatchNormProblem {
  BatchNormShape shape;
  std::vector<half> x, gradient;
  std::vector<float> gamma, beta;

  explicit BatchNormProblem(const BatchNormShape& s, std::uint64_t seed = 1)
      : shape(s),
        x(activations(s, seed)),
        gradient(activations(s, seed + 100, 0.2f)),
        gamma(channel_values(s, seed + 7, -1.5f, 1.5f)),
        beta(channel_values(s, seed + 8, -0.5f, 0.5f)) {}
};

struct ForwardResult {
  std::vector<float> mean, inverse_deviation, running_mean, running_variance;
  std::vector<half> y;
};
struct BackwardResult {
  std::vector<half> x_gradient;
  std::vector<float> gamma, beta;
};

template <class Target>
struct ScratchBuffers {
  DeviceBuffer<Target, float> parts;
  DeviceBuffer<Target, unsigned int> tickets;
  ScratchBuffers(TestBench<Target>& bench, const BatchNormShape& shape)
      : parts(bench.template output<float>(batch_norm_workspace(shape).partial_sums, "parts")),
        tickets(bench.upload(std::vector<unsigned int>(batch_norm_workspace(shape).tickets, 0u), "tickets")) {
  }
  BatchNormScratch<Target> view() { return {parts.span(), tickets.span()}; }
};

/// Runs twice over the same scratch, so that tickets must be zero again after the first time. `listed`
/// replaces the box where it isn't empty.
template <class Target>
ForwardResult forward(TestBench<Target>& bench, const BatchNormProblem& p, const SampleBox& box,
                      const std::vector<std::int32_t>& listed = {}, bool relu = true) {
  const auto channels = static_cast<std::size_t>(p.shape.channels);
  const auto x = bench.upload(p.x, "x");
  const auto gamma = bench.upload(p.gamma), beta = bench.upload(p.beta);
  auto mean = bench.template output<float>(channels), deviation = bench.template output<float>(channels);
  auto running_mean = bench.upload(std::vector<float>(channels, 0.5f)),
       running_variance = bench.upload(std::vector<float>(channels, 2.0f));
  auto y = bench.template output<half>(p.shape.values(), "y");
  ScratchBuffers<Target> scratch(bench, p.shape);
  const BatchNormStatistics<Target> statistics{mean.span(), deviation.span(), running_mean.span(),
                                               running_variance.span()};
  for (int run = 0; run < 2; ++run) {
    if (listed.empty()) {
      sampled_statistics<Target>(bench.stream(), p.shape, box, x.span(), statistics, scratch.view());
    } else {
      const auto rows = bench.upload(listed);
      scattered_statistics<Target>(bench.stream(), p.shape, rows.span(), x.span(), statistics,
                                   scratch.view());
    }
  }
  normalize<Target>(
      bench.stream(), p.shape,
      {std::as_const(mean).span(), std::as_const(deviation).span(), gamma.span(), beta.span(), relu},
      x.span(), y.span());
  return {bench.download(mean), bench.download(deviation), bench.download(running_mean),
          bench.download(running_variance), bench.download(y)};
}

/// From statistics that are given, so that forward's rounding stays out.
template <class Target>
BackwardResult backward(TestBench<Target>& bench, const BatchNormProblem& p, const SampleBox& box,
                        StatisticsGradient mode, bool relu, const std::vector<float>& mean_values,
                        const std::vector<float>& deviation_values) {
  const auto channels = static_cast<std::size_t>(p.shape.channels);
  const auto x = bench.upload(p.x, "x"), g = bench.upload(p.gradient, "gradient");
  const auto gamma = bench.upload(p.gamma), beta = bench.upload(p.beta);
  const auto mean = bench.upload(mean_values), deviation = bench.upload(deviation_values);
  auto sum = bench.template output<float>(channels), product = bench.template output<float>(channels);
  auto of_beta = bench.template output<float>(channels), of_gamma = bench.template output<float>(channels);
  auto dx = bench.template output<half>(p.shape.values(), "x_gradient");
  ScratchBuffers<Target> scratch(bench, p.shape);
  const BatchNormLayer<Target> layer{mean.span(), deviation.span(), gamma.span(), beta.span(), relu};
  const bool exact = mode == StatisticsGradient::exact;
  const GradientSums<Target> sums{sum.span(), product.span()}, parameters{of_beta.span(), of_gamma.span()};
  for (int run = 0; run < 2; ++run) {
    gradient_sums<Target>(bench.stream(), p.shape, exact ? every_row(p.shape) : box, layer, x.span(),
                          g.span(), sums, scratch.view());
    input_gradient<Target>(bench.stream(), p.shape, box, mode, layer, x.span(), g.span(), sums, dx.span(),
                           exact ? GradientSums<Target>{} : parameters, scratch.view());
  }
  return {bench.download(dx), bench.download(exact ? product : of_gamma),
          bench.download(exact ? sum : of_beta)};
}

}  // namespace remeasure::kernels::testing
