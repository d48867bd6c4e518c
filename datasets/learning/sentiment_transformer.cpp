// SPDX-License-Identifier: Apache-2.0
#include "datasets/learning/sentiment_transformer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "datasets/import/dump.h"
#include "datasets/learning/transformer.h"
#include "datasets/learning/transformer_training.h"
#include "datasets/random.h"

namespace remeasure::datasets {
namespace {

constexpr std::size_t kVocabulary = 200, kOfEachPolarity = 40, kTrain = 512, kTest = 200;

enum Stream : std::uint64_t { word_stream = 1, perturbed_stream = 2, xavier_stream = 3 };

/// One array of the file: its place in the weights where it is stacked over layers or alone, else nullptr.
struct Named {
  const char* name;
  std::vector<const char*> axes;
  const char* of_layer;  ///< "qkv.weight" of each block
  const char* slice;     ///< "pooler.weight"
};
const std::vector<Named>& weight_arrays() {
  static const std::vector<Named> arrays = {
      {"qkv_weight", {"layer", "qkv", "hidden"}, "qkv.weight", nullptr},
      {"qkv_bias", {"layer", "qkv"}, "qkv.bias", nullptr},
      {"output_weight", {"layer", "hidden", "hidden"}, "proj.weight", nullptr},
      {"output_bias", {"layer", "hidden"}, "proj.bias", nullptr},
      {"up_weight", {"layer", "mlp", "hidden"}, "fc1.weight", nullptr},
      {"up_bias", {"layer", "mlp"}, "fc1.bias", nullptr},
      {"down_weight", {"layer", "hidden", "mlp"}, "fc2.weight", nullptr},
      {"down_bias", {"layer", "hidden"}, "fc2.bias", nullptr},
      {"norm1_scale", {"layer", "hidden"}, "norm1.gain", nullptr},
      {"norm1_shift", {"layer", "hidden"}, "norm1.bias", nullptr},
      {"norm2_scale", {"layer", "hidden"}, "norm2.gain", nullptr},
      {"norm2_shift", {"layer", "hidden"}, "norm2.bias", nullptr},
      {"pooler_weight", {"hidden", "hidden"}, nullptr, "pooler.weight"},
      {"pooler_bias", {"hidden"}, nullptr, "pooler.bias"},
      {"classifier_weight", {"class", "hidden"}, nullptr, "head.weight"},
      {"classifier_bias", {"class"}, nullptr, "head.bias"},
  };
  return arrays;
}

int bounded(const Parameters& p, const char* name, std::int64_t least, std::int64_t most) {
  const std::int64_t value = p.integer(name);
  if (value >= least && value <= most) return static_cast<int>(value);
  throw DatasetError(
      fmt::format("sentiment_transformer: {} is {}; it must be from {} to {}", name, value, least, most));
}

SentimentChoice choice_of(const Parameters& p) {
  const std::string& weights = p.text("weights");
  if (weights != "xavier" && weights != "trained") {
    throw DatasetError(fmt::format("sentiment_transformer: weights \"{}\"; xavier or trained", weights));
  }
  const SentimentChoice choice{.rows = bounded(p, "rows", 4, 256),
                               .hidden = bounded(p, "hidden", 4, 1024),
                               .heads = bounded(p, "heads", 1, 64),
                               .mlp = bounded(p, "mlp", 1, 4096),
                               .layers = bounded(p, "layers", 1, 24),
                               .sentences = bounded(p, "sentences", 1, 1000),
                               .trained = weights == "trained"};
  if (choice.hidden % choice.heads != 0)
    throw DatasetError("sentiment_transformer: heads must divide hidden");
  return choice;
}

Extents extents(const Parameters& p) {
  const auto hidden = p.extent("hidden");
  return {{"layer", p.extent("layers")}, {"hidden", hidden}, {"qkv", 3 * hidden},
          {"mlp", p.extent("mlp")},      {"class", 2},       {"sentence", p.extent("sentences")},
          {"row", p.extent("rows")}};
}

TransformerShape shape_of(const SentimentChoice& c) {
  return {.tokens = c.rows - 1,
          .inputs = static_cast<int>(kVocabulary),
          .dim = c.hidden,
          .heads = c.heads,
          .layers = c.layers,
          .mlp = c.mlp,
          .classes = 2,
          .class_token = true,
          .activation = Activation::relu,
          .normalisation = Normalisation::centred,
          .norm_first = false,
          .pooler = true};
}

struct Sentences {
  std::vector<float> one_hot;        ///< [sentence, word, vocabulary]
  std::vector<std::size_t> words;    ///< [sentence, word]
  std::vector<std::uint16_t> label;  ///< 1: positive
};

/// `count` sentences from number `first` on: of a polarity two or three words more than of the other.
Sentences sentences(std::uint64_t seed, std::size_t first, std::size_t count, std::size_t length) {
  const Philox random(seed, word_stream);
  Sentences result;
  for (std::size_t s = 0; s < count; ++s) {
    std::uint64_t next = (first + s) * 1024;
    const std::uint64_t label = random.integer(next++, 2);
    const std::size_t more = std::min<std::size_t>(length, 2 + random.integer(next++, 2));
    const std::size_t other = length >= more + 2 ? random.integer(next++, 2) : 0;
    std::vector<std::size_t> words;
    for (std::size_t w = 0; w < length; ++w) {
      const std::uint64_t draw = random.integer(next++, kOfEachPolarity);
      if (w < more + other)
        words.push_back((label == 1 ? 0 : kOfEachPolarity) + draw);
      else if (w < more + 2 * other)
        words.push_back((label == 1 ? kOfEachPolarity : 0) + draw);
      else
        words.push_back(2 * kOfEachPolarity + random.integer(next++, kVocabulary - 2 * kOfEachPolarity));
    }
    for (std::size_t w = length - 1; w > 0; --w) std::swap(words[w], words[random.integer(next++, w + 1)]);
    for (const std::size_t word : words) {
      result.one_hot.resize(result.one_hot.size() + kVocabulary, 0.0f);
      result.one_hot[result.one_hot.size() - kVocabulary + word] = 1;
    }
    result.words.insert(result.words.end(), words.begin(), words.end());
    result.label.push_back(static_cast<std::uint16_t>(label));
  }
  return result;
}

/// N(0, 2 / (inputs + outputs)); what returns to the residual stream divided by `branches` times the layers.
std::vector<float> xavier(const TransformerShape& shape, std::uint64_t seed, double words, double branches) {
  const Philox random(seed, xavier_stream);
  std::vector<float> weights = initial_weights(shape, seed);
  for (const WeightSlice& slice : weight_slices(shape)) {
    if (!slice.name.ends_with(".weight")) continue;
    double deviation = std::sqrt(2.0 / (slice.rows + slice.columns));
    if (slice.name.starts_with("embed")) deviation = words;
    if (slice.name.ends_with("proj.weight") || slice.name.ends_with("fc2.weight"))
      deviation /= branches * shape.layers;
    for (std::size_t i = slice.offset; i < slice.offset + slice.size(); ++i)
      weights[i] = static_cast<float>(deviation * random.normal(i));
  }
  return weights;
}

/// A slice [inputs, outputs] as the file has it: [outputs, inputs].
void append_transposed(const WeightSlice& slice, const std::vector<float>& weights, std::vector<float>& to) {
  for (int out = 0; out < slice.columns; ++out) {
    for (int in = 0; in < slice.rows; ++in) {
      to.push_back(
          weights[slice.offset + static_cast<std::size_t>(in) * static_cast<std::size_t>(slice.columns) +
                  static_cast<std::size_t>(out)]);
    }
  }
}

Shape shape_in_file(const Named& array, const Extents& extent) {
  Shape shape;
  for (const char* axis : array.axes) shape.push_back(extent.at(axis));
  return shape;
}

void generate(const Parameters& parameters, Writer& writer) {
  const SentimentChoice choice = choice_of(parameters);
  const TransformerShape shape = shape_of(choice);
  const auto length = static_cast<std::size_t>(choice.rows - 1),
             count = static_cast<std::size_t>(choice.sentences);
  std::vector<float> weights = xavier(shape, parameters.seed, 0.5, 4);
  if (choice.trained) {
    const Sentences train = sentences(parameters.seed, count + kTest, kTrain, length);
    weights =
        // Without a variance in its norms nothing holds a value's size but the weights': the branches begin
        // small and strong decay keeps them so. Else bounds of three layers are already infinite.
        train_transformer(shape,
                          {.epochs = 8,
                           .batch = 32,
                           .learning_rate = 2e-3,
                           .weight_decay = 10,
                           .seed = parameters.seed,
                           .start = xavier(shape, parameters.seed, 0.3, 64)},
                          train.one_hot, train.label);
  }
  const Sentences test = sentences(parameters.seed, 0, count + kTest, length);
  writer.attribute("accuracy", transformer_accuracy(shape, weights, test.one_hot, test.label));
  writer.attribute("perturbed_norm", std::string("2"));

  const std::vector<WeightSlice> slices = weight_slices(shape);
  const Extents extent = extents(parameters);
  for (const Named& array : weight_arrays()) {
    std::vector<float> values;
    for (int layer = 0; layer < (array.of_layer != nullptr ? choice.layers : 1); ++layer) {
      const std::string name =
          array.of_layer != nullptr ? fmt::format("block{}.{}", layer, array.of_layer) : array.slice;
      append_transposed(find_slice(slices, name), weights, values);
    }
    writer.array(std::string("/") + array.name, std::span<const float>(values), shape_in_file(array, extent));
  }

  // What the first layer gets: the class token, or a word's embedding; each with its position.
  const auto hidden = static_cast<std::size_t>(choice.hidden), rows = static_cast<std::size_t>(choice.rows);
  const auto value = [&](const char* name, std::size_t row, std::size_t c) {
    return weights[find_slice(slices, name).offset + row * hidden + c];
  };
  std::vector<float> embedding(count * rows * hidden);
  std::vector<std::int32_t> perturbed(count);
  const Philox which(parameters.seed, perturbed_stream);
  for (std::size_t s = 0; s < count; ++s) {
    perturbed[s] = 1 + static_cast<std::int32_t>(which.integer(s, length));
    for (std::size_t row = 0; row < rows; ++row) {
      for (std::size_t c = 0; c < hidden; ++c) {
        const float own =
            row == 0 ? value("class_token", 0, c)
                     : value("embed.weight", test.words[s * length + row - 1], c) + value("embed.bias", 0, c);
        embedding[(s * rows + row) * hidden + c] = own + value("position", row, c);
      }
    }
  }
  writer.array("/embedding", std::span<const float>(embedding), {count, rows, hidden});
  std::vector<std::uint8_t> label;
  for (std::size_t s = 0; s < count; ++s) label.push_back(static_cast<std::uint8_t>(test.label[s]));
  writer.array("/label", std::span<const std::uint8_t>(label), {count});
  writer.array("/perturbed", std::span<const std::int32_t>(perturbed), {count});
}

void import(const std::filesystem::path& source, const Parameters& parameters, Writer& writer) {
  const SentimentChoice choice = choice_of(parameters);
  const Extents extent = extents(parameters);
  const auto copy = [&](const char* name, const Shape& shape, const std::string& axes) {
    const std::vector<float> values = read_dump(source, name, shape, axes);
    if (std::string(name) != "label" && std::string(name) != "perturbed") {
      writer.array(std::string("/") + name, std::span<const float>(values), shape);
    }
    return values;
  };
  for (const Named& array : weight_arrays()) {
    std::string axes;
    for (const char* axis : array.axes) axes += (axes.empty() ? "" : ", ") + std::string(axis);
    copy(array.name, shape_in_file(array, extent), axes);
  }
  const auto count = static_cast<std::uint64_t>(choice.sentences);
  copy("embedding",
       {count, static_cast<std::uint64_t>(choice.rows), static_cast<std::uint64_t>(choice.hidden)},
       "sentence, row, hidden");
  std::vector<std::uint8_t> label;
  std::vector<std::int32_t> perturbed;
  for (const float x : copy("label", {count}, "sentence")) label.push_back(static_cast<std::uint8_t>(x));
  for (const float x : copy("perturbed", {count}, "sentence"))
    perturbed.push_back(static_cast<std::int32_t>(x));
  writer.array("/label", std::span<const std::uint8_t>(label), {count});
  writer.array("/perturbed", std::span<const std::int32_t>(perturbed), {count});
  writer.attribute("accuracy", 1.0);
}

std::vector<ArraySchema> schema() {
  std::vector<ArraySchema> arrays;
  for (const Named& array : weight_arrays()) {
    arrays.push_back({.path = std::string("/") + array.name,
                      .type = ElementType::f32,
                      .axes = {array.axes.begin(), array.axes.end()}});
  }
  arrays.push_back({.path = "/embedding",
                    .type = ElementType::f32,
                    .axes = {"sentence", "row", "hidden"},
                    .description = "input of the first layer"});
  arrays.push_back({.path = "/label",
                    .type = ElementType::u8,
                    .axes = {"sentence"},
                    .description = "0 or 1",
                    .minimum = 0,
                    .maximum = 1});
  arrays.push_back({.path = "/perturbed",
                    .type = ElementType::i32,
                    .axes = {"sentence"},
                    .description = "row of the perturbed word",
                    .minimum = 0,
                    .maximum = 255});
  return arrays;
}

}  // namespace

const Definition sentiment_transformer_definition = {
    .name = "sentiment_transformer",
    .title = "A text encoder with sentences to verify it on",
    .theme = "learning",
    .schema_version = 1,
    .generator_version = 3,
    .stands_for =
        "transformers of 1 to 6 layers on SST-2 and Yelp, hidden 256 or 64, 4 heads, mlp 512; here 200 "
        "words, of which 80 have a polarity",
    .source = "https://github.com/shizhouxing/Robustness-Verification-for-Transformers",
    .arrays = schema(),
    .extents = extents,
    .generate = generate,
    .import = import,
    .import_help =
        "an exported checkpoint and its sentences: an HDF5 file or a folder of .npy files, float32, with the "
        "arrays of the schema by their names; dense weights [layer, outputs, inputs] (q, k, v stacked), "
        "embedding = input of the first layer, label and perturbed as floats",
    .examples = {sentiment_transformer({}, 1)},
};

Parameters sentiment_transformer(const SentimentChoice& c, std::uint64_t seed) {
  return {.values = {{"rows", std::to_string(c.rows)},
                     {"hidden", std::to_string(c.hidden)},
                     {"heads", std::to_string(c.heads)},
                     {"mlp", std::to_string(c.mlp)},
                     {"layers", std::to_string(c.layers)},
                     {"sentences", std::to_string(c.sentences)},
                     {"weights", c.trained ? "trained" : "xavier"}},
          .seed = seed};
}

SentimentTransformer read_sentiment_transformer(Reader& reader) {
  SentimentTransformer t;
  const auto number = [&](const char* name) { return std::stoi(reader.text(fmt::format("param_{}", name))); };
  t.choice = {.rows = number("rows"),
              .hidden = number("hidden"),
              .heads = number("heads"),
              .mlp = number("mlp"),
              .layers = number("layers"),
              .sentences = number("sentences"),
              .trained = reader.text("param_weights") == "trained"};
  std::vector<float>* const to[] = {
      &t.qkv_weight,    &t.qkv_bias,    &t.output_weight,     &t.output_bias,
      &t.up_weight,     &t.up_bias,     &t.down_weight,       &t.down_bias,
      &t.norm1_scale,   &t.norm1_shift, &t.norm2_scale,       &t.norm2_shift,
      &t.pooler_weight, &t.pooler_bias, &t.classifier_weight, &t.classifier_bias};
  for (std::size_t i = 0; i < weight_arrays().size(); ++i)
    *to[i] = reader.f32(std::string("/") + weight_arrays()[i].name);
  t.embedding = reader.f32("/embedding");
  t.label = reader.u8("/label");
  t.perturbed = reader.i32("/perturbed");
  t.accuracy = reader.number("accuracy");
  return t;
}

}  // namespace remeasure::datasets
