// SPDX-License-Identifier: Apache-2.0
//
// How well sampled statistics estimate a channel's mean and variance: measured over many batches, beside what
// the correlation of the sampled values predicts.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "bench/trial.h"
#include "datasets/learning/batch_norm_activations.h"
#include "kernels/learning/batch_norm_reference.h"
#include "kernels/parallel_tasks.h"

namespace remeasure::experiments::bn_sampling_parts {

using datasets::ActivationLaw;
using kernels::BatchNormShape;
using kernels::SampleBox;
using kernels::SampleDraw;

enum class Sampling { scattered, images, features };
inline constexpr Sampling kSamplings[] = {Sampling::scattered, Sampling::images, Sampling::features};
inline const char* name_of(Sampling sampling) {
  constexpr const char* kNames[] = {"scattered", "images", "features"};
  return kNames[static_cast<int>(sampling)];
}

inline std::vector<std::int32_t> sampled_rows(Sampling sampling, const BatchNormShape& shape, int parts,
                                              const SampleDraw& draw) {
  if (sampling == Sampling::scattered)
    return kernels::scattered_rows(
        shape, std::max<std::size_t>(1, shape.rows() / static_cast<std::size_t>(parts)), draw);
  return rows_of(shape, sampling == Sampling::images ? kernels::sampled_images(shape, parts, draw)
                                                     : kernels::sampled_features(shape, parts, draw));
}

/// Mean correlation of all pairs of a rectangle's pixels, each with itself included: the variance of its
/// mean.
inline double rectangle_variance(const ActivationLaw& law, int height, int width) {
  double sum = 0;
  for (int dy = 1 - height; dy < height; ++dy) {
    for (int dx = 1 - width; dx < width; ++dx)
      sum += (height - std::abs(dy)) * (width - std::abs(dx)) * law.correlation(dy, dx);
  }
  return sum / (static_cast<double>(height) * height * width * width);
}

/// Var(mean) / variance = (1 + (m - 1) mean correlation of two sampled values) / m = 1 / n_eff.
inline double predicted_variance(const ActivationLaw& law, Sampling sampling, const BatchNormShape& shape,
                                 int parts) {
  const SampleBox all = every_row(shape);
  if (sampling == Sampling::scattered) {
    const auto rows = static_cast<double>(all.rows());
    const double m = std::max(1.0, std::floor(rows / parts));
    const double of_all = rectangle_variance(law, shape.height, shape.width) / shape.images;
    const double between = (rows * of_all - 1) / (rows - 1);  // of two different rows
    return (1 + (m - 1) * between) / m;
  }
  const SampleBox box = sampling == Sampling::images ? kernels::sampled_images(shape, parts, {})
                                                     : kernels::sampled_features(shape, parts, {});
  return rectangle_variance(law, box.height, box.width) / box.images;
}

/// Of the errors of one estimator: (mean - true mean) / deviation and variance / true variance - 1.
struct EstimatorError {
  double mean_square = 0;        ///< Var(mean) / variance
  double mean_square_error = 0;  ///< one standard error of it
  double variance_bias = 0, variance_rms = 0;
};

struct StatisticsStudy {
  BatchNormShape shape;
  ActivationLaw law;
  int batches = 1;
  std::uint64_t seed = 1;
  int replicates() const { return shape.channels * batches; }
};

/// [sampling][index of parts]
inline std::vector<std::vector<EstimatorError>> estimate_errors(const StatisticsStudy& study,
                                                                const std::vector<int>& parts) {
  struct Sums {
    double square = 0, fourth = 0, variance = 0, variance_square = 0;
  };
  const std::size_t kinds = std::size(kSamplings);
  std::vector<std::vector<Sums>> of_batch(static_cast<std::size_t>(study.batches),
                                          std::vector<Sums>(kinds * parts.size()));
  kernels::for_each_row_block(study.batches, 1, 0, [&](int batch, int, int) {
    const datasets::Activations data = datasets::activation_batch(
        study.shape.images, study.shape.height, study.shape.width, study.shape.channels, study.law,
        study.seed, static_cast<std::uint64_t>(batch), false);
    for (std::size_t k = 0; k < kinds * parts.size(); ++k) {
      const auto rows = sampled_rows(kSamplings[k / parts.size()], study.shape, parts[k % parts.size()],
                                     {study.seed + 1000, static_cast<int>(k), batch});
      const auto statistics = kernels::statistics_reference<float>(study.shape, {{rows, 1}}, data.x);
      Sums& sums = of_batch[static_cast<std::size_t>(batch)][k];
      for (std::size_t c = 0; c < data.mean.size(); ++c) {
        const double deviation = static_cast<double>(data.deviation[c]);
        const double error = static_cast<double>(statistics.mean[c] - data.mean[c]) / deviation;
        const double of_variance = static_cast<double>(statistics.variance[c]) / (deviation * deviation) - 1;
        sums.square += error * error;
        sums.fourth += error * error * error * error;
        sums.variance += of_variance;
        sums.variance_square += of_variance * of_variance;
      }
    }
  });
  const double count = study.replicates();
  std::vector<std::vector<EstimatorError>> result(kinds, std::vector<EstimatorError>(parts.size()));
  for (std::size_t k = 0; k < kinds * parts.size(); ++k) {
    Sums all;
    for (const std::vector<Sums>& batch : of_batch) {
      all.square += batch[k].square / count;
      all.fourth += batch[k].fourth / count;
      all.variance += batch[k].variance / count;
      all.variance_square += batch[k].variance_square / count;
    }
    result[k / parts.size()][k % parts.size()] = {
        all.square, std::sqrt(std::max(0.0, all.fourth - all.square * all.square) / count), all.variance,
        std::sqrt(all.variance_square)};
  }
  return result;
}

/// Slope of log(y) by log(x), least squares.
inline double log_slope(const std::vector<double>& x, const std::vector<double>& y) {
  double mx = 0, my = 0, xy = 0, xx = 0;
  const auto n = static_cast<double>(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) {
    mx += std::log(x[i]) / n;
    my += std::log(y[i]) / n;
  }
  for (std::size_t i = 0; i < x.size(); ++i) {
    xy += (std::log(x[i]) - mx) * (std::log(y[i]) - my);
    xx += (std::log(x[i]) - mx) * (std::log(x[i]) - mx);
  }
  return xy / xx;
}

inline constexpr int kParts[] = {1, 2, 4, 8, 16, 32, 64};
inline constexpr std::size_t kEighth = 3;  // place of 1/8 in kParts

inline void report_study(bench::Trial& t, const StatisticsStudy& study, const std::vector<int>& parts,
                         const std::vector<std::vector<EstimatorError>>& correlated,
                         const std::vector<std::vector<EstimatorError>>& independent) {
  reports::Table table{
      .name = "variance",
      .title = fmt::format("Var(mean) / variance of {}, {} replicates; predicted in brackets",
                           study.shape.text(), study.replicates()),
      .columns = {"s", "scattered", "images", "features", "iid, features",
                  "error of variance, "
                  "images",
                  "error of variance, features"},
      .rows = {}};
  reports::Plot plot{.name = "variance",
                     .title = "Variance of a sampled mean against the share of the sample",
                     .x_label = "s",
                     .y_label = "Var(mean) / variance",
                     .log_x = true,
                     .log_y = true};
  for (const Sampling sampling : kSamplings) {
    const auto& errors = correlated[static_cast<std::size_t>(sampling)];
    reports::Curve measured{.label = name_of(sampling)},
        predicted{.label = fmt::format("{}, predicted", name_of(sampling)), .reference = true};
    for (std::size_t i = 0; i < parts.size(); ++i) {
      measured.x.push_back(1.0 / parts[i]);
      measured.y.push_back(errors[i].mean_square);
      measured.error.push_back(errors[i].mean_square_error);
      predicted.x.push_back(1.0 / parts[i]);
      predicted.y.push_back(predicted_variance(study.law, sampling, study.shape, parts[i]));
    }
    plot.curves.push_back(std::move(predicted));
    plot.curves.push_back(std::move(measured));
  }
  reports::Curve control{.label = "independent values, features (control)"};
  for (std::size_t i = 0; i < parts.size(); ++i) {
    control.x.push_back(1.0 / parts[i]);
    control.y.push_back(independent[2][i].mean_square);
    control.error.push_back(independent[2][i].mean_square_error);
    std::vector<std::string> row = {parts[i] == 1 ? "1" : fmt::format("1/{}", parts[i])};
    for (const Sampling sampling : kSamplings) {
      const EstimatorError& e = correlated[static_cast<std::size_t>(sampling)][i];
      row.push_back(fmt::format("{:.4f} ± {:.4f} ({:.4f})", e.mean_square, e.mean_square_error,
                                predicted_variance(study.law, sampling, study.shape, parts[i])));
    }
    row.push_back(fmt::format("{:.5f} ({:.5f})", independent[2][i].mean_square,
                              predicted_variance({0, 0}, Sampling::features, study.shape, parts[i])));
    for (const std::size_t kind : {1, 2})
      row.push_back(fmt::format("{:.3f}, bias {:+.3f}", correlated[kind][i].variance_rms,
                                correlated[kind][i].variance_bias));
    table.rows.push_back(std::move(row));
  }
  plot.curves.push_back(std::move(control));
  t.plot(std::move(plot));
  t.table(std::move(table));
}

struct Ratio {
  double value = 0, error = 0;
};
/// Var(images) / Var(features) at 1/8 of the rows.
inline Ratio images_over_features(const std::vector<std::vector<EstimatorError>>& errors) {
  const EstimatorError &images = errors[1][kEighth], &features = errors[2][kEighth];
  const double ratio = images.mean_square / features.mean_square;
  return {ratio, ratio * std::hypot(images.mean_square_error / images.mean_square,
                                    features.mean_square_error / features.mean_square)};
}

inline void measure_statistics(bench::Trial& t, const StatisticsStudy& asked) {
  StatisticsStudy study = asked;
  study.seed = t.seed();
  // The file is batch 0; its provenance belongs to the record.
  t.open(datasets::batch_norm_activations_definition,
         datasets::batch_norm_activations(study.shape.images, study.shape.height, study.shape.width,
                                          study.shape.channels, study.law, study.seed));
  const std::vector<int> parts(std::begin(kParts), std::end(kParts));
  StatisticsStudy iid = study;
  iid.law = {0, 0};
  const auto correlated = estimate_errors(study, parts), independent = estimate_errors(iid, parts);
  report_study(t, study, parts, correlated, independent);

  const Ratio ratio = images_over_features(correlated), control = images_over_features(independent);
  t.metric({.name = "Var(images) / Var(features) at 1/8",
            .value = ratio.value,
            .unit = "x",
            .error = ratio.error,
            .tolerance = 0.1});
  t.metric({.name = "the same of independent values (control)",
            .value = control.value,
            .unit = "x",
            .error = control.error,
            .tolerance = 0.1});
  const auto predicted = [&](Sampling sampling) {
    return predicted_variance(study.law, sampling, study.shape, kParts[kEighth]);
  };
  for (const Sampling sampling : {Sampling::images, Sampling::features}) {
    const EstimatorError& error = correlated[static_cast<std::size_t>(sampling)][kEighth];
    t.metric({.name = fmt::format("n_eff of {} at 1/8", name_of(sampling)),
              .value = 1 / error.mean_square,
              .unit = "values",
              .error = error.mean_square_error / (error.mean_square * error.mean_square),
              .tolerance = 0.1});
    const double relative = error.mean_square / predicted(sampling) - 1;
    t.check(fmt::format("the variance of {} is variance / n_eff within 10 %", name_of(sampling)),
            std::abs(relative) < 0.1,
            fmt::format("{:.4f} measured, {:.4f} predicted: {:+.1f} %", error.mean_square,
                        predicted(sampling), 100 * relative));
  }
  t.check("features have a third of the images' variance at 1/8, or less", ratio.value >= 3,
          fmt::format("ratio {:.2f} ± {:.2f}", ratio.value, ratio.error));
  t.check("on independent values the ratio is one", std::abs(control.value - 1) < 0.15,
          fmt::format("ratio {:.2f} ± {:.2f}", control.value, control.error));
  std::vector<double> rows, deviations;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    rows.push_back(static_cast<double>(study.shape.rows()) / parts[i]);
    deviations.push_back(std::sqrt(independent[2][i].mean_square));
  }
  const double slope = log_slope(rows, deviations);
  t.metric(
      {.name = "exponent of the error by sampled values, independent", .value = slope, .tolerance = 0.1});
  t.check("errors of independent values fall with the root of their number", std::abs(slope + 0.5) < 0.1,
          fmt::format("exponent {:.3f}", slope));

  // How few sampled pixels do what half of the images do.
  const double wanted = correlated[1][1].mean_square;
  int enough = 2;
  for (std::size_t i = 1; i < parts.size(); ++i) {
    if (correlated[2][i].mean_square <= wanted * 1.1) enough = parts[i];
  }
  t.metric({.name = "features as good as half of the images",
            .value = 1.0 / enough,
            .unit = "of the rows",
            .exact = true});
  t.claim(
      "decorrelate", ratio.value - 2 * ratio.error > 1 && std::abs(control.value - 1) < 0.15,
      fmt::format(
          "at 1/8 of the rows the mean of {} images varies {:.2f} ± {:.2f} times as much as that of a "
          "patch of all {} (predicted {:.2f}); 1/{} of the rows as features do what half of the "
          "images do; on independent values the ratio is {:.2f} ± {:.2f}",
          study.shape.images / kParts[kEighth], ratio.value, ratio.error, study.shape.images,
          predicted(Sampling::images) / predicted(Sampling::features), enough, control.value, control.error));
}

}  // namespace remeasure::experiments::bn_sampling_parts
