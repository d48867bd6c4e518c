// SPDX-License-Identifier: Apache-2.0
//
// Batch normalisation with statistics of a sample. What the variance of a sample's mean follows from is exact
// and holds; what training gains is bounded by the bytes that normalisation moves anyway, and what it loses
// hangs on how gradients pass the statistics, which decides the saving too.
#include "experiments/learning/bn_sampling_training.h"
#include "experiments/learning/bn_sampling_variants.h"

namespace remeasure::experiments {

using namespace bench;
using namespace bn_sampling_parts;

namespace {

/// Training with a share of normalisation as reported, whose layers become as much faster as these do.
Measured end_to_end(Trial& t, const std::string& sampled, const std::string& full) {
  const Measured parts[] = {t.time(full), t.time(full + "/backward"), t.time(sampled),
                            t.time(sampled + "/backward")};
  for (const Measured& part : parts) {
    if (!part.value) return part;
  }
  const auto speedup = [&](double first, double second, double third, double fourth) {
    return amdahl(kReportedShare, (first + second) / (third + fourth));
  };
  const auto& [f, fb, s, sb] = parts;
  Measured result = parts[0];
  result.value =
      reports::Estimate{speedup(f.value->median, fb.value->median, s.value->median, sb.value->median),
                        speedup(f.value->low, fb.value->low, s.value->high, sb.value->high),
                        speedup(f.value->high, fb.value->high, s.value->low, sb.value->low)};
  result.on = fmt::format("model: normalisation is 30 % of training; layer times of {}", parts[0].on);
  return result;
}

void report_layer_traffic(Trial& t, const LayerCase& c) {
  reports::Table table{.name = "traffic",
                       .title = "Bytes of a layer by formula (what the counting engine counts)",
                       .columns = {"statistics", "forward", "a value", "backward", "a value", "full over it"},
                       .rows = {}};
  const auto values = static_cast<double>(c.shape.values());
  double full = 0;
  for (const LayerSample& sample : c.samples) {
    const std::size_t rows = sample.box.rows();
    const bool exact = sample.gradient == StatisticsGradient::exact;
    const double forward = (statistics_work(c.shape, rows, true) + normalize_work(c.shape)).bytes;
    const double backward = (gradient_sums_work(c.shape, exact ? c.shape.rows() : rows, true) +
                             input_gradient_work(c.shape, rows, sample.gradient, true))
                                .bytes;
    if (full == 0) full = forward + backward;
    table.rows.push_back({sample.name, fmt::format("{:.0f}", forward),
                          fmt::format("{:.3f}", forward / values), fmt::format("{:.0f}", backward),
                          fmt::format("{:.3f}", backward / values),
                          fmt::format("{:.3f}x", full / (forward + backward))});
  }
  t.table(std::move(table));
}

void measure_layer(Trial& t, const BatchNormShape& shape, int parts, bool simt) {
  const std::vector<LayerSample> samples = layer_samples(shape, parts);
  const LayerCase c{shape, samples,
                    t.inputs([&](std::uint64_t seed) { return load_layer(t, shape, samples, parts, seed); }),
                    simt};
  declare_oracles(t, c);
  declare_host(t, c);
  declare_forward(t, c, 0, "kernel/full");
  declare_forward(t, c, 1, "kernel");
  declare_forward(t, c, 3, "kernel/images");
  declare_backward(t, c, 0, "kernel/full/backward");
  declare_backward(t, c, 1, "kernel/backward");
  declare_backward(t, c, 2, "kernel/exact/backward");
  declare_backward(t, c, 3, "kernel/images/backward");
  declare_scattered(t, c);
  declare_vendor(t, c);
  t.measure();

  t.speedup("method", "eigen");
  t.speedup("method/backward", "eigen/backward");
  for (const char* pass : {"", "/backward"}) {
    const std::string of = pass;
    t.speedup("kernel" + of, "kernel/full" + of);
    t.speedup("kernel" + of, "vendor" + of);
    t.speedup("kernel/images" + of, "kernel/full" + of);
    t.speedup("kernel/full" + of, "vendor" + of);
  }
  t.speedup("kernel/exact/backward", "kernel/full/backward");
  t.speedup("statistics/features", "statistics/scattered");
  t.claim("train-speed", end_to_end(t, "kernel", "kernel/full"));
  report_layer_traffic(t, c);
}

/// All shares of one layer.
void measure_sweep(Trial& t, const BatchNormShape& shape, bool simt) {
  std::vector<LayerSample> samples;
  for (const int parts : kParts) {
    samples.push_back({fmt::format("s={}", parts == 1 ? "1" : fmt::format("1:{}", parts)),
                       sampled_features(shape, parts, {17, 1, 0}),
                       parts == 1 ? StatisticsGradient::exact : StatisticsGradient::sampled});
  }
  const LayerCase c{shape, samples,
                    t.inputs([&](std::uint64_t seed) { return load_layer(t, shape, samples, 8, seed); }),
                    simt};
  declare_oracles(t, c);
  for (std::size_t k = 0; k < samples.size(); ++k) {
    declare_forward(t, c, k, "kernel/" + samples[k].name);
    declare_backward(t, c, k, "kernel/" + samples[k].name + "/backward");
  }
  t.measure();
  for (std::size_t k = 1; k < samples.size(); ++k) {
    for (const char* pass : {"", "/backward"})
      t.speedup("kernel/" + samples[k].name + pass, "kernel/" + samples[0].name + pass);
  }
  report_layer_traffic(t, c);
}

std::string shape_name(const BatchNormShape& shape) {
  return fmt::format("{}x{}x{}x{}", shape.images, shape.height, shape.width, shape.channels);
}

std::vector<CaseDefinition> cases(Size size) {
  std::vector<CaseDefinition> list;
  const auto add = [&](const char* name, const char* value, std::function<void(Trial&)> run) {
    list.push_back({.name = {{name, value}}, .run = std::move(run)});
  };
  const bool smoke = size == Size::smoke;
  const bool gpu = Device<Cuda>::count() > 0;
  const auto layer = [&](const BatchNormShape& shape) {
    const bool large = shape.values() > 4'000'000;
    list.push_back({.name = {{"layer", shape_name(shape)}},
                    .run = [=](Trial& t) { measure_layer(t, shape, 8, !large); },
                    .left_out = large && !gpu ? "for the GPU's kernels: too many values for two cores" : ""});
  };
  const auto sweep = [&](const BatchNormShape& shape) {
    const bool large = shape.values() > 4'000'000;
    list.push_back({.name = {{"sweep", shape_name(shape)}},
                    .run = [=](Trial& t) { measure_sweep(t, shape, !large); },
                    .left_out = large && !gpu ? "for the GPU's kernels: too many values for two cores" : ""});
  };
  add("statistics", "law", [=](Trial& t) {
    measure_statistics(t, {.shape = {16, 16, 16, 128}, .law = {}, .batches = smoke ? 16 : 160});
  });
  add("bytes", "networks", report_model);
  if (smoke) {
    layer({16, 16, 16, 8});
    sweep({16, 16, 16, 8});
    add("train", "images", [](Trial& t) {
      measure_training(t, {.plan = {.width = 8, .batch = 128, .steps = 120, .learning_rate = 0.02},
                           .set = {.noise = 0.3},
                           .seeds = 1});
    });
    return list;
  }
  for (const BatchNormShape& shape : {BatchNormShape{128, 32, 32, 16},
                                      {128, 16, 16, 32},
                                      {128, 8, 8, 64},
                                      {128, 7, 7, 512},
                                      {128, 14, 14, 256},
                                      {128, 28, 28, 128},
                                      {128, 56, 56, 64},
                                      {64, 7, 7, 2048},
                                      {64, 14, 14, 1024},
                                      {64, 28, 28, 512},
                                      {64, 56, 56, 256},
                                      {64, 112, 112, 64}})
    layer(shape);
  sweep({128, 16, 16, 32});
  sweep({64, 56, 56, 256});
  const CnnTraining plan{.width = 8, .batch = 128, .steps = 200, .learning_rate = 0.02};
  const ToySet noisy{.noise = 0.7};  // at which the full batch isn't perfect either
  add("train", "images",
      [=](Trial& t) { measure_training(t, {.plan = plan, .set = noisy, .seeds = 3, .everything = true}); });
  add("train", "shares", [=](Trial& t) { measure_shares(t, {.plan = plan, .set = noisy, .seeds = 3}); });
  add("train", "micro-batch", [](Trial& t) {
    measure_micro_batch(
        t, {.plan = {.width = 8, .batch = 2, .steps = 3200, .learning_rate = 2e-3}, .set = {}, .seeds = 5});
  });
  return list;
}

}  // namespace

extern const Experiment bn_sampling;
const Experiment bn_sampling = {
    .paper = {.id = "bn-sampling",
              .title = "Batch Normalization Sampling",
              .authors = "Chen, Deng, Li, Sun, Hu, Liang, Ding, Xie",
              .venue = "TNNLS 2020",
              .arxiv = "1810.10962",
              .summary =
                  "Means and variances of batch normalisation from a few uncorrelated activations: of some "
                  "images, of a patch of every map, or of virtual images"},
    .claims = {{.id = "train-speed",
                .text = "end-to-end training speedup by sampled statistics",
                .reported = {1.2, 1.217},
                .tolerance_reason = "another network and GPU",
                .on = "ResNets on a GPU, without special libraries",
                .source = "abstract (up to 20 %); abstract of the journal's version (up to 21.7 %)",
                .needs = Needs::gpu,
                .over = Over::largest,
                .is_time = true},
               {.id = "bn-overhead",
                .text = "batch normalisation slows training by more than this",
                .reported = {30, 30},
                .unit = "%",
                .no_effect = 0,
                .on = "standard GPUs of 2018",
                .source = "abstract, as an article on the paper quotes it",
                .needs = Needs::elsewhere,
                .instead = "needs networks trained with and without normalisation on a GPU",
                .is_time = true},
               {.id = "acc-neutral",
                .text = "accuracy and convergence with sampled statistics",
                .reported_text = "negligible loss",
                .on = "ResNets on CIFAR and ImageNet",
                .source = "abstract",
                .real_data = true},
               {.id = "decorrelate",
                .text = "less correlated samples need far fewer data for the same variance of the statistics",
                .reported_text = "an argument from theory",
                .on = "activations of convolutional networks",
                .source = "abstract",
                .any_size = true},
               {.id = "micro-batch",
                .text = "accuracy with tiny batches, by virtual images",
                .reported_text = "comparable to other methods",
                .on = "recalled: batches of a few images of CIFAR or ImageNet",
                .source = "abstract",
                .real_data = true}},
    .cases = cases,
    .notes = {"Generated activations: maps are autoregressive with correlation exp(-1/4) of neighbours, by "
              "rows and columns (|dy| + |dx|), beside an offset of each image and channel. With Euclidean "
              "distance the ratio of variances at 1/8 would be 5.0 instead of 4.6.",
              "Kernels are channels last, as tensor-core convolutions and cuDNN's persistent normalisation "
              "want it: a rectangle of each map is then whole 16-byte vectors at any size. The table "
              "'sectors' shows what frameworks' older layout left of a sample on small maps.",
              "How gradients pass the statistics is ours in three forms; the paper's abstract fixes none. "
              "'exact' is the derivative and saves nothing backward. The cheap ones reduce over the sample "
              "alone: 'sampled' adds the statistics' share at sampled rows, 'estimated' at all rows. The "
              "gradients of gamma and beta are exact in all, summed in the pass that reads everything "
              "anyway, so the cheap forms move 4 s + 6 bytes a value.",
              "By bytes sampling gains at most 6/4 forward and 16/10 in both passes. Where normalisation "
              "is 30 % of training that is 1.13x end to end at most; 20 % needs a share of 44 %. A "
              "persistent kernel, which keeps a layer on the chip between its two passes, moves 4 bytes a "
              "value forward without any sampling.",
              "On the generated images (200 steps, 3 seeds) statistics of 1/8 with the exact gradient stay "
              "within 2 points of the full batch; both cheap gradients lose 11 to 26 with images or "
              "features. With the exact gradient bytes bound both passes at 16/14 and training at 1.04x.",
              "In the network itself, untrained, features are the worse sample: at 1/8 the means of its "
              "three layers are off by 0.03, 0.08 and 0.24 deviations, those of images by 0.01, 0.03 and "
              "0.05. One rectangle for all images has in common what images have in common at that place, "
              "which the argument (and the generator) leaves out.",
              "One fixed pixel of all images costs a few points only: 128 values a channel are many. The "
              "control that fails is one value.",
              "Training is on generated 16 x 16 images with a network of three convolutions; CIFAR and "
              "ImageNet weren't trained on. Virtual images are Gaussian with each pixel's mean and "
              "deviation; running averages are of the sampled statistics."},
};

}  // namespace remeasure::experiments
