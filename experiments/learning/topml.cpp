// SPDX-License-Identifier: Apache-2.0
//
// Double descent in linear regression. Dar, Muthukumar, Baraniuk, "A Farewell to the Bias-Variance Tradeoff?
// An Overview of the Theory of Overparameterized Machine Learning", 2021. An overview: its claims are about
// curves, none about time; the timed rows are ours. Curves come from the double reference, which is checked
// against the same oracle as the kernels.
#include <fmt/format.h>

#include "experiments/learning/topml_sweep.h"

namespace remeasure::experiments {

using namespace double_descent;

namespace {

std::vector<CaseDefinition> cases(Size size) {
  const bool smoke = size == Size::smoke;
  const RegressionChoice base{.samples = smoke ? 24 : 128, .features = smoke ? 96 : 2048, .trials = 8};
  const auto name = [](const std::string& what, const RegressionChoice& c, int trials) -> CaseName {
    return {{"case", what},
            {"n", fmt::format("{}", c.samples)},
            {"D", fmt::format("{}", c.features)},
            {"T", fmt::format("{}", trials)}};
  };
  std::vector<CaseDefinition> all;
  const auto sweep_case = [&](const SweepCase& c) {
    all.push_back({name("sweep", c.choice, c.trials), [c](Trial& t) { run_sweep(c, t); }});
  };
  sweep_case({.choice = base, .trials = smoke ? 64 : 8});
  if (!smoke) sweep_case({.choice = base, .trials = 1000, .gpu_only = true});
  const auto curve_case = [&](const std::string& what, const RegressionChoice& c, int trials) {
    all.push_back({name(what, c, trials), [=](Trial& t) { run_curve({c, trials}, t); }});
  };
  RegressionChoice noisy = base, aligned = base, misaligned = base, dct = base;
  noisy.noise = 4;
  aligned.signal = misaligned.signal = "decaying";
  aligned.order = "natural";
  misaligned.order = "reversed";
  dct.spectrum = "dct";
  dct.order = "natural";
  curve_case("random", base, smoke ? 200 : 1000);
  curve_case("random-noisy", noisy, smoke ? 200 : 400);
  curve_case("aligned", aligned, smoke ? 200 : 400);
  curve_case("misaligned", misaligned, smoke ? 200 : 400);
  curve_case("dct", dct, smoke ? 200 : 400);
  RegressionChoice noise = base;
  noise.signal = "none";
  noise.noise = 1;
  noise.order = "natural";
  noise.trials = 1;
  if (smoke) noise.samples = 64, noise.features = 1024;
  const int trials = smoke ? 48 : 200;
  all.push_back({name("pure-noise", noise, trials), [=](Trial& t) { run_noise({noise, trials}, t); }});
  return all;
}

}  // namespace

extern const Experiment topml;
const Experiment topml = {
    .paper = {.id = "topml",
              .title = "A Farewell to the Bias-Variance Tradeoff? An Overview of the Theory of "
                       "Overparameterized Machine Learning",
              .authors = "Dar, Muthukumar, Baraniuk",
              .venue = "arXiv 2021",
              .arxiv = "2109.02355",
              .summary = "Double descent of minimum-norm least squares, by thousands of small solves"},
    .claims =
        {{.id = "double-descent",
          .text = "test error peaks at p = n and descends again for p > n",
          .reported_text = "a peak at p = n, then a second descent",
          .on = "minimum-norm least squares",
          .source = "abstract",
          .any_size = true},
         {.id = "over-beats-under",
          .text = "a highly overparameterised interpolator can beat the best underparameterised model",
          .reported_text = "such settings exist",
          .on = "linear model",
          .source = "abstract",
          .any_size = true},
         {.id = "exact-risk",
          .text = "the risk has exact formulas for isotropic Gaussian features",
          .reported_text = "c (1 + p/(n-p-1)); a (1 - n/p) + c (1 + n/(p-n-1))",
          .on = "isotropic Gaussian features",
          .source = "recalled",
          .any_size = true},
         {.id = "harmless-noise",
          .text = "interpolating noise is harmless when the spectrum has many small, comparable eigenvalues",
          .reported_text = "about k*/n + n/R_k* of the noise",
          .on = "linear model",
          .source = "recalled",
          .any_size = true}},
    .cases = cases,
    .notes = {"Means are given for |p - n| >= 8 only: the mean doesn't exist at n-1, n, n+1, and the "
              "variance is infinite for |p - n| <= 3.",
              "Aligned features (beta_j^2 ~ 1/j^2 taken in order) favour the small model when all variances "
              "are 1: there the best p < n wins. The interpolator wins with random or misaligned features.",
              "Double descent needs no depth: this is the paper's own simplest case."},
};

}  // namespace remeasure::experiments
