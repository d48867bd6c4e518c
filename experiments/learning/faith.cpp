// SPDX-License-Identifier: Apache-2.0
//
// Faith propagates linear bounds through a transformer with fused kernels: the dense layer of a bound object
// in one launch where frameworks make masks and four products, relaxations and attention's inner products in
// one launch each.
#include "experiments/learning/faith_measure.h"

namespace remeasure::experiments {

using namespace bench;
using namespace faith_bounds;

namespace {

std::vector<CaseDefinition> cases(Size size) {
  std::vector<CaseDefinition> list;
  const bool gpu = Device<Cuda>::count() > 0;
  const auto add = [&](CaseName name, std::function<void(Trial&)> run, bool on_cpu = true,
                       const char* reason = "for the GPU's kernels: too slow on a CPU") {
    list.push_back({.name = std::move(name), .run = std::move(run), .left_out = on_cpu || gpu ? "" : reason});
  };
  const auto matmul = [&](int rows, int dim) {
    const bool simt = rows * dim * dim <= 65'536;  // checked at those; the engine's arithmetic is slow
    add({{"op", "matmul"}, {"L", std::to_string(rows)}, {"D", std::to_string(dim)}}, [=](Trial& t) {
      measure_matmul(t, {rows, dim, dim}, dim, true, simt);
    });
  };
  const auto relax = [&](Relaxation relaxation, const char* name, int rows, int dim) {
    add({{"op", name}, {"L", std::to_string(rows)}, {"D", std::to_string(dim)}}, [=](Trial& t) {
      measure_relax(t, relaxation, {rows, dim, dim}, true, rows <= 8);
    });
  };
  const auto dot = [&](int rows, int dim) {
    add({{"op", "dot"}, {"L", std::to_string(rows)}, {"D", std::to_string(dim)}},
        [=](Trial& t) { measure_dot(t, rows, dim, 4, true, rows * dim <= 1024); });
  };
  const auto verify = [&](int rows, int hidden, int mlp, int layers, bool simt, bool on_cpu = true) {
    const datasets::SentimentChoice choice{.rows = rows,
                                           .hidden = hidden,
                                           .heads = 4,
                                           .mlp = mlp,
                                           .layers = layers,
                                           .sentences = 10,
                                           .trained = true};
    add(
        {{"op", "verify"},
         {"layers", std::to_string(layers)},
         {"D", std::to_string(hidden)},
         {"L", std::to_string(rows)}},
        [=](Trial& t) { measure_verification(t, choice, on_cpu, simt); }, on_cpu);
  };
  const auto soundness = [&](const datasets::SentimentChoice& choice, const Probe& probe) {
    add({{"check", "soundness"},
         {"weights", choice.trained ? "trained" : "xavier"},
         {"layers", std::to_string(choice.layers)},
         {"D", std::to_string(choice.hidden)}},
        [=](Trial& t) { measure_soundness(t, choice, probe); });
  };
  if (size == Size::smoke) {
    matmul(8, 64);
    relax(Relaxation::relu, "relu", 8, 64);
    relax(Relaxation::tanh, "tanh", 8, 64);
    dot(8, 64);
    verify(8, 64, 128, 1, true);
    soundness({.rows = 8, .hidden = 32, .mlp = 64, .layers = 1, .sentences = 10, .trained = true},
              {2, 300, 4});
    return list;
  }
  for (const int rows : {2, 4, 8, 16, 32, 64, 128}) matmul(rows, 128);
  for (const int dim : {64, 256, 384, 512, 640}) matmul(16, dim);
  for (const int rows : {2, 8, 32, 128}) {
    relax(Relaxation::relu, "relu", rows, 128);
    relax(Relaxation::tanh, "tanh", rows, 128);
    dot(rows, 128);
  }
  for (const int layers : {1, 2, 3, 6}) verify(16, 64, 512, layers, false);
  verify(16, 256, 512, 1, false);
  for (const int layers : {2, 3, 6}) verify(32, 256, 512, layers, false, false);
  for (const int layers : {1, 2, 3, 6}) {
    soundness({.rows = 12, .hidden = 64, .mlp = 128, .layers = layers, .sentences = 10, .trained = true},
              {layers == 1 ? 10 : 4, 2000, 20});
  }
  soundness({.rows = 8, .hidden = 64, .mlp = 128, .layers = 1, .sentences = 10}, {4, 2000, 20});
  return list;
}

Claim faster(const char* id, const char* text, const char* on) {
  return {.id = id,
          .text = text,
          .reported = {1, 1},
          .tolerance = 0,
          .tolerance_reason = "a figure; only that it is faster was verified",
          .on = on,
          .source = "figure; sizes from the authors' repository",
          .needs = Needs::gpu,
          .is_time = true};
}

}  // namespace

extern const Experiment faith;
const Experiment faith = {
    .paper =
        {.id = "faith",
         .title = "Faith: An Efficient Framework for Transformer Verification on GPUs",
         .authors =
             "Boyuan Feng, Tianqi Tang, Yuke Wang, Zhaodong Chen, Zheng Wang, Shu Yang, Yuan Xie, Yufei Ding",
         .venue = "USENIX ATC 2022",
         .arxiv = "2209.12708",
         .summary = "Linear bounds of a transformer under perturbed words, propagated by fused kernels"},
    .claims =
        {{.id = "e2e-speedup",
          .text = "a verification, fused kernels over the unfused graph of library calls",
          .reported = {2.1, 3.4},
          .tolerance_reason =
              "the base there is PyTorch, TVM or Ansor, here cuBLAS tuned and fused element-wise launches",
          .on = "GPU, SST and Yelp transformers of 1 to 6 layers, fp32",
          .source = "abstract (mean 2.6)",
          .needs = Needs::gpu,
          .is_time = true},
         faster("matmul-fused", "the dense layer of a bound object, fused over masks and four products",
                "GPU, length 2 to 128 at dim 128; length 16, dim 64 to 640"),
         faster("relu-tanh-dot", "ReLU, tanh and inner product of bound objects, fused over unfused",
                "GPU, length 2 to 128, dim 128")},
    .cases = cases,
    .notes =
        {"The paper selects lower or upper by the sign of each weight: half the multiply-adds of four "
         "products, but a selection beside each. Centres and radii need the same multiply-adds and no "
         "selection ('kernel'; 'kernel/select' is the paper's). Unfused they need two products instead of "
         "four ('vendor/centre'), so half of the arithmetic that fusing saves can be saved without it.",
         "The selection's flops on a GPU are no gain over four products as the issue slots go: two "
         "multiply-adds and two selections a term.",
         "Layer norm without a variance is the dense layer diag(scale) (I - 1/C) exactly; the "
         "difference of a value's bounds and its mean's would be looser.",
         "Exponentials beyond 12 are the tangent at 12, in the verified function too: with scores below "
         "12 that is the softmax itself.",
         "Chords are computed without the difference of nearly equal values. As written in the card, "
         "exponential and tanh lose the slope of narrow intervals in fp32, and fused and unfused bounds of "
         "two layers differ by 1e-3 instead of 2e-4.",
         "Limits of verifications are derived, case by case: the chain in double with its operands disturbed "
         "as sums of n terms in f32 are (u sqrt(n)), four times what that changes. They grow with the "
         "layers, from 3e-6 for one to about 1e-2 for six; where a digit isn't left, the row says so. Radii "
         "are certified with a slack of 100 roundings of the margin's scale.",
         "Linear bounds with these relaxations aren't monotone at large radii: a tanh that saturates is "
         "enclosed by lines that leave [-1, 1]. Then intervals may be narrower; the tests are about radii "
         "that can be certified.",
         "Verified models are trained, with strong weight decay and small branches: norms without a variance "
         "hold no value's size, and of a model trained without decay bounds of three layers are infinite. Of "
         "untrained (Xavier) ones rounding leaves one digit after three layers at a radius of 1e-5.",
         "'eigen' is the faster of two arrangements, tried on the problem: Eigen's own threads, or blocks of "
         "256 rows as tasks, each through all four products. Products of 16,000 x 128 by 128 x 128 leave "
         "Eigen's threads waiting for the last of them four times.",
         "Models: Xavier, or trained here on sentences of 200 words; the certified radii are theirs, not "
         "SST's or Yelp's. Sentences have one length each, so that there is no padding to attend to. "
         "Exported checkpoints: remeasure data import sentiment_transformer."},
};

}  // namespace remeasure::experiments
