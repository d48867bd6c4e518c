// SPDX-License-Identifier: Apache-2.0
//
// Faith propagates linear bounds through a transformer with fused kernels: the dense layer of a bound object
// in one launch where frameworks make masks and four products, relaxations and attention's inner products in
// one launch each.
#include <numeric>

#include "experiments/learning/faith_soundness.h"
#include "experiments/learning/faith_variants.h"

namespace remeasure::experiments {

using namespace bench;
using namespace faith_bounds;

namespace {

/// Rows that are compared: all of few, or 48 with the ends of tiles among them.
std::vector<std::size_t> sampled(std::size_t all) {
  std::vector<std::size_t> rows;
  if (all <= 1024) {
    rows.resize(all);
    std::iota(rows.begin(), rows.end(), std::size_t{0});
    return rows;
  }
  for (const std::size_t edge : {std::size_t{0}, std::size_t{31}, std::size_t{32}, std::size_t{127},
                                 std::size_t{128}, all - 129, all - 1})
    rows.push_back(edge);
  for (std::size_t i = 1; i <= 41; ++i) rows.push_back(i * 2'654'435'761u % all);
  std::sort(rows.begin(), rows.end());
  rows.erase(std::unique(rows.begin(), rows.end()), rows.end());
  return rows;
}

std::vector<double> wide(const std::vector<float>& values) {
  return {values.begin(), values.end()};
}

/// The plain loops on sampled rows of both bounds.
void matmul_oracles(Trial& t, const OperationInputs& in, int columns) {
  const auto inner = static_cast<std::size_t>(in.bounds.shape.channels),
             outputs = static_cast<std::size_t>(columns);
  const auto declare = [&](const char* lower_name, const char* upper_name, const std::vector<float>& lower,
                           const std::vector<float>& upper, bool biases) {
    const std::vector<std::size_t> rows = sampled(lower.size() / inner);
    std::vector<double> l, u;
    OracleOutput low, high;
    for (const std::size_t row : rows) {
      for (std::size_t k = 0; k < inner; ++k) {
        l.push_back(static_cast<double>(lower[row * inner + k]));
        u.push_back(static_cast<double>(upper[row * inner + k]));
      }
      for (std::size_t n = 0; n < outputs; ++n) low.indices.push_back(row * outputs + n);
    }
    high.indices = low.indices;
    low.values.resize(low.indices.size());
    high.values.resize(low.indices.size());
    kernels::oracle::interval_matmul(l, u, wide(in.matrix), biases ? wide(in.offset) : std::vector<double>(),
                                     static_cast<int>(inner), columns, low.values, high.values);
    t.oracle(lower_name, 1, [low] { return low; });
    t.oracle(upper_name, 1, [high] { return high; });
  };
  declare(kOutputs[0], kOutputs[1], in.bounds.lower_weight, in.bounds.upper_weight, false);
  declare(kOutputs[2], kOutputs[3], in.bounds.lower_bias, in.bounds.upper_bias, true);
}

/// Fused over unfused on a GPU where there is one; on the CPU the row says what fusing gives Eigen.
void report_speedups(Trial& t, const char* claim, bool on_cpu) {
  if (on_cpu) t.speedup("method", "eigen");
  t.claim(claim, t.speedup("kernel", "vendor"));
}

void measure_matmul(Trial& t, const BoundShape& shape, int columns, bool on_cpu, bool simt) {
  const auto in = t.inputs([&](std::uint64_t seed) { return load_operation(t, shape, columns, seed); });
  matmul_oracles(t, in[0], columns);
  declare_matmul(t, {shape, in, on_cpu, simt}, columns);
  t.measure();
  report_speedups(t, "matmul-fused", on_cpu);
  t.speedup("kernel", "vendor/centre");
  t.speedup("kernel", "kernel/select");
  const BoundWork fused = kernels::bound_matmul_work(shape, columns, true),
                  products = kernels::four_product_work(shape, columns);
  const double multiplies =
      kernels::split_multiplies(shape, columns, true) / kernels::split_multiplies(shape, columns, false);
  t.metric({.name = "bytes, fused over four products",
            .value = fused.bytes / products.bytes,
            .unit = "",
            .exact = true});
  t.metric({.name = "multiplies, fused over four products", .value = multiplies, .unit = "", .exact = true});
  t.metric({.name = "W+ and W- that are not written",
            .value = 8.0 * static_cast<double>(in[0].matrix.size()),
            .unit = "bytes",
            .exact = true});
  t.check(
      "fused takes at most 0.6 of the bytes and multiplies",
      fused.bytes <= 0.6 * products.bytes && multiplies <= 0.6,
      fmt::format("{:.3f} of the bytes, {:.3f} of the multiplies", fused.bytes / products.bytes, multiplies));
}

void measure_relax(Trial& t, Relaxation relaxation, const BoundShape& shape, bool on_cpu, bool simt) {
  const auto in = t.inputs([&](std::uint64_t seed) { return load_operation(t, shape, 1, seed); });
  oracle_of(t, kernels::oracle::relax(relaxation, in[0].bounds.as<double>(), kOperationBall));
  declare_relax(t, {shape, in, on_cpu, simt}, relaxation);
  t.measure();
  report_speedups(t, "relu-tanh-dot", on_cpu);
  // Norms and intervals of both bounds, four arrays of lines: written and read again.
  t.metric({.name = "temporaries that are not written",
            .value = 4.0 * 8 * static_cast<double>(shape.biases()),
            .unit = "bytes",
            .exact = true});
}

void measure_dot(Trial& t, int tokens, int hidden, int heads, bool on_cpu, bool simt) {
  const DotShape dots = kernels::score_shape(tokens, hidden, heads, hidden);
  const BoundShape shape = dots.x_shape();
  const auto in = t.inputs([&](std::uint64_t seed) {
    OperationInputs of = load_operation(t, shape, 1, seed);
    const kernels::oracle::Intervals ends =
        kernels::oracle::concretise(of.bounds.as<double>(), kOperationBall);
    of.lower.assign(ends.lower.begin(), ends.lower.end());
    of.upper.assign(ends.upper.begin(), ends.upper.end());
    return of;
  });
  // All of the biases, and of the weights the first, the last and six or more other numbers of the
  // perturbation.
  const BoundArrays<double> exact = in[0].bounds.as<double>();
  const kernels::oracle::Intervals ends{wide(in[0].lower), wide(in[0].upper)};
  OracleOutput low, high;
  const auto out_channels = static_cast<std::size_t>(heads) * static_cast<std::size_t>(tokens);
  const int inputs = std::min(hidden, std::max(8, 4096 / (tokens * tokens * heads)));
  for (int i = 0; i < inputs; ++i) {
    const int input = i * (hidden - 1) / (inputs - 1);
    const kernels::oracle::Intervals of =
        kernels::oracle::dot_of_input(dots, exact, ends, exact, ends, input);
    for (std::size_t j = 0; j < of.lower.size(); ++j) {
      low.indices.push_back(
          (j / out_channels * static_cast<std::size_t>(hidden) + static_cast<std::size_t>(input)) *
              out_channels +
          j % out_channels);
    }
    low.values.insert(low.values.end(), of.lower.begin(), of.lower.end());
    high.values.insert(high.values.end(), of.upper.begin(), of.upper.end());
  }
  high.indices = low.indices;
  const kernels::oracle::Intervals biases =
      kernels::oracle::dot_of_input(dots, exact, ends, exact, ends, hidden);
  t.oracle(kOutputs[0], 1, [low] { return low; });
  t.oracle(kOutputs[1], 1, [high] { return high; });
  t.oracle(kOutputs[2], 1,
           [biases] { return OracleOutput{.values = biases.lower, .scale = {}, .indices = {}}; });
  t.oracle(kOutputs[3], 1,
           [biases] { return OracleOutput{.values = biases.upper, .scale = {}, .indices = {}}; });
  declare_dot(t, {shape, in, on_cpu, simt}, dots);
  t.measure();
  report_speedups(t, "relu-tanh-dot", on_cpu);
  t.metric({.name = "masked ends that are not written",
            .value = 8.0 * 3 * static_cast<double>(shape.biases()),
            .unit = "bytes",
            .exact = true});
}

void measure_verification(Trial& t, const datasets::SentimentChoice& choice, double radius, double limit,
                          bool on_cpu, bool simt) {
  const auto in = t.inputs([&](std::uint64_t seed) { return sentence_of(load_encoder(t, choice, seed), 0); });
  const SentenceInputs& s = in[0];
  oracle_of(t, kernels::margin_bounds<double>(s.model, s.label, s.embedding, s.perturbation(radius)),
            kernels::margin_scale(s.model, s.label));
  declare_verification(t, {in, radius, limit, on_cpu, simt});
  t.measure();
  report_speedups(t, "e2e-speedup", on_cpu);
  WorkOps kept{s.start.shape, s.perturbation(radius).ball};
  verification_work(s, radius, &kept);
  t.metric({.name = "masks that are not written", .value = kept.masks, .unit = "bytes", .exact = true});
  t.metric({.name = "largest bound object", .value = kept.largest, .unit = "bytes", .exact = true});
  t.metric(
      {.name = "flops of the fused verification", .value = kept.work.flops, .unit = "flop", .exact = true});
}

struct Probe {
  int sentences, random, points;
};

/// Certified radii of the sentences, attacks inside them, interval propagation beside them.
void measure_soundness(Trial& t, const datasets::SentimentChoice& choice, const Probe& probe) {
  const datasets::SentimentTransformer encoder = load_encoder(t, choice, t.seed());
  reports::Table table{.name = "accuracy",
                       .title = fmt::format("Certified radius of one word, {} layer(s), {} weights",
                                            choice.layers, choice.trained ? "trained" : "Xavier"),
                       .columns = {"sentence", "margin", "radius, linear", "radius, intervals",
                                   "attack's least margin there", "certified", "violations"},
                       .rows = {}};
  double linear = 0, intervals = 0, worst = 0, narrowest = INFINITY;
  std::size_t tried = 0, certified = 0;
  std::vector<NodeWidth> nodes;
  for (int i = 0; i < probe.sentences; ++i) {
    const SentenceInputs s = sentence_of(encoder, static_cast<std::size_t>(i));
    const CertifiedRadii radii = certified_radii(s, 6);
    linear += radii.linear / probe.sentences;
    intervals += radii.intervals / probe.sentences;
    narrowest = std::min(narrowest, radii.linear / std::max(radii.intervals, 1e-9));
    const double radius = std::max(radii.linear, 1e-5);
    certified += radii.linear > 0 ? 1 : 0;
    const kernels::Interval bounds = linear_interval(s, radius);
    const Attack found =
        attack(s, radius, probe.random, probe.points, t.seed() + static_cast<std::uint64_t>(i));
    const double violation = std::max(bounds.lower - found.least, found.most - bounds.upper);
    worst = std::max(worst, std::isnan(violation) ? INFINITY : violation);
    tried += found.tried;
    table.rows.push_back(
        {std::to_string(i),
         fmt::format("{:.4f}", kernels::margin_at(s.model, s.label, s.embedding, s.perturbation(0), {})),
         fmt::format("{:.2e}", radii.linear), fmt::format("{:.2e}", radii.intervals),
         fmt::format("{:.4f}", found.least), fmt::format("[{:.4f}, {:.4f}]", bounds.lower, bounds.upper),
         violation > 1e-5 ? "yes" : "none"});
    if (i == 0) {
      nodes = node_widths(s, radii.intervals > 0 ? radii.intervals : 1e-5);
      reports::Plot plot{.name = "widths",
                         .title = "Width of the margin's interval against the radius",
                         .x_label = "radius",
                         .y_label = "width",
                         .log_x = true,
                         .log_y = true,
                         .curves = {{.label = "linear bounds"}, {.label = "intervals"}}};
      for (double r = radius / 100; r < 2 * radius; r *= 2.5) {
        const kernels::Interval by_linear = linear_interval(s, r),
                                by_intervals = kernels::margin_by_intervals(s.model, s.label, s.embedding,
                                                                            s.perturbation(r));
        for (std::size_t curve = 0; curve < 2; ++curve) {
          const kernels::Interval& ends = curve == 0 ? by_linear : by_intervals;
          if (!std::isfinite(ends.upper - ends.lower)) continue;
          plot.curves[curve].x.push_back(r);
          plot.curves[curve].y.push_back(ends.upper - ends.lower);
        }
      }
      t.plot(std::move(plot));
    }
  }
  t.table(table);
  t.check("no perturbation leaves the certified interval by more than 1e-5", worst <= 1e-5,
          fmt::format("{} tried, the worst is {:.2e} outside", tried, worst));
  t.check("linear bounds certify a larger radius than intervals for every sentence",
          narrowest > 1 && certified == static_cast<std::size_t>(probe.sentences),
          fmt::format("{:.2e} against {:.2e} on average, {} of {} certified", linear, intervals, certified,
                      probe.sentences));
  const bool narrower =
      std::all_of(nodes.begin(), nodes.end(), [](const NodeWidth& n) { return n.linear <= n.intervals; });
  reports::Table widths{
      .name = "steps",
      .title =
          "Mean width after each step, at the radius that intervals certify (1e-5 where they certify none)",
      .columns = {"step", "linear bounds", "intervals"},
      .rows = {}};
  for (const NodeWidth& n : nodes)
    widths.rows.push_back({n.node, fmt::format("{:.2e}", n.linear), fmt::format("{:.2e}", n.intervals)});
  t.table(widths);
  t.check("linear bounds are narrower than intervals after every step", narrower,
          "means over all values of a step, see the table");
  t.metric({.name = "certified radius, linear bounds", .value = linear, .unit = "", .tolerance = 0.05});
  t.metric({.name = "certified radius, intervals", .value = intervals, .unit = "", .tolerance = 0.05});
  t.metric(
      {.name = "accuracy of the model", .value = 100 * encoder.accuracy, .unit = "%", .tolerance = 0.01});
}

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
  const auto verify = [&](int rows, int hidden, int mlp, int layers, double limit, bool simt,
                          bool on_cpu = true) {
    const datasets::SentimentChoice choice{
        .rows = rows, .hidden = hidden, .heads = 4, .mlp = mlp, .layers = layers, .sentences = 10};
    list.push_back({.name = {{"op", "verify"},
                             {"layers", std::to_string(layers)},
                             {"D", std::to_string(hidden)},
                             {"L", std::to_string(rows)}},
                    .run =
                        [=](Trial& t) {
                          measure_verification(t, choice, layers > 1 ? 1e-5 : 1e-4, limit, on_cpu, simt);
                        },
                    .left_out = layers > 2
                                    ? "fp32 bounds of an untrained model this deep have fewer than two digits"
                                : on_cpu || gpu ? ""
                                                : "for the GPU's kernels: too slow on a CPU"});
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
    verify(8, 64, 128, 1, 5e-4, true);
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
  for (const int layers : {1, 2, 3, 6}) verify(16, 64, 512, layers, layers == 1 ? 5e-4 : 0.02, false);
  verify(16, 256, 512, 1, 2e-3, false);
  for (const int layers : {2, 3, 6}) verify(32, 256, 512, layers, 0.02, false, false);
  for (const int layers : {1, 2})
    soundness({.rows = 12, .hidden = 64, .mlp = 128, .layers = layers, .sentences = 10, .trained = true},
              {layers == 1 ? 10 : 4, 2000, 20});
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
    .notes = {"The paper selects lower or upper by the sign of each weight: half the multiply-adds of four "
              "products, but a selection beside each. "
              "Centres and radii need the same multiply-adds and no selection ('kernel'; 'kernel/select' is "
              "the paper's). Unfused they need two "
              "products instead of four ('vendor/centre'), so half of the arithmetic that fusing saves can "
              "be saved without it.",
              "The selection's flops on a GPU are no gain over four products as the issue slots go: two "
              "multiply-adds and two selections a term.",
              "Layer norm without a variance is the dense layer diag(scale) (I - 1/C) exactly; the "
              "difference of a value's bounds and its mean's would be looser.",
              "Exponentials beyond 12 are the tangent at 12, in the verified function too: with scores below "
              "12 that is the softmax itself.",
              "Chords are computed without the difference of nearly equal values. As written in the card, "
              "exponential and tanh lose the slope of "
              "narrow intervals in fp32, and fused and unfused bounds of two layers differ by 1e-3 instead "
              "of 2e-4.",
              "fp32 bounds of deeper layers agree with double's to fewer digits: their lines rest on widths "
              "that are a small part of the values. "
              "Radii are certified with a slack of 100 roundings of the margin's scale.",
              "Linear bounds with these relaxations aren't monotone at large radii: a tanh that saturates is "
              "enclosed by lines that leave [-1, 1]. "
              "Then intervals may be narrower; the tests are about radii that can be certified.",
              "Verifications of three and more layers of untrained models are left out: widths that rounding "
              "makes "
              "grow from layer to layer, and fp32 bounds differ from double's by 3 % after three layers at a "
              "radius "
              "of 1e-5, fused or not. The reported range is for trained models of up to 6 layers, which need "
              "exported "
              "checkpoints.",
              "Models: Xavier, or trained here on sentences of 200 words; the certified radii are theirs, "
              "not SST's or Yelp's. Sentences have one "
              "length each, so that there is no padding to attend to. Exported checkpoints: remeasure data "
              "import sentiment_transformer."},
};

}  // namespace remeasure::experiments
