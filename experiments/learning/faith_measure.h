// SPDX-License-Identifier: Apache-2.0
//
// What a case of faith measures and reports: an operation on bounds, a verification, or what certificates are
// worth.
#pragma once

#include <numeric>

#include "experiments/learning/faith_rounding.h"
#include "experiments/learning/faith_soundness.h"
#include "experiments/learning/faith_variants.h"

namespace remeasure::experiments::faith_bounds {

/// Rows that are compared: all of few, or 48 with the ends of tiles among them.
inline std::vector<std::size_t> sampled(std::size_t all) {
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

inline std::vector<double> wide(const std::vector<float>& values) {
  return {values.begin(), values.end()};
}

/// The plain loops on sampled rows of both bounds.
inline void matmul_oracles(Trial& t, const OperationInputs& in, int columns) {
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
inline void report_speedups(Trial& t, const char* claim, bool on_cpu) {
  if (on_cpu) t.speedup("method", "eigen");
  t.claim(claim, t.speedup("kernel", "vendor"));
}

inline void measure_matmul(Trial& t, const BoundShape& shape, int columns, bool on_cpu, bool simt) {
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

inline void measure_relax(Trial& t, Relaxation relaxation, const BoundShape& shape, bool on_cpu, bool simt) {
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

inline void measure_dot(Trial& t, int tokens, int hidden, int heads, bool on_cpu, bool simt) {
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

/// The sentences of one model: training takes seconds, so input sets differ by the sentence.
inline InputSets<SentenceInputs> load_sentences(Trial& t, const datasets::SentimentChoice& choice) {
  const datasets::SentimentTransformer encoder = load_encoder(t, choice, t.seed());
  std::size_t next = 0;
  return t.inputs([&](std::uint64_t) { return sentence_of(encoder, next++); });
}

/// At half of the radius that is certified for the first sentence: a step of a user's search, with bounds as
/// wide as they are of use.
inline void measure_verification(Trial& t, const datasets::SentimentChoice& choice, bool on_cpu, bool simt) {
  const auto in = load_sentences(t, choice);
  const SentenceInputs& s = in[0];
  const double radius = std::max(certified_radii(s, 6).linear / 2, 1e-5);
  oracle_of(t, kernels::margin_bounds<double>(s.model, s.label, s.embedding, s.perturbation(radius)),
            kernels::margin_scale(s.model, s.label));
  const RoundingLimits limits = rounding_limits(s, radius);
  declare_verification(t, {in, radius, limits, on_cpu, simt});
  t.measure();
  report_speedups(t, "e2e-speedup", on_cpu);
  WorkOps kept{s.start.shape, s.perturbation(radius).ball};
  verification_work(s, radius, &kept);
  t.metric({.name = "radius", .value = radius, .unit = "", .tolerance = 0.1});
  t.metric({.name = "share of the bounds' weights that f32 may round away",
            .value = limits.weights,
            .unit = "",
            .tolerance = 1});
  t.metric({.name = "masks that are not written", .value = kept.masks, .unit = "bytes", .exact = true});
  t.metric({.name = "largest bound object", .value = kept.largest, .unit = "bytes", .exact = true});
  t.metric(
      {.name = "flops of the fused verification", .value = kept.work.flops, .unit = "flop", .exact = true});
}

struct Probe {
  int sentences, random, points;
};

/// Certified radii of the sentences, attacks inside them, interval propagation beside them.
inline void measure_soundness(Trial& t, const datasets::SentimentChoice& choice, const Probe& probe) {
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

}  // namespace remeasure::experiments::faith_bounds
