// SPDX-License-Identifier: Apache-2.0
#include "kernels/precision/quantized_layer.h"

#include <testing/catch.h>
#include <algorithm>
#include <cmath>

#include "kernels/precision/testing/layer_problem.h"

using namespace remeasure::kernels;
using namespace remeasure::kernels::testing;

namespace {

/// Written out, one element at a time.
double score_by_loops(const LayerProduct& l, const std::vector<float>& a, const std::vector<float>& b,
                      ScaleMetric metric) {
  double error = 0, dot = 0, aa = 0, bb = 0;
  const auto at = [](int i) { return static_cast<std::size_t>(i); };
  for (int i = 0; i < l.matrices * l.rows; ++i) {
    for (int j = 0; j < l.columns; ++j) {
      double y = 0;
      for (int k = 0; k < l.inner; ++k) {
        y += static_cast<double>(a[at(i * l.inner + k)]) *
             static_cast<double>(b[at((i / l.rows * l.columns + j) * l.inner + k)]);
      }
      const double exact = static_cast<double>(l.y[at(i * l.columns + j)]);
      const double weight =
          metric == ScaleMetric::hessian ? static_cast<double>(l.gradient[at(i * l.columns + j)]) : 1;
      error += (y - exact) * (y - exact) * weight * weight;
      dot += y * exact, aa += y * y, bb += exact * exact;
    }
  }
  return metric == ScaleMetric::cosine ? 1 - dot / std::sqrt(aa * bb) : error;
}

}  // namespace

TEST_CASE("candidate scores on a CPU are the loops', for every metric and operand", "[cpu]") {
  const LayerProduct layer = layer_problem(2, 150, 16, 9, Calibration::gelu);
  for (const ScaleMetric metric : {ScaleMetric::cosine, ScaleMetric::squared, ScaleMetric::hessian}) {
    const std::vector<TwinQuantizer<float>> candidates = {
        uniform_quantizer(0.1f, 6), gelu_quantizer(0.05f, 6), softmax_quantizer<float>(3, 6)};
    for (std::size_t p = 0; p < candidates.size(); ++p) {
      const std::vector<float> a = quantized(layer.a, std::span(&candidates[p], 1)),
                               b = quantized(layer.b, std::span(&candidates[p], 1));
      const double of_a =
          candidate_scores_reference<double>(layer, Operand::a, layer.b, candidates, metric)[p];
      const double of_b =
          candidate_scores_reference<double>(layer, Operand::b, layer.a, candidates, metric)[p];
      CHECK(of_a == Approx(score_by_loops(layer, a, layer.b, metric)).epsilon(1e-6));
      CHECK(of_b == Approx(score_by_loops(layer, layer.a, b, metric)).epsilon(1e-6));
      const double single = static_cast<double>(
          candidate_scores_reference<float>(layer, Operand::a, layer.b, candidates, metric, 0, 0, 1)[p]);
      CHECK(single == Approx(of_a).epsilon(1e-3));
      CHECK(static_cast<float>(single) ==
            candidate_scores_reference<float>(layer, Operand::a, layer.b, candidates, metric, 0, 0, 3)[p]);
    }
  }
}

TEST_CASE("quantised values are those of the quantiser", "[cpu]") {
  const LayerProduct layer = layer_problem(1, 40, 32, 8, Calibration::gelu);
  for (const auto& q :
       {uniform_quantizer(0.07f, 8), gelu_quantizer(0.03f, 8), softmax_quantizer<float>(2, 4)}) {
    const std::vector<float> values = quantized(layer.a, std::span(&q, 1));
    for (std::size_t i = 0; i < values.size(); ++i) REQUIRE(values[i] == q(layer.a[i]));
  }
}

TEST_CASE("of equal scores the first candidate is taken", "[cpu]") {
  const std::vector<float> scores = {3, 1, 2, 1};
  CHECK(best_candidate<float>(scores) == 1);
}

TEST_CASE("the candidates are the hundred factors from the first scale, or twenty shifts", "[cpu]") {
  const SearchSettings settings{.bits = 8};
  const auto list = candidates_of(Calibration::plain, 2.0f, settings);
  REQUIRE(list.size() == 100);
  CHECK(list[0].high_step == Approx(0.02f));
  CHECK(list[99].high_step == Approx(2 * (0.01 + 99 * 0.0119)));  // 1.2 itself isn't among them
  CHECK(candidates_of(Calibration::softmax, 2.0f, settings).size() == 20);
  CHECK(candidates_of(Calibration::gelu, 2.0f, settings)[0].split == 0);
  CHECK(candidates_of(Calibration::gelu, 2.0f, base_settings(8))[0].high_step == Approx(1.0f));
  CHECK(first_step(std::vector<float>{-3, 1}, 8) == Approx(3 / 127.5));
}

TEST_CASE(
    "a search ends at scales that no candidate of its last pass betters, and twins help where they should",
    "[cpu]") {
  for (const Calibration kind : {Calibration::plain, Calibration::softmax, Calibration::gelu}) {
    const LayerProduct layer = layer_problem(kind == Calibration::softmax ? 3 : 1, 48, 64, 24, kind);
    const int blocks = kind == Calibration::softmax ? 1 : 3;
    const SearchSettings settings{.bits = 6};
    const auto error_of = [&](const LayerScales& scales) {
      const std::vector<float> b = quantized(layer.b, scales.b);
      return candidate_scores_reference<double>(layer, Operand::a, b, std::span(&scales.a, 1),
                                                ScaleMetric::hessian)[0];
    };
    const LayerScales twin = search_scales(layer, kind, blocks, settings);
    SearchSettings uniform = settings;
    uniform.twin = false;
    const double without = error_of(search_scales(layer, kind, blocks, uniform)), with = error_of(twin);
    if (kind == Calibration::plain)
      CHECK(with == without);
    else
      CHECK(with < 0.9 * without);
    // The searches are greedy: cosine may end a little lower by chance, not much.
    CHECK(error_of(search_scales(layer, kind, blocks, base_settings(6))) > 0.95 * without);
    CHECK(twin.b.size() == static_cast<std::size_t>(blocks));
  }
  CHECK_THROWS_AS(search_scales(layer_problem(1, 4, 16, 4, Calibration::plain), Calibration::plain, 3, {}),
                  std::invalid_argument);
}

TEST_CASE("with its bias corrected a layer of quantised weights has the mean of one of exact weights",
          "[cpu]") {
  LayerProduct layer = layer_problem(1, 150, 32, 12, Calibration::gelu);
  const LayerScales scales = search_scales(layer, Calibration::gelu, 3, {.bits = 4, .candidates = 20});
  const std::vector<float> correction = bias_of_codes(layer, scales),
                           a = quantized(layer.a, std::span(&scales.a, 1)), b = quantized(layer.b, scales.b);
  REQUIRE(correction.size() == 12);
  const auto mean_output = [&](const std::vector<float>& weights, std::size_t column) {
    double sum = 0;
    for (std::size_t row = 0; row < 150; ++row) {
      for (std::size_t k = 0; k < 32; ++k)
        sum += static_cast<double>(a[row * 32 + k]) * static_cast<double>(weights[column * 32 + k]);
    }
    return sum / 150;
  };
  double moved = 0;
  for (std::size_t column = 0; column < 12; ++column) {
    const double shift = mean_output(b, column) - mean_output(layer.b, column);
    CHECK(static_cast<double>(correction[column]) == Approx(shift).margin(1e-6));
    moved = std::max(moved, std::abs(shift));
  }
  CHECK(moved > 1e-3);  // there is something to correct
  layer = layer_problem(2, 20, 16, 8, Calibration::plain);
  CHECK_THROWS_AS(bias_of_codes(layer, {uniform_quantizer(0.1f, 4), {uniform_quantizer(0.1f, 4)}}),
                  std::invalid_argument);
}

TEST_CASE("each round of the alternation costs no more than the one before, and some cost less", "[cpu]") {
  double gained = 0;
  for (const Calibration kind : {Calibration::plain, Calibration::softmax, Calibration::gelu}) {
    const LayerProduct layer = layer_problem(1, 90, 32, 12, kind);
    double before = INFINITY;
    for (const int rounds : {1, 2, 3}) {
      const LayerScales scales =
          search_scales(layer, kind, 3, {.bits = 4, .rounds = rounds, .candidates = 40});
      const std::vector<float> a = quantized(layer.a, std::span(&scales.a, 1)),
                               b = quantized(layer.b, scales.b);
      const double cost = score_by_loops(layer, a, b, ScaleMetric::hessian);
      INFO(rounds << " rounds: " << cost << ", before " << before);
      CHECK(cost <= before * (1 + 1e-6));  // the search scores in float
      if (rounds > 1) gained += before - cost;
      before = cost;
    }
  }
  CHECK(gained > 0);
}
