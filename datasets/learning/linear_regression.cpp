// SPDX-License-Identifier: Apache-2.0
#include "datasets/learning/linear_regression.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "datasets/random.h"
#include "datasets/schema.h"

namespace remeasure::datasets {
namespace {

// Streams of the seed. Trial t has its features in stream kTrials + t.
enum Stream : std::uint64_t { kBeta, kOrder, kNoise, kTrials = 16 };

constexpr std::size_t kBenignHeads = 8;

std::vector<float> variances(const std::string& spectrum, std::size_t features) {
  std::vector<float> v(features, 1.0f);
  double steep = 1;
  for (std::size_t j = 0; j < features; ++j) {
    const double r = static_cast<double>(j) / 8;
    if (spectrum == "dct")
      v[j] = static_cast<float>(1 / (1 + r * r));
    else if (spectrum == "benign")
      v[j] = j < kBenignHeads ? 1.0f : 0.01f;
    else if (spectrum == "steep")
      v[j] = static_cast<float>(std::max(steep, 1e-30));
    else if (spectrum != "isotropic") {
      throw DatasetError(fmt::format(
          "linear_regression: spectrum \"{}\"; there are isotropic, dct, benign and steep", spectrum));
    }
    steep *= 0.9;
  }
  return v;
}

/// Scaled so that the signal's variance sum_j v_j beta_j^2 is 1.
std::vector<float> coefficients(const std::string& signal, const std::vector<float>& variance,
                                std::uint64_t seed) {
  const Philox random(seed, kBeta);
  std::vector<double> beta(variance.size());
  for (std::size_t j = 0; j < beta.size(); ++j) {
    const double normal = random.normal(j);
    if (signal == "random")
      beta[j] = normal;
    else if (signal == "decaying")
      beta[j] = (normal < 0 ? -1.0 : 1.0) / static_cast<double>(j + 1);
    else if (signal != "none") {
      throw DatasetError(
          fmt::format("linear_regression: signal \"{}\"; there are random, decaying and none", signal));
    }
  }
  double power = 0;
  for (std::size_t j = 0; j < beta.size(); ++j) power += static_cast<double>(variance[j]) * beta[j] * beta[j];
  const double scale = power > 0 ? 1 / std::sqrt(power) : 0;
  std::vector<float> scaled(beta.size());
  for (std::size_t j = 0; j < beta.size(); ++j) scaled[j] = static_cast<float>(scale * beta[j]);
  return scaled;
}

std::vector<std::int32_t> feature_order(const std::string& name, std::size_t features, std::uint64_t seed) {
  std::vector<std::int32_t> order(features);
  std::iota(order.begin(), order.end(), 0);
  if (name == "reversed") {
    std::reverse(order.begin(), order.end());
  } else if (name == "random") {
    const Philox random(seed, kOrder);
    for (std::size_t j = features; j > 1; --j) std::swap(order[j - 1], order[random.integer(j, j)]);
  } else if (name != "natural") {
    throw DatasetError(
        fmt::format("linear_regression: order \"{}\"; there are natural, reversed and random", name));
  }
  return order;
}

/// Feature `place` (its number in the file) of one trial.
void fill_feature(std::uint64_t seed, std::uint64_t trial, std::uint64_t place, float variance,
                  std::span<float> x) {
  const Philox random(seed, kTrials + trial);
  const double scale = std::sqrt(static_cast<double>(variance));
  for (std::size_t i = 0; i < x.size(); ++i)
    x[i] = static_cast<float>(scale * random.normal(place * x.size() + i));
}

/// y of one trial from its features in the file's order, so that the sum's rounding is that of the file.
template <class FeatureAt>
void fill_response(std::uint64_t seed, std::uint64_t trial, double noise, std::size_t features,
                   FeatureAt feature_at, const std::function<float(std::size_t)>& beta_at,
                   std::span<float> y) {
  std::vector<double> sum(y.size(), 0.0);
  for (std::size_t j = 0; j < features; ++j) {
    const std::span<const float> x = feature_at(j);
    const double beta = static_cast<double>(beta_at(j));
    for (std::size_t i = 0; i < y.size(); ++i) sum[i] += beta * static_cast<double>(x[i]);
  }
  const Philox random(seed, kNoise);
  const double deviation = std::sqrt(noise);
  for (std::size_t i = 0; i < y.size(); ++i)
    y[i] = static_cast<float>(sum[i] + deviation * random.normal(trial * y.size() + i));
}

void generate(const Parameters& p, Writer& out) {
  const std::size_t n = p.extent("samples"), features = p.extent("features"), trials = p.extent("trials");
  const double noise = p.real("noise");
  if (noise < 0)
    throw DatasetError(fmt::format("linear_regression: noise is {}; a variance isn't negative", noise));
  const std::vector<float> variance = variances(p.text("spectrum"), features);
  const std::vector<float> beta = coefficients(p.text("signal"), variance, p.seed);
  std::vector<float> x(trials * features * n), y(trials * n);
  double sum_of_squares = 0;
  for (std::size_t t = 0; t < trials; ++t) {
    const auto feature = [&](std::size_t j) { return std::span(x).subspan((t * features + j) * n, n); };
    for (std::size_t j = 0; j < features; ++j) fill_feature(p.seed, t, j, variance[j], feature(j));
    fill_response(
        p.seed, t, noise, features, feature, [&](std::size_t j) { return beta[j]; },
        std::span(y).subspan(t * n, n));
  }
  for (const float value : y) sum_of_squares += static_cast<double>(value) * static_cast<double>(value);
  out.array("/x", x, {trials, features, n});
  out.array("/y", y, {trials, n});
  out.array("/beta", beta, {features});
  out.array("/variance", variance, {features});
  out.array("/order", feature_order(p.text("order"), features, p.seed), {features});
  out.attribute("mean_square_y", sum_of_squares / static_cast<double>(y.size()));
  out.attribute("expected_mean_square_y", (p.text("signal") == "none" ? 0 : 1) + noise);
}

}  // namespace

const Definition linear_regression_definition = {
    .name = "linear_regression",
    .title = "Linear regression with more features than samples",
    .theme = "learning",
    .stands_for =
        "the Gaussian linear models of the theory of overparameterised learning: mean 0, the stated "
        "variances, signal variance 1",
    .source = "synthetic in the literature (arXiv 2109.02355)",
    .arrays =
        {{.path = "/x",
          .axes = {"trial", "feature", "sample"},
          .description = "features, independent N(0, variance)"},
         {.path = "/y", .axes = {"trial", "sample"}, .description = "beta . x + noise"},
         {.path = "/beta", .axes = {"feature"}, .description = "true coefficients"},
         {.path = "/variance", .axes = {"feature"}, .description = "variance of each feature", .minimum = 0},
         {.path = "/order",
          .type = ElementType::i32,
          .axes = {"feature"},
          .description = "features in the order in which a learner gets them",
          .minimum = 0}},
    .extents =
        [](const Parameters& p) {
          return Extents{{"trial", p.extent("trials")},
                         {"feature", p.extent("features")},
                         {"sample", p.extent("samples")}};
        },
    .generate = generate,
    .examples = {linear_regression({}, 1)},
};

Parameters linear_regression(const RegressionChoice& choice, std::uint64_t seed) {
  return parameters({{"samples", choice.samples},
                     {"features", choice.features},
                     {"trials", choice.trials},
                     {"noise", choice.noise},
                     {"spectrum", choice.spectrum},
                     {"signal", choice.signal},
                     {"order", choice.order}},
                    seed);
}

LinearRegression read_linear_regression(Reader& reader) {
  LinearRegression problem;
  const Shape shape = reader.shape("/x");
  problem.trials = static_cast<int>(shape[0]);
  problem.features = static_cast<int>(shape[1]);
  problem.samples = static_cast<int>(shape[2]);
  problem.noise = Parameters{.values = {{"noise", reader.text("param_noise")}}}.real("noise");
  const double seed = reader.number("seed");
  if (!(seed < 0x1p53))
    throw DatasetError("linear_regression: seeds from 2^53 on aren't supported; choose a smaller one");
  problem.seed = static_cast<std::uint64_t>(seed);
  problem.order = reader.i32("/order");
  const std::size_t n = shape[2], features = shape[1];
  std::vector<bool> seen(features, false);
  for (const std::int32_t place : problem.order) {
    if (static_cast<std::size_t>(place) >= features || seen[static_cast<std::size_t>(place)]) {
      throw DatasetError(
          fmt::format("linear_regression: /order isn't a permutation of 0 to {}", features - 1));
    }
    seen[static_cast<std::size_t>(place)] = true;
  }
  const std::vector<float> x = reader.f32("/x"), beta = reader.f32("/beta"),
                           variance = reader.f32("/variance");
  problem.y = reader.f32("/y");
  problem.x.resize(x.size());
  for (std::size_t j = 0; j < features; ++j) {
    const auto place = static_cast<std::size_t>(problem.order[j]);
    problem.beta.push_back(beta[place]);
    problem.variance.push_back(variance[place]);
    for (std::size_t t = 0; t < shape[0]; ++t) {
      std::copy_n(x.begin() + static_cast<std::ptrdiff_t>((t * features + place) * n), n,
                  problem.x.begin() + static_cast<std::ptrdiff_t>((t * features + j) * n));
    }
  }
  return problem;
}

void regression_trial(const LinearRegression& problem, std::uint64_t trial, std::span<float> x,
                      std::span<float> y) {
  const auto n = static_cast<std::size_t>(problem.samples),
             features = static_cast<std::size_t>(problem.features);
  std::vector<std::size_t> row_of(features);  // of a place in the file
  for (std::size_t j = 0; j < features; ++j) {
    const auto place = static_cast<std::size_t>(problem.order[j]);
    row_of[place] = j;
    fill_feature(problem.seed, trial, place, problem.variance[j], x.subspan(j * n, n));
  }
  fill_response(
      problem.seed, trial, problem.noise, features,
      [&](std::size_t place) { return std::span<const float>(x.subspan(row_of[place] * n, n)); },
      [&](std::size_t place) { return problem.beta[row_of[place]]; }, y);
}

LinearRegression with_trials(const LinearRegression& problem, int trials) {
  LinearRegression out = problem;
  const auto n = static_cast<std::size_t>(problem.samples),
             features = static_cast<std::size_t>(problem.features);
  out.trials = trials;
  out.x.resize(static_cast<std::size_t>(trials) * features * n);
  out.y.resize(static_cast<std::size_t>(trials) * n);
  for (int t = problem.trials; t < trials; ++t) {
    const auto at = static_cast<std::size_t>(t);
    regression_trial(problem, at, std::span(out.x).subspan(at * features * n, features * n),
                     std::span(out.y).subspan(at * n, n));
  }
  return out;
}

}  // namespace remeasure::datasets
