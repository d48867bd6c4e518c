// SPDX-License-Identifier: Apache-2.0
//
// The accuracy of ptq4vit: errors of tensors, the ablation on the small model, and the choice of scales layer
// by layer.
#pragma once

#include "experiments/precision/ptq4vit_block.h"
#include "experiments/precision/ptq4vit_model.h"

namespace remeasure::experiments::twin_calibration {

/// Mean squared error of a tensor under the best of some quantisers.
inline double best_error(std::span<const float> values, const Quantizers& candidates) {
  double best = std::numeric_limits<double>::infinity();
  for (const auto& q : candidates) {
    const std::vector<float> as = kernels::quantized(values, std::span(&q, 1));
    double sum = 0;
    for (std::size_t i = 0; i < values.size(); ++i)
      sum += std::pow(static_cast<double>(as[i]) - static_cast<double>(values[i]), 2);
    best = std::min(best, sum / static_cast<double>(values.size()));
  }
  return best;
}
/// Error of the best uniform quantiser over that of the best twin one; both may choose among the search's
/// candidates.
inline double twin_gain(std::span<const float> values, Calibration kind, int bits) {
  const kernels::SearchSettings twin{.bits = bits};
  kernels::SearchSettings uniform = twin;
  uniform.twin = false;
  const float first = kernels::first_step(values, bits);
  return best_error(values, kernels::candidates_of(kind, first, uniform)) /
         best_error(values, kernels::candidates_of(kind, first, twin));
}

struct TensorRow {
  const char* name;
  Calibration kind;
  std::vector<float> values;
};
inline std::vector<TensorRow> tensor_rows(std::uint64_t seed, std::size_t rows) {
  std::vector<float> normal;
  const datasets::Philox random(seed, 5), weak(seed, 6);
  for (std::size_t i = 0; i < rows * 197; ++i) normal.push_back(static_cast<float>(random.normal(i)));
  // Attention that is nearly flat: logits of sd 0.2.
  std::vector<float> flat;
  for (std::size_t row = 0; row < rows; ++row) {
    double sum = 0;
    std::vector<double> x(197);
    for (std::size_t k = 0; k < 197; ++k) sum += x[k] = std::exp(0.2 * weak.normal(row * 197 + k));
    for (const double each : x) flat.push_back(static_cast<float>(each / sum));
  }
  return {{"softmax, 197 keys", Calibration::softmax, datasets::softmax_rows(seed, 1, rows, 197)},
          {"softmax, 197 keys, flat", Calibration::softmax, std::move(flat)},
          {"GELU", Calibration::gelu, datasets::gelu_values(seed, 2, rows * 197)},
          {"N(0, 1), which is no activation", Calibration::gelu, std::move(normal)}};
}

inline void measure_tensors(Trial& t, std::size_t rows) {
  reports::Table table{.name = "tensors",
                       .title = "Squared error, uniform over twin",
                       .columns = {"tensor", "8 bit", "6 bit", "4 bit"},
                       .rows = {}};
  for (const TensorRow& row : tensor_rows(t.seed(), rows)) {
    std::vector<std::string> line = {row.name};
    for (const int bits : {8, 6, 4}) {
      const double gain = twin_gain(row.values, row.kind, bits);
      line.push_back(fmt::format("{:.2f}", gain));
      t.metric({.name = fmt::format("uniform over twin, {}, {} bit", row.name, bits),
                .value = gain,
                .unit = "x",
                .tolerance = 0.02});
      if (std::string(row.name) == "softmax, 197 keys" && bits > 4) {
        t.check(fmt::format("twin codes of softmax at {} bit", bits), gain >= (bits == 8 ? 4 : 3),
                fmt::format("{:.2f} times less error", gain));
      }
    }
    table.rows.push_back(std::move(line));
  }
  t.table(table);
}

struct Ablation {
  const char* name;
  bool hessian, softmax, gelu;
};
inline const std::vector<Ablation>& ablations() {
  static const std::vector<Ablation> list = {{"base", false, false, false},
                                             {"+Hessian", true, false, false},
                                             {"+Hessian +softmax twin", true, true, false},
                                             {"+Hessian +GELU twin", true, false, true},
                                             {"twins alone", false, true, true},
                                             {"all", true, true, true}};
  return list;
}
inline SearchSettings settings_of(const Ablation& ablation, Site site, int bits) {
  SearchSettings settings = ablation.hessian ? SearchSettings{.bits = bits} : kernels::base_settings(bits);
  const Calibration kind = calibration_of(site);
  settings.twin =
      (kind == Calibration::softmax && ablation.softmax) || (kind == Calibration::gelu && ablation.gelu);
  return settings;
}

/// Scales of layers as they are found: an ablation changes few layers, the others are the same search.
class SearchCache {
 public:
  explicit SearchCache(const Layers& layers) : layers_(&layers) {}
  const LayerScales& operator()(const Place& place, const SearchSettings& settings) {
    const auto key = std::tuple(place, settings.bits, settings.metric, settings.twin, settings.rounds);
    const auto found = found_.find(key);
    if (found != found_.end()) return found->second;
    return found_[key] = search(place, layers_->at(place), settings);
  }
  /// `rounds` of the alternation between both operands; 0: as many as the ablation has.
  Scales all(const Ablation& ablation, int bits, int rounds = 0) {
    Scales scales;
    for (const auto& [place, layer] : *layers_) {
      SearchSettings settings = settings_of(ablation, place.site, bits);
      if (rounds > 0) settings.rounds = rounds;
      scales[place] = (*this)(place, settings);
    }
    return scales;
  }

 private:
  const Layers* layers_;
  std::map<std::tuple<Place, int, ScaleMetric, bool, int>, LayerScales> found_;
};

struct LayerChoice {
  Place place;
  double hessian = 0,
         cosine = 0;  ///< divergence where this layer alone is quantised, by the scale that each metric chose
};
struct ChoiceSummary {
  std::vector<LayerChoice> layers;
  double share = 0, hessian = 0, cosine = 0;  ///< share of layers where Hessian is lower; means
};
/// Both metrics with the same three rounds and the same candidates, uniform quantisers: nothing but the
/// metric differs.
inline ChoiceSummary compare_choices(const SmallVit& vit, const Layers& layers, int bits,
                                     std::size_t images) {
  const auto test = std::span<const float>(vit.test).first(images * vit.image_values());
  const auto labels = std::span<const std::uint16_t>(vit.test_label).first(images);
  const Quality exact = evaluate(vit, test, labels, {}, 0);
  ChoiceSummary summary;
  for (const auto& [place, layer] : layers) {
    const auto cost = [&, &at = place, &of = layer](ScaleMetric metric) {
      SearchSettings settings{.bits = bits, .metric = metric, .twin = false};
      return divergence(exact, evaluate(vit, test, labels, {{at, search(at, of, settings)}}, 0),
                        static_cast<std::size_t>(vit.shape.classes));
    };
    summary.layers.push_back({place, cost(ScaleMetric::hessian), cost(ScaleMetric::cosine)});
    const LayerChoice& choice = summary.layers.back();
    summary.share += choice.hessian < choice.cosine ? 1 : 0;
    summary.hessian += choice.hessian;
    summary.cosine += choice.cosine;
  }
  const auto count = static_cast<double>(summary.layers.size());
  summary.share /= count, summary.hessian /= count, summary.cosine /= count;
  return summary;
}

struct ModelChoice {
  datasets::SmallVitChoice model;
  int images = 32;  ///< of the calibration
  std::vector<int> bits;
  std::size_t images_by_layer = 0;  ///< test images of compare_choices
  int draws = 1;                    ///< of calibration images, all of one model
  int models = 1;                   ///< trained from other seeds, the first draw of each
};

/// A sample of something, as a row says it.
struct Spread {
  double mean = 0, deviation = 0, error = 0;  ///< of a sample; of the mean
};
inline Spread spread_of(const std::vector<double>& sample) {
  Spread s;
  const auto n = static_cast<double>(sample.size());
  for (const double x : sample) s.mean += x / n;
  for (const double x : sample) s.deviation += (x - s.mean) * (x - s.mean);
  s.deviation = n > 1 ? std::sqrt(s.deviation / (n - 1)) : 0;
  s.error = s.deviation / std::sqrt(n);
  return s;
}
/// Whether samples of a ratio lie below 1 by more than chance: their mean by two of its standard errors, and
/// three samples at least. 1 is no gain, whatever the model.
inline bool below_one(const Spread& s, std::size_t samples) {
  return samples >= 3 && s.mean + 2 * s.error < 1;
}

/// Divergence and top-1 of base, twins alone and all parts at 6 bit, for one model and one draw of its
/// calibration images.
struct Gain {
  std::string what;
  double base = 0, twins = 0, all = 0, base_top1 = 0, all_top1 = 0;
  double ratio() const { return all / base; }
};
inline Gain gain_of(const SmallVit& vit, SearchCache& cache, const Quality& exact, std::string what) {
  const auto of = [&](std::size_t ablation) {
    return evaluate(vit, vit.test, vit.test_label, cache.all(ablations()[ablation], 6), 6);
  };
  const auto away = [&](const Quality& quality) {
    return divergence(exact, quality, static_cast<std::size_t>(vit.shape.classes));
  };
  const std::size_t last = ablations().size() - 1;
  const Quality base = of(0), twins = of(last - 1), all = of(last);
  return {std::move(what), away(base), away(twins), away(all), 100 * base.accuracy, 100 * all.accuracy};
}
inline Gain gain_of(const SmallVit& vit, int images, std::string what) {
  const Layers layers = capture(vit, images, Weighting::fisher);
  SearchCache cache(layers);
  return gain_of(vit, cache, evaluate(vit, vit.test, vit.test_label, {}, 0), std::move(what));
}

/// What the second and third round of the alternation give.
inline void report_rounds(Trial& t, const SmallVit& vit, SearchCache& cache, const Quality& exact) {
  reports::Table table{
      .name = "rounds",
      .title = "All parts at 6 bit by rounds of the search: each operand in turn, the other fixed",
      .columns = {"rounds", "divergence", "top-1"},
      .rows = {}};
  for (const int rounds : {1, 2, 3}) {
    const Quality quality =
        evaluate(vit, vit.test, vit.test_label, cache.all(ablations().back(), 6, rounds), 6);
    const double away = divergence(exact, quality, static_cast<std::size_t>(vit.shape.classes));
    table.rows.push_back({std::to_string(rounds), fmt::format("{:.5f}", away),
                          fmt::format("{:.2f} %", 100 * quality.accuracy)});
    t.metric({.name = fmt::format("divergence, all, 6 bit, {} round(s)", rounds),
              .value = away,
              .unit = "nats",
              .tolerance = 0.5});
  }
  t.table(std::move(table));
}

/// Noise or gain: all parts against the base at 6 bit over calibration images and models.
inline void report_gains(Trial& t, const std::vector<Gain>& gains) {
  std::vector<double> ratios, of_twins, points;
  reports::Table table{
      .name = "draws",
      .title = "All parts against the base at 6 bit, by calibration images and by model",
      .columns = {"sample", "divergence, base", "twins alone / base", "all / base", "top-1, base", "all"},
      .rows = {}};
  for (const Gain& g : gains) {
    ratios.push_back(g.ratio());
    points.push_back(g.all_top1 - g.base_top1);
    of_twins.push_back(g.twins / g.base);
    table.rows.push_back({g.what, fmt::format("{:.5f}", g.base), fmt::format("{:.2f}", of_twins.back()),
                          fmt::format("{:.2f}", g.ratio()), fmt::format("{:.2f} %", g.base_top1),
                          fmt::format("{:.2f} %", g.all_top1)});
  }
  const Spread ratio = spread_of(ratios), twins = spread_of(of_twins), top1 = spread_of(points);
  table.rows.push_back({"mean, deviation", "", fmt::format("{:.2f} +- {:.2f}", twins.mean, twins.deviation),
                        fmt::format("{:.2f} +- {:.2f}", ratio.mean, ratio.deviation), "",
                        fmt::format("{:+.2f} +- {:.2f} points", top1.mean, top1.deviation)});
  t.table(std::move(table));
  t.metric({.name = "divergence, all over base, 6 bit",
            .value = ratio.mean,
            .unit = "x",
            .error = ratio.error,
            .tolerance = 0.5});
  t.metric({.name = "points of all over the base, 6 bit",
            .value = top1.mean,
            .unit = "points",
            .error = top1.error,
            .tolerance = 5});
  t.check("all of it brings the model nearer to the exact one than the base, 6 bit",
          below_one(ratio, gains.size()),
          fmt::format("divergence {:.2f} +- {:.2f} of the base's, mean and its standard error of {}; two of "
                      "them must lie below 1",
                      ratio.mean, ratio.error, gains.size()));
}

inline void measure_model(Trial& t, const ModelChoice& choice) {
  const datasets::Opened opened =
      t.open(datasets::small_vit_definition, datasets::small_vit(choice.model, t.seed()));
  const SmallVit vit = read_small_vit(*opened.reader);
  const Layers layers = capture(vit, choice.images, Weighting::fisher);
  SearchCache cache(layers);
  std::vector<Gain> gains;
  const auto classes = static_cast<std::size_t>(vit.shape.classes);
  const Quality exact = evaluate(vit, vit.test, vit.test_label, {}, 0);
  reports::Table table{
      .name = "accuracy",
      .title =
          fmt::format("Top-1 on {} generated images and divergence from the exact model (exact: {:.2f} %)",
                      vit.test_label.size(), 100 * exact.accuracy),
      .columns = {"scales"},
      .rows = {}};
  for (const Ablation& ablation : ablations()) table.rows.push_back({ablation.name});
  table.rows.push_back({"all and corrected biases"});
  for (const int bits : choice.bits) {
    table.columns.push_back(fmt::format("W{}A{}", bits, bits));
    table.columns.push_back("divergence");
    double base_top1 = 0, all = 0, softmax = 0;
    for (std::size_t i = 0; i < ablations().size(); ++i) {
      const Ablation& ablation = ablations()[i];
      const Quality quality = evaluate(vit, vit.test, vit.test_label, cache.all(ablation, bits), bits);
      const double away = divergence(exact, quality, classes), top1 = 100 * quality.accuracy;
      table.rows[i].push_back(fmt::format("{:.2f} %", top1));
      table.rows[i].push_back(fmt::format("{:.5f}", away));
      t.metric({.name = fmt::format("top-1, {}, {} bit", ablation.name, bits),
                .value = top1,
                .unit = "%",
                .tolerance = 0.05});
      t.metric({.name = fmt::format("divergence, {}, {} bit", ablation.name, bits),
                .value = away,
                .unit = "nats",
                .tolerance = 0.5});
      if (i == 0) base_top1 = top1;
      if (ablation.hessian && ablation.softmax && !ablation.gelu) softmax = top1;
      if (i + 1 == ablations().size()) all = top1;
    }
    const Scales of_all = cache.all(ablations().back(), bits);
    const Quality corrected =
        evaluate(vit, vit.test, vit.test_label, of_all, bits, corrections_of(layers, of_all));
    table.rows.back().push_back(fmt::format("{:.2f} %", 100 * corrected.accuracy));
    table.rows.back().push_back(fmt::format("{:.5f}", divergence(exact, corrected, classes)));
    t.metric({.name = fmt::format("divergence, all and corrected biases, {} bit", bits),
              .value = divergence(exact, corrected, classes),
              .unit = "nats",
              .tolerance = 0.5});
    if (bits == 6) gains.push_back(gain_of(vit, cache, exact, "calibration 0"));
    const auto value = [](double x) { return reports::Estimate{x, x, x}; };
    if (bits == 8) t.claim("w8a8-drop", value(100 * exact.accuracy - all)), t.claim("vit-b-w8a8", value(all));
    if (bits == 6) {
      t.claim("vit-b-w6a6", value(all));
      t.claim("vit-s-w6a6", value(all));
      t.claim("ablation-w6", value(all - base_top1));
      t.metric({.name = "points of the softmax twin over the base, 6 bit",
                .value = softmax - base_top1,
                .unit = "points",
                .tolerance = 1});
    }
  }
  t.table(table);
  report_rounds(t, vit, cache, exact);
  for (int draw = 1; draw < choice.draws; ++draw) {
    gains.push_back(gain_of(with_calibration(vit, draw, choice.images), choice.images,
                            fmt::format("calibration {}", draw)));
  }
  for (int model = 1; model < choice.models; ++model) {
    const datasets::Opened other =
        t.open(datasets::small_vit_definition,
               datasets::small_vit(choice.model, t.seed() + static_cast<std::uint64_t>(1000 * model)));
    gains.push_back(gain_of(read_small_vit(*other.reader), choice.images, fmt::format("model {}", model)));
  }
  report_gains(t, gains);
  if (choice.images_by_layer == 0) return;
  const ChoiceSummary summary = compare_choices(vit, layers, 6, choice.images_by_layer);
  reports::Table by_layer{.name = "layers",
                          .title = "Divergence where one product alone is quantised, 6 bit, uniform",
                          .columns = {"product", "Hessian", "cosine"},
                          .rows = {}};
  for (const LayerChoice& each : summary.layers) {
    by_layer.rows.push_back({fmt::format("{} {}", datasets::to_string(each.place.site), each.place.layer),
                             fmt::format("{:.6f}", each.hessian), fmt::format("{:.6f}", each.cosine)});
  }
  t.table(by_layer);
  t.metric({.name = "products where the Hessian's scale is better than cosine's",
            .value = 100 * summary.share,
            .unit = "%",
            .tolerance = 0.3});
  t.metric({.name = "divergence of one product, Hessian over cosine",
            .value = summary.hessian / summary.cosine,
            .unit = "x",
            .tolerance = 0.3});
}

}  // namespace remeasure::experiments::twin_calibration
