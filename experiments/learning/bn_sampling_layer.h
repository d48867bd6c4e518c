// SPDX-License-Identifier: Apache-2.0
//
// One layer of bn-sampling: inputs, oracles, and every way to run it forward and backward.
#pragma once

#include <fmt/format.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "baselines/learning/batch_norm.h"
#include "datasets/random.h"
#include "experiments/learning/bn_sampling_model.h"
#include "experiments/learning/bn_sampling_statistics.h"
#include "experiments/vocabulary.h"
#include "kernels/learning/batch_norm_reference.h"

namespace remeasure::experiments::bn_sampling_parts {

using Run = std::function<void()>;

/// A way to take statistics; its outputs are called "y full", "x gradient full", ...
struct LayerSample {
  std::string name;
  SampleBox box = {};
  StatisticsGradient gradient = StatisticsGradient::sampled;
  kernels::StatisticsSample sample(const BatchNormShape& shape) const { return {{rows_of(shape, box), 1}}; }
};

struct LayerInputs {
  std::vector<half> x, gradient;             ///< what GPUs get
  std::vector<float> x_wide, gradient_wide;  ///< the same values
  std::vector<float> gamma, beta;
  std::vector<std::int32_t> scattered;                      ///< rows
  std::vector<std::vector<float>> mean, inverse_deviation;  ///< of each LayerSample
};

struct LayerCase {
  BatchNormShape shape;
  std::vector<LayerSample> samples;  ///< the first is the full batch
  InputSets<LayerInputs> in;
  bool simt = true;
};

inline constexpr int kStoredImages = 16;  ///< of a file at most; larger batches repeat them

inline LayerInputs load_layer(Trial& t, const BatchNormShape& shape, const std::vector<LayerSample>& samples,
                              int parts, std::uint64_t seed) {
  const int stored = std::min(shape.images, kStoredImages);
  const datasets::Activations data = datasets::read_batch_norm_activations(
      *t.open(datasets::batch_norm_activations_definition,
              datasets::batch_norm_activations(stored, shape.height, shape.width, shape.channels, {}, seed))
           .reader);
  LayerInputs in;
  const auto fill = [&](const std::vector<float>& from, std::vector<half>& narrow, std::vector<float>& wide) {
    narrow.reserve(shape.values());
    wide.reserve(shape.values());
    for (std::size_t i = 0; i < shape.values(); ++i) {
      narrow.push_back(half(from[i % from.size()]));
      wide.push_back(static_cast<float>(narrow.back()));
    }
  };
  fill(data.x, in.x, in.x_wide);
  fill(data.gradient, in.gradient, in.gradient_wide);
  const datasets::Philox random(seed, 5);
  for (std::size_t c = 0; c < static_cast<std::size_t>(shape.channels); ++c) {
    in.gamma.push_back(static_cast<float>(0.5 + random.uniform(2 * c)));
    in.beta.push_back(static_cast<float>(random.uniform(2 * c + 1) - 0.5));
  }
  in.scattered = kernels::scattered_rows(shape, shape.rows() / static_cast<std::size_t>(parts), {17, 3, 0});
  for (const LayerSample& sample : samples) {
    const auto statistics = kernels::statistics_reference<float>(shape, sample.sample(shape), in.x_wide, 0);
    in.mean.push_back(statistics.mean);
    in.inverse_deviation.push_back(statistics.inverse_deviation());
  }
  return in;
}

/// Full batch, features, features with the exact gradient, images.
inline std::vector<LayerSample> layer_samples(const BatchNormShape& shape, int parts) {
  const SampleBox features = sampled_features(shape, parts, {17, 1, 0});
  return {{"full", every_row(shape), StatisticsGradient::exact},
          {"features", features, StatisticsGradient::sampled},
          {"exact", features, StatisticsGradient::exact},
          {"images", sampled_images(shape, parts, {17, 2, 0}), StatisticsGradient::sampled}};
}

inline std::vector<double> wide(const std::vector<float>& values) {
  return {values.begin(), values.end()};
}

inline void declare_oracles(Trial& t, const LayerCase& c) {
  for (std::size_t k = 0; k < c.samples.size(); ++k) {
    // Computed in double from the same values, once for all outputs of a sample.
    struct Exact {
      kernels::ChannelStatistics<double> statistics;
      std::vector<double> y;
      kernels::BatchNormGradients<double> gradients;
    };
    auto exact = std::make_shared<std::optional<Exact>>();
    const auto compute = [exact, &c, k]() -> const Exact& {
      if (*exact) return **exact;
      const LayerInputs& in = c.in[0];
      const auto sample = c.samples[k].sample(c.shape);
      const std::vector<double> x = wide(in.x_wide), gamma = wide(in.gamma), beta = wide(in.beta);
      const kernels::BatchNormParameters<double> parameters{gamma, beta, true};
      exact->emplace(Exact{
          kernels::statistics_reference<double>(c.shape, sample, x, 0), std::vector<double>(x.size()), {}});
      normalize_reference<double>(c.shape, (*exact)->statistics, parameters, x, (*exact)->y, 0);
      (*exact)->gradients =
          backward_reference<double>(c.shape, sample, c.samples[k].gradient, (*exact)->statistics, parameters,
                                     x, wide(in.gradient_wide), 0);
      return **exact;
    };
    const std::string& name = c.samples[k].name;
    t.oracle("y " + name, 1, [compute] { return OracleOutput{.values = compute().y}; });
    t.oracle("mean " + name, 1, [compute] {
      // A mean may be near 0: its natural scale is the channel's deviation.
      OracleOutput oracle{.values = compute().statistics.mean};
      for (const double variance : compute().statistics.variance) oracle.scale.push_back(std::sqrt(variance));
      return oracle;
    });
    t.oracle("x gradient " + name, 1, [compute] { return OracleOutput{.values = compute().gradients.x}; });
    t.oracle("gamma gradient " + name, 1,
             [compute] { return OracleOutput{.values = compute().gradients.gamma}; });
    t.oracle("beta gradient " + name, 1,
             [compute] { return OracleOutput{.values = compute().gradients.beta}; });
  }
  t.oracle("mean scattered", 1, [&c] {
    const auto statistics =
        kernels::statistics_reference<double>(c.shape, {{c.in[0].scattered, 1}}, wide(c.in[0].x_wide), 0);
    OracleOutput oracle{.values = statistics.mean};
    for (const double variance : statistics.variance) oracle.scale.push_back(std::sqrt(variance));
    return oracle;
  });
}

}  // namespace remeasure::experiments::bn_sampling_parts
