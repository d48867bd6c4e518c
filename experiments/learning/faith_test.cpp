// SPDX-License-Identifier: Apache-2.0
//
// What must hold of faith without a GPU, on the encoders of its data: fused is unfused, sound under attack,
// exact at radius 0, wider with the radius, tighter than intervals, fewer bytes and multiplies; and a wrong
// side is found.
#include <testing/catch.h>

#include "datasets/learning/transformer.h"
#include "datasets/learning/transformer_training.h"
#include "experiments/learning/faith_rounding.h"
#include "experiments/learning/faith_soundness.h"
#include "experiments/learning/faith_variants.h"
#include "kernels/learning/linear_ops.h"

using namespace remeasure;
using namespace remeasure::experiments::faith_bounds;

namespace {

datasets::SentimentTransformer encoder(const datasets::SentimentChoice& choice, std::uint64_t seed = 1) {
  char folder[] = "/tmp/remeasure-faith-XXXXXX";
  REQUIRE(mkdtemp(folder) != nullptr);
  datasets::Store store{std::filesystem::path(folder)};
  datasets::SentimentTransformer t = read_sentiment_transformer(
      *store.open(datasets::sentiment_transformer_definition, datasets::sentiment_transformer(choice, seed))
           .reader);
  std::filesystem::remove_all(folder);
  return t;
}

const datasets::SentimentChoice kTrained{
    .rows = 8, .hidden = 16, .heads = 4, .mlp = 32, .layers = 1, .sentences = 10, .trained = true};

double largest_difference(const std::vector<double>& a, const std::vector<double>& b) {
  double difference = 0, scale = 1e-300;
  for (std::size_t i = 0; i < a.size(); ++i) {
    difference = std::max(difference, std::fabs(a[i] - b[i]));
    scale = std::max(scale, std::fabs(b[i]));
  }
  return difference / scale;
}

/// Negative weights take the same side.
struct WrongSide : kernels::LinearOps<double> {
  Value dense(Slot slot, const Value& in, const DensePlace& d) {
    Value both = in, out = LinearOps<double>::dense(slot, in, d);
    both.upper_weight = in.lower_weight;  // coinciding bounds go through W itself
    both.upper_bias = in.lower_bias;
    const Value lower = LinearOps<double>::dense(slot, both, d);
    both = in;
    both.lower_weight = in.upper_weight;
    both.lower_bias = in.upper_bias;
    const Value upper = LinearOps<double>::dense(slot, both, d);
    out.lower_weight = lower.lower_weight;
    out.lower_bias = lower.lower_bias;
    out.upper_weight = upper.upper_weight;
    out.upper_bias = upper.upper_bias;
    return out;
  }
};

}  // namespace

TEST_CASE("faith: the verifier's model is the trained one", "[cpu]") {
  // The generator's own forward pass knows nothing of the chain.
  const datasets::SentimentTransformer t = encoder(kTrained);
  CHECK(t.accuracy > 0.9);
  std::size_t right = 0;
  for (std::size_t i = 0; i < 4; ++i) right += sentence_of(t, i).label == t.label[i] ? 1 : 0;
  CHECK(right >= 3);
  datasets::TransformerShape shape{.tokens = 7,
                                   .inputs = 16,
                                   .dim = 16,
                                   .heads = 4,
                                   .layers = 1,
                                   .mlp = 32,
                                   .classes = 2,
                                   .class_token = true,
                                   .activation = datasets::Activation::relu,
                                   .normalisation = datasets::Normalisation::centred,
                                   .norm_first = false,
                                   .pooler = true};
  // The same weights behind an identity embedding: inputs are the words' rows, the class token's row is its
  // own.
  std::vector<double> weights(weight_count(shape), 0.0);
  const auto slices = weight_slices(shape);
  const auto put = [&](const std::string& name, const std::vector<float>& from, bool transposed) {
    const datasets::WeightSlice& slice = find_slice(slices, name);
    for (int r = 0; r < slice.rows; ++r) {
      for (int c = 0; c < slice.columns; ++c) {
        const int place = transposed ? c * slice.rows + r : r * slice.columns + c;
        weights[slice.offset + static_cast<std::size_t>(r * slice.columns + c)] =
            static_cast<double>(from[static_cast<std::size_t>(place)]);
      }
    }
  };
  put("block0.qkv.weight", t.qkv_weight, true);
  put("block0.qkv.bias", t.qkv_bias, false);
  put("block0.proj.weight", t.output_weight, true);
  put("block0.proj.bias", t.output_bias, false);
  put("block0.norm1.gain", t.norm1_scale, false);
  put("block0.norm1.bias", t.norm1_shift, false);
  put("block0.fc1.weight", t.up_weight, true);
  put("block0.fc1.bias", t.up_bias, false);
  put("block0.fc2.weight", t.down_weight, true);
  put("block0.fc2.bias", t.down_bias, false);
  put("block0.norm2.gain", t.norm2_scale, false);
  put("block0.norm2.bias", t.norm2_shift, false);
  put("pooler.weight", t.pooler_weight, true);
  put("pooler.bias", t.pooler_bias, false);
  put("head.weight", t.classifier_weight, true);
  put("head.bias", t.classifier_bias, false);
  for (int i = 0; i < 16; ++i)
    weights[find_slice(slices, "embed.weight").offset + static_cast<std::size_t>(17 * i)] = 1;
  for (std::size_t c = 0; c < 16; ++c)
    weights[find_slice(slices, "class_token").offset + c] = static_cast<double>(t.embedding[c]);
  datasets::Transformer<double> model(shape, weights);
  const std::vector<double> words(t.embedding.begin() + 16, t.embedding.begin() + 8 * 16);
  const auto logits = model.forward(words, 1);
  const SentenceInputs s = sentence_of(t, 0);
  const double margin = kernels::margin_at(s.model, 1, s.embedding, s.perturbation(0), {});
  CHECK(margin ==
        Approx(logits[1] - logits[0]).margin(1e-5));  // 1/sqrt(4) is exact; the rest is the generator's exp
}

TEST_CASE("faith: fused bounds are unfused ones", "[cpu]") {
  for (const bool trained : {false, true}) {
    datasets::SentimentChoice choice = kTrained;
    choice.trained = trained;
    const SentenceInputs s = sentence_of(encoder(choice), 0);
    const Perturbation p = s.perturbation(1e-3);
    const auto fused = kernels::margin_bounds<double>(s.model, s.label, s.embedding, p),
               unfused = baselines::unfused_margin_eigen<double>(s.model, s.label, s.embedding, p);
    CHECK(largest_difference(fused.lower_weight, unfused.lower_weight) < 1e-12);
    CHECK(largest_difference(fused.upper_weight, unfused.upper_weight) < 1e-12);
    CHECK(largest_difference(fused.lower_bias, unfused.lower_bias) < 1e-12);
    const auto single = kernels::margin_bounds<float>(s.model, s.label, s.embedding, p).as<double>(),
               single_unfused =
                   baselines::unfused_margin_eigen<float>(s.model, s.label, s.embedding, p).as<double>();
    // Weights of untrained models rest on intervals that are a thousandth of their values.
    const double scale = kernels::margin_scale(s.model, s.label);
    const RoundingLimits between = difference_of(single_unfused, single, scale);
    CHECK(between.weights < (trained ? 1e-5 : rounding_limits(s, 1e-3).weights));
    CHECK(between.biases < 1e-5);
  }
}

TEST_CASE(
    "faith: 2000 random and 200 gradient perturbations stay in the certified interval; a wrong side doesn't "
    "keep them",
    "[cpu]") {
  const datasets::SentimentTransformer t = encoder(kTrained);
  for (std::size_t i = 0; i < 2; ++i) {
    const SentenceInputs s = sentence_of(t, i);
    const double radius = certified_radii(s, 4).linear;
    REQUIRE(radius > 1e-3);
    const kernels::Interval bounds = linear_interval(s, radius);
    const Attack found = attack(s, radius, 2000, 20, 5 + i);
    CHECK(found.tried == 2200);
    CHECK(bounds.lower > 0);
    CHECK(found.least >= bounds.lower - 1e-5);
    CHECK(found.most <= bounds.upper + 1e-5);
    const Perturbation p = s.perturbation(radius);
    const kernels::NodeHook none;
    WrongSide wrong{{s.model, s.embedding, p, 1, none}};
    const kernels::Interval claimed = kernels::interval_of(propagate(wrong, s.model, s.label), p.ball);
    INFO("claimed [" << claimed.lower << ", " << claimed.upper << "], found [" << found.least << ", "
                     << found.most << "]");
    CHECK((found.least < claimed.lower - 1e-5 || found.most > claimed.upper + 1e-5 ||
           std::isnan(claimed.lower)));
  }
}

TEST_CASE("faith: radius 0 is the forward value, widths grow, and linear bounds beat intervals at every step",
          "[cpu]") {
  const SentenceInputs s = sentence_of(encoder(kTrained), 1);
  const double margin = kernels::margin_at(s.model, s.label, s.embedding, s.perturbation(0), {});
  const kernels::Interval point = linear_interval(s, 0);
  CHECK(point.lower == Approx(margin).margin(1e-5));
  CHECK(point.upper == Approx(margin).margin(1e-5));
  const CertifiedRadii radii = certified_radii(s, 4);
  CHECK(radii.linear > radii.intervals);
  CHECK(radii.intervals > 0);
  double width = 0;
  for (const double share : {0.01, 0.1, 0.3, 1.0}) {
    const kernels::Interval bounds = linear_interval(s, share * radii.linear);
    CHECK(bounds.upper - bounds.lower > width);
    width = bounds.upper - bounds.lower;
  }
  for (const NodeWidth& node : node_widths(s, radii.intervals)) {
    INFO(node.node << ": " << node.linear << " against " << node.intervals);
    CHECK(node.linear <= node.intervals);
  }
}

TEST_CASE("faith: float keeps the limit that follows from roundings, eleven bits don't, and layers raise it",
          "[cpu]") {
  double before = 0;
  for (const int layers : {1, 3}) {
    datasets::SentimentChoice choice = kTrained;
    choice.layers = layers;
    const SentenceInputs s = sentence_of(encoder(choice), 0);
    const double radius = certified_radii(s, 4).linear, scale = kernels::margin_scale(s.model, s.label);
    REQUIRE(radius > 1e-4);
    const Perturbation p = s.perturbation(radius);
    const auto exact = kernels::margin_bounds<double>(s.model, s.label, s.embedding, p);
    const RoundingLimits limits = rounding_limits(s, radius);
    INFO(layers << " layers at " << radius << ": " << limits.weights << " and " << limits.biases);
    for (const auto& single : {kernels::margin_bounds<float>(s.model, s.label, s.embedding, p),
                               baselines::unfused_margin_eigen<float>(s.model, s.label, s.embedding, p)}) {
      const RoundingLimits found = difference_of(single.as<double>(), exact, scale);
      CHECK(found.weights <= limits.weights);
      CHECK(found.biases <= limits.biases);
    }
    const RoundingLimits coarse =
        difference_of(rounded_bounds(s, radius, 7, std::ldexp(1.0, -11)), exact, scale);
    CHECK(coarse.weights > 10 * limits.weights);
    CHECK(limits.weights > before);
    before = limits.weights;
  }
}

TEST_CASE("faith: trained models of six layers are certified", "[cpu]") {
  datasets::SentimentChoice choice = kTrained;
  choice.layers = 6;
  const datasets::SentimentTransformer t = encoder(choice);
  CHECK(t.accuracy > 0.9);
  const SentenceInputs s = sentence_of(t, 0);
  const CertifiedRadii radii = certified_radii(s, 4);
  CHECK(radii.linear > 1e-4);
  CHECK(radii.linear > radii.intervals);
  const Attack found = attack(s, radii.linear, 200, 4, 5);
  const kernels::Interval bounds = linear_interval(s, radii.linear);
  CHECK(found.least >= bounds.lower - 1e-5);
  CHECK(found.most <= bounds.upper + 1e-5);
}

TEST_CASE("faith: the chain's kernels on Simt are the chain", "[simt]") {
  const SentenceInputs s =
      sentence_of(encoder({.rows = 5, .hidden = 8, .heads = 2, .mlp = 12, .layers = 2, .sentences = 1}), 0);
  const Perturbation p = s.perturbation(1e-3);
  Device<Simt> device;
  Stream<Simt> stream(device);
  std::vector<DeviceBuffer<Simt, float>> kept;
  const auto allocate = [&](std::size_t size) { return kept.emplace_back(device, size).span(); };
  const auto upload = [&](const std::vector<float>& values) {
    const auto span = allocate(values.size());
    stream.upload(std::span<const float>(values), span);
    return DeviceSpan<Simt, const float>(span);
  };
  VerifierBuffers<Simt> buffers(s.model, 8, 2, allocate);
  const BoundSpans<Simt, const float> embedding(upload(s.start.lower_weight), upload(s.start.upper_weight),
                                                upload(s.start.lower_bias), upload(s.start.upper_bias));
  const BoundSpans<Simt, float> margin(allocate(8), allocate(8), allocate(1), allocate(1));
  FusedOps<Simt> ops{
      {stream, buffers, upload(s.model.parameters), s.start.shape, embedding, {}, p.ball, margin}};
  propagate(ops, s.model, s.label);
  std::vector<float> weights(8);
  stream.download(DeviceSpan<Simt, const float>(margin.lower_weight), std::span<float>(weights));
  const auto exact = kernels::margin_bounds<double>(s.model, s.label, s.embedding, p);
  CHECK(largest_difference(std::vector<double>(weights.begin(), weights.end()), exact.lower_weight) < 1e-3);
}

TEST_CASE(
    "faith: fused takes at most 0.6 of the bytes and multiplies of four products at every size of the paper",
    "[cpu]") {
  for (const auto& [rows, dim] :
       {std::pair(2, 128), std::pair(128, 128), std::pair(16, 64), std::pair(16, 640)}) {
    const BoundShape shape{rows, dim, dim};
    CHECK(kernels::bound_matmul_work(shape, dim, true).bytes <=
          0.6 * kernels::four_product_work(shape, dim).bytes);
    CHECK(kernels::split_multiplies(shape, dim, true) <= 0.6 * kernels::split_multiplies(shape, dim, false));
  }
}
