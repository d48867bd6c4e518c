// SPDX-License-Identifier: Apache-2.0
#include "baselines/precision/naive_scores.h"

#include <testing/catch.h>
#include <algorithm>

#include "kernels/precision/testing/layer_problem.h"

using namespace remeasure;
using namespace remeasure::kernels;
using namespace remeasure::kernels::testing;

TEST_CASE("naive scores by Eigen are the reference's", "[cpu]") {
  const LayerProduct layer = layer_problem(2, 30, 16, 12, Calibration::gelu);
  const std::vector<TwinQuantizer<float>> candidates = {uniform_quantizer(0.1f, 6), gelu_quantizer(0.05f, 6)};
  for (const Operand varied : {Operand::a, Operand::b}) {
    const std::vector<float>& fixed = varied == Operand::a ? layer.b : layer.a;
    const auto exact =
        candidate_scores_reference<double>(layer, varied, fixed, candidates, ScaleMetric::hessian, 3, 5);
    const auto scores = baselines::naive_scores_eigen(layer, varied, fixed, candidates, 3, 5);
    for (std::size_t p = 0; p < 2; ++p)
      CHECK(static_cast<double>(scores[p]) == Approx(exact[p]).epsilon(1e-4));
  }
}

TEST_CASE("naive scores by cuBLAS are the reference's", "[gpu]") {
  if (Device<Cuda>::count() == 0) {
    WARN("skipped: " << Device<Cuda>::why_not());
    return;
  }
  remeasure::testing::on_gpu([](auto& gpu) {
    const LayerProduct layer = layer_problem(2, 150, 144, 70, Calibration::softmax);
    for (const bool of_a : {true, false}) {
      Pass pass{layer, of_a ? Operand::a : Operand::b, uniform_quantizer(0.01f, 8), {}};
      if (of_a)
        pass.candidates = candidates_of(Calibration::softmax, 1.0f, {.bits = 8});
      else
        pass.fixed = softmax_quantizer<float>(5, 8),
        pass.candidates = {uniform_quantizer(0.01f, 8), uniform_quantizer(0.02f, 8)};
      const ScoreShape s = pass.shape();
      const auto x = gpu.upload(halves(of_a ? layer.a : layer.b));
      const auto codes = gpu.upload(code_planes(pass.fixed, s.fixed_planes, of_a ? layer.b : layer.a));
      const auto steps = gpu.upload(pass.fixed_steps());
      const auto q = gpu.upload(pass.candidates);
      const auto y = gpu.upload(layer.y), g = gpu.upload(layer.gradient);
      auto scores = gpu.template output<float>(pass.candidates.size());
      baselines::CublasNaiveScores naive(gpu.stream(), {s, x, codes, steps, q, y, g, scores},
                                         pass.candidates);
      naive();
      const auto out = gpu.download(scores);
      const auto exact = pass.reference();
      for (std::size_t p = 0; p < exact.size(); ++p)
        CHECK(static_cast<double>(out[p]) == Approx(exact[p]).epsilon(1e-3));
    }
  });
}
