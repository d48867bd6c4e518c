// SPDX-License-Identifier: Apache-2.0
#include "datasets/attention/attention_inputs.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <filesystem>

#include "datasets/import/dump.h"
#include "datasets/random.h"
#include "datasets/schema.h"

namespace remeasure::datasets {
namespace {

constexpr std::array<const char*, 4> kAxes = {"batch", "heads", "tokens", "dim"};
constexpr std::uint64_t kCentres = 32;
constexpr double kBeta = 1;

/// Streams of the seed: each array has its own, so that no number is used twice.
enum Stream : std::uint64_t { query_noise, key_noise, value_noise, centres, query_cluster, key_cluster };

std::vector<float> gauss(const Philox& random, std::size_t size) {
  std::vector<float> values(size);
  for (std::size_t i = 0; i < size; ++i) values[i] = static_cast<float>(random.normal(i));
  return values;
}

std::vector<float> clustered(std::uint64_t seed, std::uint64_t noise_stream, std::uint64_t cluster_stream,
                             std::size_t matrices, std::size_t tokens, std::size_t dim) {
  const Philox noise(seed, noise_stream), centre(seed, centres), cluster(seed, cluster_stream);
  std::vector<float> values(matrices * tokens * dim);
  for (std::size_t row = 0; row < matrices * tokens; ++row) {
    const std::size_t chosen = row / tokens * kCentres + cluster.integer(row, kCentres);
    for (std::size_t i = 0; i < dim; ++i) {
      values[row * dim + i] = static_cast<float>(std::sqrt(kBeta) * centre.normal(chosen * dim + i) +
                                                 noise.normal(row * dim + i));
    }
  }
  return values;
}

void write(Writer& writer, const Parameters& parameters, const std::vector<float>& query,
           const std::vector<float>& key, const std::vector<float>& value) {
  const Shape shape = shape_of(parameters, kAxes);
  writer.array("/q", query, shape);
  writer.array("/k", key, shape);
  writer.array("/v", value, shape);
  double squares = 0;
  for (const float x : query) squares += static_cast<double>(x) * x;
  writer.attribute("query_mean_square", squares / static_cast<double>(query.size()));
  writer.attribute("scale", 1 / std::sqrt(static_cast<double>(shape[3])));
}

void generate(const Parameters& parameters, Writer& writer) {
  const std::size_t matrices = parameters.extent("batch") * parameters.extent("heads");
  const std::size_t tokens = parameters.extent("tokens"), dim = parameters.extent("dim");
  const std::size_t size = matrices * tokens * dim;
  const std::uint64_t seed = parameters.seed;
  const std::string& generator = parameters.text("generator");
  const std::vector<float> value = gauss(Philox(seed, value_noise), size);
  if (generator == "gauss") {
    write(writer, parameters, gauss(Philox(seed, query_noise), size), gauss(Philox(seed, key_noise), size),
          value);
  } else if (generator == "clustered") {
    writer.attribute("centres", static_cast<double>(kCentres));
    writer.attribute("beta", kBeta);
    write(writer, parameters, clustered(seed, query_noise, query_cluster, matrices, tokens, dim),
          clustered(seed, key_noise, key_cluster, matrices, tokens, dim), value);
  } else {
    throw DatasetError(
        fmt::format("attention_inputs: generator is '{}'; it must be 'gauss' or 'clustered'", generator));
  }
}

void import(const std::filesystem::path& source, const Parameters& parameters, Writer& writer) {
  const Shape shape = shape_of(parameters, kAxes);
  const auto dumped = [&](const char* name) {
    return read_dump(source, name, shape, "batch, heads, tokens, dim");
  };
  write(writer, parameters, dumped("q"), dumped("k"), dumped("v"));
}

ArraySchema array(const char* path, const char* description) {
  return {.path = path, .axes = {kAxes.begin(), kAxes.end()}, .description = description};
}

}  // namespace

const Definition attention_inputs_definition = {
    .name = "attention_inputs",
    .title = "Queries, keys and values of self-attention",
    .theme = "attention",
    .schema_version = 1,
    .generator_version = 1,
    .stands_for =
        "activations of a transformer layer. gauss: scores q.k/sqrt(dim) are N(0, 1), as at initialisation "
        "and in the DFSS benchmark. clustered: rows share 32 directions, so that a few keys hold most of the "
        "weight, as after training",
    .source = "https://github.com/apuaaChen/DFSS (benchmark.py); BERT-large on SQuAD v1.1 for real data",
    .arrays = {array("/q", "queries"), array("/k", "keys"), array("/v", "values")},
    .extents = [](const Parameters& p) { return extents_of(p, kAxes); },
    .generate = generate,
    .import = import,
    .import_help =
        "dumps of one layer's q, k and v, each [batch, heads, tokens, dim] (BERT-large on SQuAD: [b, 16, "
        "384, 64]): an HDF5 file with /q, /k, /v, or a folder with q.npy, k.npy, v.npy; float32, queries not "
        "yet scaled",
    .examples = {attention_inputs(1, 2, 64, 64, "gauss", 1), attention_inputs(1, 2, 128, 64, "gauss", 1),
                 attention_inputs(1, 2, 128, 64, "clustered", 1)},
};

Parameters attention_inputs(int batch, int heads, int tokens, int dim, const std::string& generator,
                            std::uint64_t seed) {
  return parameters(
      {{"batch", batch}, {"dim", dim}, {"generator", generator}, {"heads", heads}, {"tokens", tokens}}, seed);
}

AttentionInputs read_attention_inputs(Reader& reader) {
  const Shape shape = reader.shape("/q");
  return {.batch = static_cast<int>(shape[0]),
          .heads = static_cast<int>(shape[1]),
          .tokens = static_cast<int>(shape[2]),
          .dim = static_cast<int>(shape[3]),
          .query = reader.f32("/q"),
          .key = reader.f32("/k"),
          .value = reader.f32("/v")};
}

}  // namespace remeasure::datasets
