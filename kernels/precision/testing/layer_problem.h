// SPDX-License-Identifier: Apache-2.0
//
// Layers for the tests of post-training quantisation, and the scoring kernel run on them with plain vectors
// in and out.
#pragma once

#include <random>
#include <span>
#include <vector>

#include "kernels/device/testing/test_bench.h"
#include "kernels/precision/candidate_scores.h"
#include "kernels/precision/quantized_layer.h"

namespace remeasure::kernels::testing {

/// Values that half represents. a looks like what `kind` says, b and the gradient are normal, y is the exact
/// product.
inline LayerProduct layer_problem(int matrices, int rows, int inner, int columns, Calibration kind,
                                  unsigned seed = 1) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  LayerProduct layer{matrices, rows, inner, columns, {}, {}, {}, {}};
  const auto size = [&](int x, int y) { return static_cast<std::size_t>(matrices * x * y); };
  for (std::size_t row = 0; row < size(rows, 1); ++row) {
    std::vector<float> values;
    float sum = 0;
    for (int k = 0; k < inner; ++k) {
      float x = normal(random);
      if (kind == Calibration::gelu) x = 0.5f * x * (1.0f + std::erf(x * 0.70710678f));
      if (kind == Calibration::softmax) x = std::exp(2 * x);
      values.push_back(x);
      sum += x;
    }
    for (const float x : values)
      layer.a.push_back(static_cast<float>(half(kind == Calibration::softmax ? x / sum : x)));
  }
  for (std::size_t i = 0; i < size(columns, inner); ++i)
    layer.b.push_back(static_cast<float>(half(0.3f * normal(random))));
  for (int m = 0; m < matrices; ++m) {
    for (int i = 0; i < rows; ++i) {
      for (int j = 0; j < columns; ++j) {
        double sum = 0;
        for (int k = 0; k < inner; ++k) {
          sum += static_cast<double>(layer.a[static_cast<std::size_t>((m * rows + i) * inner + k)]) *
                 static_cast<double>(layer.b[static_cast<std::size_t>((m * columns + j) * inner + k)]);
        }
        layer.y.push_back(static_cast<float>(sum));
        layer.gradient.push_back(normal(random));
      }
    }
  }
  return layer;
}

inline std::vector<half> halves(std::span<const float> values) {
  std::vector<half> result;
  for (const float x : values) result.push_back(half(x));
  return result;
}

/// Codes in planes, low first.
inline std::vector<std::int8_t> code_planes(const TwinQuantizer<float>& quantizer, int planes,
                                            std::span<const float> values) {
  std::vector<std::int8_t> codes(static_cast<std::size_t>(planes) * values.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    const bool low = planes == 2 && quantizer.is_low(values[i]);
    codes[(low ? 0 : static_cast<std::size_t>(planes - 1)) * values.size() + i] =
        static_cast<std::int8_t>(quantizer.code(values[i]));
  }
  return codes;
}

/// One pass of a search.
struct Pass {
  const LayerProduct& layer;
  Operand varied = Operand::a;
  TwinQuantizer<float> fixed;
  std::vector<TwinQuantizer<float>> candidates;

  ScoreShape shape() const {
    const bool a = varied == Operand::a;
    return {.matrices = layer.matrices,
            .rows = a ? layer.rows : layer.columns,
            .inner = layer.inner,
            .columns = a ? layer.columns : layer.rows,
            .varied_planes = candidates[0].planes(),
            .fixed_planes = fixed.planes(),
            .transposed = !a};
  }
  std::vector<float> fixed_steps() const {
    std::vector<float> steps;
    if (fixed.planes() == 2) steps.assign(static_cast<std::size_t>(shape().columns), fixed.low_step);
    steps.insert(steps.end(), static_cast<std::size_t>(shape().columns), fixed.high_step);
    return steps;
  }
  std::vector<double> reference() const {
    const std::vector<float> values =
        quantized(varied == Operand::a ? layer.b : layer.a, std::span(&fixed, 1));
    return candidate_scores_reference<double>(layer, varied, values, candidates, ScaleMetric::hessian);
  }
  template <class Target>
  std::vector<float> kernel(remeasure::testing::TestBench<Target>& bench) const {
    const bool of_a = varied == Operand::a;
    const ScoreShape s = shape();
    const auto x = bench.upload(halves(of_a ? layer.a : layer.b));
    const auto codes = bench.upload(code_planes(fixed, s.fixed_planes, of_a ? layer.b : layer.a));
    const auto steps = bench.upload(fixed_steps());
    const auto q = bench.upload(candidates);
    const auto y = bench.upload(layer.y), g = bench.upload(layer.gradient);
    auto partials = bench.template output<float>(score_tiling(s).partials * candidates.size());
    auto scores = bench.template output<float>(candidates.size());
    candidate_scores<Target>(bench.stream(), s, x, codes, steps, q, y, g, partials, scores);
    return bench.download(scores);
  }
};

}  // namespace remeasure::kernels::testing
