// SPDX-License-Identifier: Apache-2.0
#include "datasets/learning/sentiment_transformer.h"

#include <testing/catch.h>
#include <cmath>

#include "datasets/learning/linear_bounds.h"
#include "datasets/test_support.h"

using namespace remeasure::datasets;
using namespace remeasure::datasets::testing;
using Catch::Matchers::ContainsSubstring;

namespace {

const SentimentChoice kSmall{.rows = 6, .hidden = 8, .heads = 2, .mlp = 12, .layers = 2, .sentences = 4};

}  // namespace

TEST_CASE("a trained sentiment encoder knows its sentences, an untrained one guesses", "[cpu]") {
  const TemporaryFolder folder;
  Store store(folder.path());
  const auto open = [&](bool trained) {
    SentimentChoice choice{.rows = 8, .hidden = 32, .heads = 4, .mlp = 64};
    choice.trained = trained;
    return read_sentiment_transformer(
        *store.open(sentiment_transformer_definition, sentiment_transformer(choice, 1)).reader);
  };
  CHECK(open(true).accuracy > 0.95);
  CHECK(open(false).accuracy < 0.75);
}

TEST_CASE("a sentiment encoder's file has the stated shapes, labels and perturbed words", "[cpu]") {
  const TemporaryFolder folder;
  Store store(folder.path());
  const SentimentTransformer t = read_sentiment_transformer(
      *store.open(sentiment_transformer_definition, sentiment_transformer(kSmall, 3)).reader);
  CHECK(t.choice.layers == 2);
  CHECK_FALSE(t.choice.trained);
  CHECK(t.qkv_weight.size() == 2 * 24 * 8);
  CHECK(t.up_weight.size() == 2 * 12 * 8);
  CHECK(t.classifier_weight.size() == 2 * 8);
  CHECK(t.embedding.size() == 4 * 6 * 8);
  for (const std::int32_t row : t.perturbed) CHECK((row >= 1 && row < 6));
  double squares = 0;
  for (const float w : t.qkv_weight) squares += static_cast<double>(w) * static_cast<double>(w);
  CHECK(squares / static_cast<double>(t.qkv_weight.size()) == Approx(2.0 / (8 + 24)).epsilon(0.2));  // Xavier
  // The class token is the same row in every sentence.
  for (std::size_t c = 0; c < 8; ++c) CHECK(t.embedding[c] == t.embedding[6 * 8 + c]);
  SentimentChoice wrong = kSmall;
  wrong.heads = 3;
  CHECK_THROWS_WITH(store.open(sentiment_transformer_definition, sentiment_transformer(wrong, 1)),
                    ContainsSubstring("heads must divide hidden"));
}

TEST_CASE("an exported encoder is imported array by array", "[cpu]") {
  const TemporaryFolder folder;
  const std::filesystem::path dump = folder.path() / "dump";
  std::filesystem::create_directory(dump);
  Store store(folder.path() / "data");
  const std::pair<const char*, Shape> arrays[] = {
      {"qkv_weight", {1, 12, 4}}, {"qkv_bias", {1, 12}},    {"output_weight", {1, 4, 4}},
      {"output_bias", {1, 4}},    {"up_weight", {1, 5, 4}}, {"up_bias", {1, 5}},
      {"down_weight", {1, 4, 5}}, {"down_bias", {1, 4}},    {"norm1_scale", {1, 4}},
      {"norm1_shift", {1, 4}},    {"norm2_scale", {1, 4}},  {"norm2_shift", {1, 4}},
      {"pooler_weight", {4, 4}},  {"pooler_bias", {4}},     {"classifier_weight", {2, 4}},
      {"classifier_bias", {2}},   {"embedding", {2, 4, 4}}, {"label", {2}},
      {"perturbed", {2}}};
  for (const auto& [name, shape] : arrays) {
    std::size_t size = 1;
    for (const std::uint64_t extent : shape) size *= static_cast<std::size_t>(extent);
    std::vector<float> values(size, 0.5f);
    if (std::string(name) == "label") values = {0, 1};
    if (std::string(name) == "perturbed") values = {2, 3};
    write_npy(dump / (std::string(name) + ".npy"), shape, values);
  }
  const Parameters parameters =
      sentiment_transformer({.rows = 4, .hidden = 4, .heads = 2, .mlp = 5, .layers = 1, .sentences = 2}, 1);
  store.import(sentiment_transformer_definition, dump, parameters);
  const Opened opened = store.open(sentiment_transformer_definition, parameters);
  CHECK_FALSE(opened.provenance.synthetic);
  const SentimentTransformer t = read_sentiment_transformer(*opened.reader);
  CHECK(t.label == std::vector<std::uint8_t>{0, 1});
  CHECK(t.perturbed == std::vector<std::int32_t>{2, 3});
  CHECK(t.down_weight == std::vector<float>(20, 0.5f));
  write_npy(dump / "up_bias.npy", {1, 6}, std::vector<float>(6));
  CHECK_THROWS_WITH(store.import(sentiment_transformer_definition, dump, parameters),
                    ContainsSubstring("'up_bias' is [1, 6]"));
}

TEST_CASE("generated linear bounds are ordered, and a third of their intervals mixed", "[cpu]") {
  const TemporaryFolder folder;
  Store store(folder.path());
  const BoundsExtent extent{8, 32, 40, 12};
  const LinearBoundsData b =
      read_linear_bounds(*store.open(linear_bounds_definition, linear_bounds(extent, 1)).reader);
  REQUIRE(b.lower_weight.size() == 8 * 32 * 40);
  REQUIRE(b.matrix.size() == 12 * 40);
  for (std::size_t i = 0; i < b.lower_weight.size(); ++i) REQUIRE(b.lower_weight[i] <= b.upper_weight[i]);
  std::size_t mixed = 0;
  for (std::size_t i = 0; i < b.lower_bias.size(); ++i) {
    REQUIRE(b.lower_bias[i] <= b.upper_bias[i]);
    double lower = 0, upper = 0;
    for (std::size_t d = 0; d < 32; ++d) {
      const std::size_t at = (i / 40 * 32 + d) * 40 + i % 40;
      lower += std::pow(static_cast<double>(b.lower_weight[at]), 2);
      upper += std::pow(static_cast<double>(b.upper_weight[at]), 2);
    }
    mixed += static_cast<double>(b.lower_bias[i]) - 0.5 * std::sqrt(lower) < 0 &&
                     static_cast<double>(b.upper_bias[i]) + 0.5 * std::sqrt(upper) > 0
                 ? 1
                 : 0;
  }
  CHECK(mixed > 320 / 4);
  CHECK(mixed < 320 * 3 / 5);
}
