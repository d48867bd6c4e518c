// SPDX-License-Identifier: Apache-2.0
//
// A small network trained with statistics of samples, of virtual images, of groups, and of too little.
#pragma once

#include <fmt/format.h>

#include <cmath>
#include <string>
#include <vector>

#include "bench/trial.h"
#include "datasets/learning/gabor_classes.h"
#include "datasets/random.h"
#include "kernels/learning/small_cnn.h"
#include "kernels/parallel_tasks.h"

namespace remeasure::experiments::bn_sampling_parts {

using kernels::StatisticsGradient;
using kernels::layers::CnnTrained;
using kernels::layers::CnnTraining;
using kernels::layers::LabelledPictures;
using kernels::layers::Normalization;
using kernels::layers::StatisticsFrom;

/// 10 classes of 16 x 16 images.
struct ToySet {
  int train = 64, test = 60;  ///< images of each class
  double noise = 0.5;
};
inline constexpr int kToyClasses = 10, kToySide = 16;

struct ToyData {
  std::vector<float> train, test;  // channels last
  std::vector<std::uint8_t> train_label, test_label;

  static LabelledPictures view(const std::vector<float>& pixels, const std::vector<std::uint8_t>& labels) {
    return {{static_cast<int>(labels.size()), kToySide, kToySide}, 3, kToyClasses, pixels, labels};
  }
  LabelledPictures training() const { return view(train, train_label); }
  LabelledPictures testing() const { return view(test, test_label); }
};

inline ToyData toy_data(const datasets::ImageClasses& images) {
  return {channels_last(images, images.train), channels_last(images, images.test), images.train_label,
          images.test_label};
}

struct Method {
  std::string name;
  Normalization normalization;
};

inline Normalization sampled(StatisticsFrom from, int parts,
                             StatisticsGradient gradient = StatisticsGradient::exact) {
  return {.from = from, .parts = parts, .gradient = gradient};
}
/// Beside the batch's own statistics, with a weight.
inline Normalization with_virtual(Normalization normalization, int images, double weight) {
  normalization.virtual_images = images;
  normalization.virtual_weight = weight;
  return normalization;
}

inline const Method kFull{"full batch", {.from = StatisticsFrom::batch}};
inline const Method kOneValue{"one value (control)", {.from = StatisticsFrom::one_value}};
inline const Method kFixedPixel{"one fixed pixel", {.from = StatisticsFrom::fixed_pixel}};

/// Accuracies in percent over the seeds.
struct Outcome {
  double mean = 0, error = 0;  ///< one standard error: of the seeds' spread, at least of the test's size
  double loss = 0;
  int diverged = 0;
  std::vector<double> curve;  ///< loss by step, mean over the seeds
};

/// All methods with all seeds, a training per task and thread. The seeds share the data.
inline std::vector<Outcome> train_all(const std::vector<Method>& methods, const CnnTraining& plan,
                                      const ToyData& data, int seeds) {
  const auto runs = static_cast<std::size_t>(seeds);
  std::vector<CnnTrained> trained(methods.size() * runs);
  kernels::for_each_row_block(static_cast<int>(trained.size()), 1, 0, [&](int task, int, int) {
    const auto at = static_cast<std::size_t>(task);
    CnnTraining one = plan;
    one.seed = plan.seed + at % runs;
    trained[at] = train_small_cnn(methods[at / runs].normalization, one, data.training(), data.testing());
  });
  std::vector<Outcome> outcomes(methods.size());
  for (std::size_t m = 0; m < methods.size(); ++m) {
    Outcome& outcome = outcomes[m];
    outcome.curve.assign(static_cast<std::size_t>(plan.steps), 0.0);
    double squares = 0;
    for (std::size_t s = 0; s < runs; ++s) {
      const CnnTrained& one = trained[m * runs + s];
      const double accuracy = 100 * one.test_accuracy;
      outcome.mean += accuracy / seeds;
      squares += accuracy * accuracy / seeds;
      outcome.loss += one.last_loss / seeds;
      outcome.diverged += one.finite ? 0 : 1;
      for (std::size_t i = 0; i < one.loss.size(); ++i) outcome.curve[i] += one.loss[i] / seeds;
    }
    const double spread =
        seeds > 1 ? std::sqrt(std::max(0.0, squares - outcome.mean * outcome.mean) / (seeds - 1)) : 0.0;
    const double binomial =
        std::sqrt(outcome.mean * (100 - outcome.mean) / static_cast<double>(data.test_label.size() * runs));
    outcome.error = std::max(spread, binomial);
  }
  return outcomes;
}

/// RMS over channels of (mean - full mean) / full deviation, and of variance / full variance - 1, at each
/// normalisation of the untrained network.
struct StatisticsDistance {
  double mean[3] = {}, variance[3] = {};
};
inline StatisticsDistance statistics_distance(const Normalization& normalization, const CnnTraining& plan,
                                              const ToyData& data, int repeats) {
  using kernels::layers::Matrix;
  using Network = kernels::layers::SmallCnn<float>;
  StatisticsDistance distance;
  const LabelledPictures train = data.training();
  const int images = plan.batch + normalization.virtual_images;
  const std::size_t size = train.pixels.size() / train.labels.size();
  // Virtual images: N(mean, deviation^2) of each pixel.
  std::vector<double> mean(size, 0.0), square(size, 0.0);
  for (std::size_t i = 0; i < train.pixels.size(); ++i) {
    const double value = static_cast<double>(train.pixels[i]);
    mean[i % size] += value / static_cast<double>(train.labels.size());
    square[i % size] += value * value / static_cast<double>(train.labels.size());
  }
  for (int repeat = 0; repeat < repeats; ++repeat) {
    const std::uint64_t seed = plan.seed + static_cast<std::uint64_t>(repeat);
    Network network(train.colours, plan.width, train.classes, normalization, seed),
        full(train.colours, plan.width, train.classes, kFull.normalization, seed);
    Matrix<float> x(images * kToySide * kToySide, train.colours);
    const datasets::Philox random(seed, 77);
    for (std::size_t i = 0; i < static_cast<std::size_t>(x.size()); ++i) {
      const std::size_t image = i / size, pixel = i % size;
      const bool real = image < static_cast<std::size_t>(plan.batch);
      const std::size_t from = (image + static_cast<std::size_t>(repeat * plan.batch)) % train.labels.size();
      x.data()[i] =
          real ? train.pixels[from * size + pixel]
               : static_cast<float>(mean[pixel] +
                                    std::sqrt(square[pixel] - mean[pixel] * mean[pixel]) * random.normal(i));
    }
    const Matrix<float> batch = x.topRows(plan.batch * kToySide * kToySide);
    network.forward({images, kToySide, kToySide}, x, plan.batch, repeat);
    full.forward({plan.batch, kToySide, kToySide}, batch, plan.batch, repeat);
    for (std::size_t l = 0; l < Network::kLayers; ++l) {
      const auto &a = network.norm(l).statistics(), &b = full.norm(l).statistics();
      const double share = 1.0 / static_cast<double>(repeats) / static_cast<double>(a.mean.size());
      for (std::size_t c = 0; c < a.mean.size(); ++c) {
        const double of_variance = static_cast<double>(b.variance[c]);
        distance.mean[l] += share * std::pow(static_cast<double>(a.mean[c] - b.mean[c]), 2) / of_variance;
        distance.variance[l] += share * std::pow(static_cast<double>(a.variance[c]) / of_variance - 1, 2);
      }
    }
  }
  for (std::size_t l = 0; l < 3; ++l) {
    distance.mean[l] = std::sqrt(distance.mean[l]);
    distance.variance[l] = std::sqrt(distance.variance[l]);
  }
  return distance;
}

inline std::string percent(const Outcome& outcome) {
  return fmt::format("{:.1f} ± {:.1f} %", outcome.mean, outcome.error);
}

inline void report_methods(bench::Trial& t, const std::string& title, const std::vector<Method>& methods,
                           const std::vector<Outcome>& outcomes, const CnnTraining& plan,
                           const ToyData& data) {
  reports::Table table{.name = "accuracy",
                       .title = title,
                       .columns = {"statistics from", "test accuracy", "against full", "last loss",
                                   "diverged", "error of means by layer", "error of variances"},
                       .rows = {}};
  reports::Plot plot{.name = "loss",
                     .title = fmt::format("Training loss, mean of 10 steps ({})", title),
                     .x_label = "step",
                     .y_label = "cross-entropy",
                     .log_y = true};
  for (std::size_t m = 0; m < methods.size(); ++m) {
    const bool groups = methods[m].normalization.from == StatisticsFrom::groups;
    const StatisticsDistance d =
        groups ? StatisticsDistance{} : statistics_distance(methods[m].normalization, plan, data, 4);
    table.rows.push_back(
        {methods[m].name, percent(outcomes[m]), fmt::format("{:+.1f}", outcomes[m].mean - outcomes[0].mean),
         fmt::format("{:.3f}", outcomes[m].loss), std::to_string(outcomes[m].diverged),
         groups ? "-" : fmt::format("{:.2f} {:.2f} {:.2f}", d.mean[0], d.mean[1], d.mean[2]),
         groups ? "-" : fmt::format("{:.2f} {:.2f} {:.2f}", d.variance[0], d.variance[1], d.variance[2])});
    t.metric({.name = fmt::format("test accuracy, {}", methods[m].name),
              .value = outcomes[m].mean,
              .unit = "%",
              .error = outcomes[m].error,
              .tolerance = 0.05});
    reports::Curve curve{.label = methods[m].name, .reference = m == 0};
    for (std::size_t i = 0; i + 10 <= outcomes[m].curve.size(); i += 10) {
      double mean = 0;
      for (std::size_t j = i; j < i + 10; ++j) mean += outcomes[m].curve[j] / 10;
      if (!std::isfinite(mean)) break;
      curve.x.push_back(static_cast<double>(i) + 5);
      curve.y.push_back(mean);
    }
    if (!curve.x.empty()) plot.curves.push_back(std::move(curve));
  }
  t.table(std::move(table));
  t.plot(std::move(plot));
}

inline ToyData open_toy(bench::Trial& t, const ToySet& set) {
  return toy_data(datasets::read_gabor_classes(
      *t.open(datasets::gabor_classes_definition,
              datasets::gabor_classes(kToyClasses, set.train, set.test, kToySide, set.noise, t.seed()))
           .reader));
}

/// What the claim of no loss asks of a method, in points against the full batch.
inline constexpr double kNegligible = 2, kLost = 10;

struct TrainingBudget {
  CnnTraining plan;
  ToySet set;
  int seeds = 1;
  bool everything = false;  ///< all methods and shares; else those that the checks need
};

inline void measure_training(bench::Trial& t, TrainingBudget budget) {
  const ToyData data = open_toy(t, budget.set);
  budget.plan.seed = t.seed();
  std::vector<Method> methods = {kFull,
                                 {"images, 1/8", sampled(StatisticsFrom::images, 8)},
                                 {"features, 1/8", sampled(StatisticsFrom::features, 8)},
                                 kOneValue};
  if (budget.everything) {
    const auto cheap = StatisticsGradient::sampled, estimated = StatisticsGradient::estimated;
    methods.insert(
        methods.end(),
        {{"scattered, 1/8", sampled(StatisticsFrom::scattered, 8)},
         {"images, 1/8, sampled gradient", sampled(StatisticsFrom::images, 8, cheap)},
         {"features, 1/8, sampled gradient", sampled(StatisticsFrom::features, 8, cheap)},
         {"images, 1/8, estimated gradient", sampled(StatisticsFrom::images, 8, estimated)},
         {"features, 1/8, estimated gradient", sampled(StatisticsFrom::features, 8, estimated)},
         {"scattered, 1/8, estimated gradient", sampled(StatisticsFrom::scattered, 8, estimated)},
         {"2 virtual images", with_virtual(sampled(StatisticsFrom::virtual_images, 1), 2, 0)},
         {"images, 1/8, and 1 virtual at 0.2", with_virtual(sampled(StatisticsFrom::images, 8), 1, 0.2)},
         {"features, 1/8, and 1 virtual at 0.2", with_virtual(sampled(StatisticsFrom::features, 8), 1, 0.2)},
         {"groups", {.from = StatisticsFrom::groups}},
         kFixedPixel});
  }
  const std::vector<Outcome> outcomes = train_all(methods, budget.plan, data, budget.seeds);
  report_methods(t,
                 fmt::format("{} steps of {}, width {}, {} seed(s), generated images", budget.plan.steps,
                             budget.plan.batch, budget.plan.width, budget.seeds),
                 methods, outcomes, budget.plan, data);
  const double full = outcomes[0].mean, lost = full - outcomes[3].mean;
  std::string evidence;
  bool neutral = true;
  for (const std::size_t m : {1, 2}) {
    const double loss = full - outcomes[m].mean;
    neutral = neutral && loss <= kNegligible;
    evidence +=
        fmt::format("{}{} {} points", m == 1 ? "" : ", ", methods[m].name, fmt::format("{:+.1f}", -loss));
  }
  evidence += fmt::format(" against the full batch's {}; one value {:+.1f}", percent(outcomes[0]), -lost);
  t.check("images and features at 1/8 lose at most 2 points", neutral, evidence);
  t.check("statistics of one value lose more than 10 points (control)",
          lost > kLost || outcomes[3].diverged > 0, evidence);
  t.claim("acc-neutral", neutral, evidence);
}

/// Accuracy against the share of the sample.
inline void measure_shares(bench::Trial& t, TrainingBudget budget) {
  const ToyData data = open_toy(t, budget.set);
  budget.plan.seed = t.seed();
  std::vector<Method> methods = {kFull, kOneValue};
  const std::vector<int> parts = {2, 4, 8, 16, 32, 64};
  for (const StatisticsFrom from : {StatisticsFrom::images, StatisticsFrom::features}) {
    for (const int p : parts) methods.push_back({fmt::format("{}", p), sampled(from, p)});
  }
  const std::vector<Outcome> outcomes = train_all(methods, budget.plan, data, budget.seeds);
  reports::Plot plot{
      .name = "accuracy",
      .title = fmt::format("Test accuracy, {} steps, {} seeds", budget.plan.steps, budget.seeds),
      .x_label = "s",
      .y_label = "%",
      .log_x = true};
  const auto line = [&](const char* label, const Outcome& outcome, bool reference) {
    plot.curves.push_back({.label = label,
                           .x = {1.0 / 64, 1},
                           .y = {outcome.mean, outcome.mean},
                           .error = {outcome.error, outcome.error},
                           .reference = reference});
  };
  line("full batch: what the claim predicts", outcomes[0], true);
  line("one value (control)", outcomes[1], false);
  reports::Table table{.name = "shares",
                       .title = "Test accuracy by the share of the rows that gives the statistics",
                       .columns = {"s", "images", "features"},
                       .rows = {{"1", percent(outcomes[0]), percent(outcomes[0])}}};
  for (std::size_t p = 0; p < parts.size(); ++p)
    table.rows.push_back(
        {fmt::format("1/{}", parts[p]), percent(outcomes[2 + p]), percent(outcomes[2 + parts.size() + p])});
  table.rows.push_back({"one value (control)", percent(outcomes[1]), percent(outcomes[1])});
  for (const std::size_t kind : {0, 1}) {
    reports::Curve curve{.label = kind == 0 ? "images" : "features"};
    for (std::size_t p = 0; p < parts.size(); ++p) {
      const Outcome& outcome = outcomes[2 + kind * parts.size() + p];
      curve.x.push_back(1.0 / parts[p]);
      curve.y.push_back(outcome.mean);
      curve.error.push_back(outcome.error);
    }
    plot.curves.push_back(std::move(curve));
  }
  t.plot(std::move(plot));
  t.table(std::move(table));
}

/// Batches of 2: full statistics are poor; virtual images help out, groups don't need the batch.
inline void measure_micro_batch(bench::Trial& t, TrainingBudget budget) {
  const ToyData data = open_toy(t, budget.set);
  budget.plan.seed = t.seed();
  const Normalization full = kFull.normalization;
  const std::vector<Method> methods = {
      kFull,
      {"full and 1 virtual at 0.2", with_virtual(full, 1, 0.2)},
      {"full and 2 virtual at 0.5", with_virtual(full, 2, 0.5)},
      {"2 virtual images", with_virtual(sampled(StatisticsFrom::virtual_images, 1), 2, 0)},
      {"groups", {.from = StatisticsFrom::groups}},
      kOneValue};
  const std::vector<Outcome> outcomes = train_all(methods, budget.plan, data, budget.seeds);
  report_methods(
      t,
      fmt::format("batches of {}, {} steps, {} seed(s)", budget.plan.batch, budget.plan.steps, budget.seeds),
      methods, outcomes, budget.plan, data);
  std::size_t worst = 1;  // of the three with virtual images
  for (std::size_t m = 2; m <= 3; ++m) {
    if (outcomes[m].mean < outcomes[worst].mean) worst = m;
  }
  const Outcome &helped = outcomes[worst], &groups = outcomes[4], &plain = outcomes[0];
  const double difference = helped.mean - groups.mean, error = std::hypot(helped.error, groups.error);
  const std::string evidence = fmt::format(
      "the least with virtual images ({}) {}, group normalisation {}, full statistics alone {}, one value {}",
      methods[worst].name, percent(helped), percent(groups), percent(plain), percent(outcomes[5]));
  t.check("statistics of one value are the worst by 10 points (control)",
          plain.mean - outcomes[5].mean > kLost || outcomes[5].diverged > 0, evidence);
  t.claim("micro-batch", difference > -std::max(kNegligible, 2 * error), evidence);
}

}  // namespace remeasure::experiments::bn_sampling_parts
