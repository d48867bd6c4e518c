// SPDX-License-Identifier: Apache-2.0
//
// What must hold of bn-sampling without a GPU, and that its checks can fail.
#include <testing/catch.h>

#include <algorithm>

#include "experiments/learning/bn_sampling_training.h"
#include "experiments/learning/bn_sampling_variants.h"
#include "experiments/testing/smoke_cases.h"
#include "kernels/learning/testing/gradient_check.h"

using namespace remeasure;
using namespace remeasure::experiments::bn_sampling_parts;

namespace remeasure::experiments {
extern const bench::Experiment bn_sampling;
}

namespace {

const std::vector<int> kAll(std::begin(kParts), std::end(kParts));

/// All smoke cases, run once.
const std::vector<reports::CaseResult>& smoke() {
  static const auto results = experiments::testing::run_smoke_cases(experiments::bn_sampling, "learning");
  return results;
}

double worst_difference(const std::vector<float>& a, const std::vector<float>& b) {
  double worst = 0;
  for (std::size_t i = 0; i < a.size(); ++i)
    worst = std::max(worst, std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i])));
  return worst;
}

}  // namespace

TEST_CASE("bn-sampling's smoke cases pass in every variant that runs here", "[simt]") {
  const auto passed = experiments::testing::check_all_passed(smoke());
  for (const char* variant :
       {"eigen", "eigen/backward", "method", "method/backward", "kernel", "kernel/full", "kernel/images",
        "kernel/backward", "kernel/full/backward", "kernel/exact/backward", "kernel/images/backward",
        "statistics/scattered", "statistics/features", "kernel/s=1:64/backward"}) {
    INFO(variant);
    CHECK(passed.count(variant) == 1);
    if (passed.count(variant) == 1) CHECK(passed.at(variant) == 1);
  }
}

TEST_CASE("a sample of all rows is full batch normalisation", "[cpu]") {  // item 1
  const BatchNormShape shape{16, 16, 16, 8};
  const auto data = datasets::activation_batch(16, 16, 16, 8, {}, 3, 0);
  const std::vector<float> gamma(8, 1.3f), beta(8, -0.2f);
  std::vector<float> y(data.x.size()), full(y.size()), mean(8), inverse(8);
  baselines::batch_norm_eigen(shape, gamma, beta, data.x, full, mean, inverse);
  const auto statistics = kernels::statistics_reference<float>(
      shape, {{rows_of(shape, sampled_features(shape, 1, {5, 0, 0})), 1}}, data.x);
  kernels::normalize_reference<float>(shape, statistics, {gamma, beta, true}, data.x, y);
  CHECK(worst_difference(y, full) < 3e-6);  // values of up to 5
  const auto eighth = kernels::statistics_reference<float>(
      shape, {{rows_of(shape, sampled_features(shape, 8, {5, 0, 0})), 1}}, data.x);
  kernels::normalize_reference<float>(shape, eighth, {gamma, beta, true}, data.x, y);
  CHECK(worst_difference(y, full) > 0.1);
}

TEST_CASE("the exact gradient is a difference at any share, the cheap ones aren't", "[cpu]") {  // item 1
  const BatchNormShape shape{4, 8, 8, 2};
  const auto data = datasets::activation_batch(4, 8, 8, 2, {}, 4, 0);
  std::vector<double> x(data.x.begin(), data.x.end());
  const std::vector<double> g(data.gradient.begin(), data.gradient.end()), gamma = {1.2, 0.8},
                                                                           beta = {0.1, -0.1};
  for (const int parts : {1, 2, 8, 32}) {
    const kernels::StatisticsSample sample = {{rows_of(shape, sampled_features(shape, parts, {2, 0, 0})), 1}};
    const auto loss = [&] {
      std::vector<double> y(x.size());
      normalize_reference<double>(shape, kernels::statistics_reference<double>(shape, sample, x),
                                  {gamma, beta, false}, x, y);
      double sum = 0;
      for (std::size_t i = 0; i < y.size(); ++i) sum += g[i] * y[i];
      return sum;
    };
    const auto error = [&](StatisticsGradient mode) {
      const auto gradients = backward_reference<double>(
          shape, sample, mode, kernels::statistics_reference<double>(shape, sample, x), {gamma, beta, false},
          x, g);
      return kernels::testing::gradient_error(loss, x, gradients.x, 1e-6, x.size());
    };
    INFO("one of " << parts);
    CHECK(error(StatisticsGradient::exact) < 1e-6);
    if (parts > 1) CHECK(error(StatisticsGradient::sampled) > 1e-2);
    if (parts > 1) CHECK(error(StatisticsGradient::estimated) > 1e-2);
  }
}

TEST_CASE("variances of sampled means are those that correlation predicts; on iid data all alike", "[cpu]") {
  // items 2, 3 and 4: 2048 replicates, so 3 % of a variance is one standard error.
  const StatisticsStudy study{.shape = {16, 16, 16, 128}, .law = {}, .batches = 16, .seed = 7};
  StatisticsStudy iid = study;
  iid.law = {0, 0};
  const auto correlated = estimate_errors(study, kAll), independent = estimate_errors(iid, kAll);
  for (const Sampling sampling : {Sampling::images, Sampling::features}) {
    const auto kind = static_cast<std::size_t>(sampling);
    CHECK(std::abs(correlated[kind][kEighth].mean_square /
                       predicted_variance(study.law, sampling, study.shape, 8) -
                   1) < 0.1);
    // The law's correlation is what predicts it: without it the prediction is far off.
    CHECK(correlated[kind][kEighth].mean_square > 5 * predicted_variance({0, 0}, sampling, study.shape, 8));
  }
  CHECK(images_over_features(correlated).value >= 3);
  CHECK(std::abs(images_over_features(correlated).value /
                     (predicted_variance(study.law, Sampling::images, study.shape, 8) /
                      predicted_variance(study.law, Sampling::features, study.shape, 8)) -
                 1) < 0.15);
  CHECK(std::abs(images_over_features(independent).value - 1) < 0.15);
  std::vector<double> rows, deviations, of_correlated;
  for (std::size_t i = 0; i < kAll.size(); ++i) {
    rows.push_back(4096.0 / kAll[i]);
    deviations.push_back(std::sqrt(independent[2][i].mean_square));
    of_correlated.push_back(std::sqrt(correlated[2][i].mean_square));
  }
  CHECK(std::abs(log_slope(rows, deviations) + 0.5) < 0.1);
  CHECK(log_slope(rows, of_correlated) > -0.4);  // correlated values don't follow the root
}

TEST_CASE("predicted variances have the limits of independent values, of offsets alone and of all rows",
          "[cpu]") {
  const BatchNormShape shape{16, 16, 16, 8};
  // Independent values: variance / m for every sampling.
  for (const Sampling sampling : kSamplings)
    CHECK(std::abs(predicted_variance({0, 0}, sampling, shape, 8) * 512 - 1) < 1e-9);
  // Maps that are all offset: variance / images, however many pixels.
  const ActivationLaw offsets{0, 1e3};
  CHECK(std::abs(predicted_variance(offsets, Sampling::images, shape, 8) - 0.5) < 1e-4);
  CHECK(std::abs(predicted_variance(offsets, Sampling::features, shape, 8) - 1.0 / 16) < 1e-4);
  CHECK(std::abs(predicted_variance(offsets, Sampling::scattered, shape, 1) - 1.0 / 16) < 1e-4);
  // All rows: one and the same.
  CHECK(std::abs(predicted_variance({}, Sampling::scattered, shape, 1) -
                 predicted_variance({}, Sampling::features, shape, 1)) < 1e-12);
}

TEST_CASE("bytes are 2 s + 4 and 4 s + 6 a value and the terms of the channels, exactly",
          "[cpu]") {  // item 5
  // A launch of one block of rows has no parts: what is beyond the formula is parameters alone.
  const BatchNormShape shape{2, 4, 4, 256};
  const auto values = static_cast<double>(shape.values());
  const double s = 1.0 / 8, channels = 256;
  const std::size_t rows = shape.rows() / 8;
  CHECK((statistics_work(shape, rows, true) + normalize_work(shape)).bytes ==
        (2 * s + 4) * values + (6 + 4) * 4 * channels);
  CHECK((gradient_sums_work(shape, rows, true) +
         input_gradient_work(shape, rows, StatisticsGradient::sampled, true))
            .bytes == (4 * s + 6) * values + (6 + 6 + 2) * 4 * channels);
  CHECK((gradient_sums_work(shape, shape.rows(), true) +
         input_gradient_work(shape, rows, StatisticsGradient::exact, true))
            .bytes == 10 * values + (6 + 6) * 4 * channels);
  // On large layers the rest doesn't matter.
  const BatchNormShape large{64, 56, 56, 256};
  const LayerTraffic full = traffic_of(large, 1), eighth = traffic_of(large, 8);
  CHECK(std::abs(full.forward / static_cast<double>(large.values()) - 6) < 0.06);
  CHECK(std::abs(full.both() / eighth.both() - 16 / (10 + 6.0 / 8)) < 0.02);
}

TEST_CASE("Amdahl's law and the sectors of small maps", "[cpu]") {
  CHECK(std::abs(amdahl(0.3, 1.6) - 1 / 0.8875) < 1e-12);
  CHECK(amdahl(0.4, 1.6) < 1.18);
  CHECK(amdahl(0.44, 1.6) < 1.2);
  CHECK(amdahl(0.45, 1.6) > 1.2);
  CHECK(std::abs(touched_sectors(112, 1) - 1) < 1e-9);
  CHECK(touched_sectors(7, 8) > 2.0 / 8);  // 98 bytes a map: a sector holds a third of it
  CHECK(touched_sectors(112, 8) < 1.45 / 8);
  const std::vector<Network> networks = residual_networks();
  const auto layers_of = [](const Network& network) {
    int count = 0;
    for (const NormLayers& each : network.layers) count += each.count;
    return count;
  };
  CHECK(layers_of(networks[0]) == 20);
  CHECK(layers_of(networks[1]) == 53);
  CHECK(layers_of(networks[2]) == 19);
  CHECK(layers_of(networks[3]) == 55);
  double values = 0;
  for (const NormLayers& each : networks[1].layers)
    values += static_cast<double>(each.shape.values()) / 64 * each.count;
  CHECK(std::abs(values / 11.1e6 - 1) < 0.02);  // ResNet-50's activations before normalisation, an image
}

TEST_CASE("a share of 1/8 trains like the full batch, one value doesn't", "[cpu]") {  // item 6
  const auto found = std::find_if(smoke().begin(), smoke().end(), [](const auto& result) {
    return result.name.find("train") != std::string::npos;
  });
  REQUIRE(found != smoke().end());
  REQUIRE(found->checks.size() == 2);
  for (const reports::Check& check : found->checks) {
    INFO(check.name << ": " << check.detail);
    CHECK(check.passed);
  }
  const auto accuracy = [&](const std::string& method) {
    for (const reports::Metric& metric : found->metrics) {
      if (metric.name == "test accuracy, " + method) return metric.value;
    }
    return -1.0;
  };
  CHECK(accuracy("full batch") > 90);
  CHECK(accuracy(kOneValue.name) < 40);
}

TEST_CASE("only what a CPU can tell gets a verdict", "[simt]") {
  const auto verdicts = bench::judge_all(experiments::bn_sampling, smoke(), bench::Size::smoke);
  const auto verdict = [&](const char* id) {
    for (const reports::ClaimResult& result : verdicts) {
      if (result.id == id) return result.verdict;
    }
    throw std::runtime_error(id);
  };
  CHECK(verdict("decorrelate") == reports::Verdict::reproduced);
  CHECK(verdict("acc-neutral") == reports::Verdict::not_comparable);
  if (Device<Cuda>::count() == 0) CHECK(verdict("train-speed") == reports::Verdict::not_measured);
  CHECK(verdict("bn-overhead") == reports::Verdict::not_measured);
}
