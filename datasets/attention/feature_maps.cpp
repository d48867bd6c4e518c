// SPDX-License-Identifier: Apache-2.0
#include "datasets/attention/feature_maps.h"

#include <numeric>

#include "datasets/import/dump.h"
#include "datasets/random.h"
#include "datasets/schema.h"

namespace remeasure::datasets {
namespace {

constexpr std::array<const char*, 6> kAxes = {"batch", "x", "y", "z", "heads", "dim"};

void generate(const Parameters& parameters, Writer& writer) {
  const Shape shape = shape_of(parameters, kAxes);
  const auto size = static_cast<std::size_t>(
      std::accumulate(shape.begin(), shape.end(), std::uint64_t{1}, std::multiplies<>()));
  std::uint64_t stream = 0;
  for (const char* path : {"/q", "/k", "/v"}) {
    const Philox random(parameters.seed, ++stream);
    std::vector<float> values(size);
    for (std::size_t i = 0; i < size; ++i) values[i] = static_cast<float>(random.normal(i));
    writer.array(path, std::span<const float>(values), shape);
  }
}

void import(const std::filesystem::path& source, const Parameters& parameters, Writer& writer) {
  const Shape shape = shape_of(parameters, kAxes);
  for (const char* name : {"q", "k", "v"}) {
    const std::vector<float> values = read_dump(source, name, shape, "batch, x, y, z, heads, dim");
    writer.array(std::string("/") + name, std::span<const float>(values), shape);
  }
}

ArraySchema array(const char* path, const char* description) {
  return {.path = path, .axes = {kAxes.begin(), kAxes.end()}, .description = description};
}

}  // namespace

const Definition feature_maps_definition = {
    .name = "feature_maps",
    .title = "Queries, keys and values on a grid, heads last",
    .theme = "attention",
    .schema_version = 1,
    .generator_version = 1,
    .stands_for =
        "feature maps of NAT and DiNAT (56 x 56 with 2 heads to 7 x 7 with 16, dim 32, window 7). N(0, 1) at "
        "random",
    .source = "https://github.com/SHI-Labs/Neighborhood-Attention-Transformer",
    .arrays = {array("/q", "queries"), array("/k", "keys"), array("/v", "values")},
    .extents = [](const Parameters& p) { return extents_of(p, kAxes); },
    .generate = generate,
    .import = import,
    .import_help =
        "dumps of one layer's q, k and v, each [batch, x, y, z, heads, dim] (y, z of length 1 where there is "
        "no such axis): an HDF5 file with /q, /k, /v, or a folder with q.npy, k.npy, v.npy; float32, queries "
        "not yet scaled",
    .examples = {feature_maps(1, {96, 1, 1}, 2, 16, 1), feature_maps(1, {12, 10, 1}, 2, 16, 1),
                 feature_maps(1, {4, 5, 6}, 2, 16, 1)},
};

Parameters feature_maps(int batch, const std::array<int, 3>& extents, int heads, int dim,
                        std::uint64_t seed) {
  return parameters({{"batch", batch},
                     {"dim", dim},
                     {"heads", heads},
                     {"x", extents[0]},
                     {"y", extents[1]},
                     {"z", extents[2]}},
                    seed);
}

FeatureMaps read_feature_maps(Reader& reader) {
  return {reader.f32("/q"), reader.f32("/k"), reader.f32("/v")};
}

}  // namespace remeasure::datasets
