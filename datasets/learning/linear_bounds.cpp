// SPDX-License-Identifier: Apache-2.0
#include "datasets/learning/linear_bounds.h"

#include <array>
#include <cmath>

#include "datasets/import/dump.h"
#include "datasets/random.h"

namespace remeasure::datasets {
namespace {

struct Named {
  const char* name;
  std::vector<const char*> axes;
  const char* description;
};
const std::array<Named, 6> kArrays = {{
    {"lower_weight", {"row", "input", "channel"}, "weights of the lower bounds"},
    {"upper_weight", {"row", "input", "channel"}, "weights of the upper bounds"},
    {"lower_bias", {"row", "channel"}, "biases of the lower bounds"},
    {"upper_bias", {"row", "channel"}, "biases of the upper bounds"},
    {"matrix", {"output", "channel"}, "the dense layer that follows"},
    {"offset", {"output"}, "its bias"},
}};

Extents extents(const Parameters& p) {
  return {{"row", p.extent("rows")},
          {"input", p.extent("inputs")},
          {"channel", p.extent("channels")},
          {"output", p.extent("outputs")}};
}

Shape shape_of(const Named& array, const Extents& extents) {
  Shape shape;
  for (const char* axis : array.axes) shape.push_back(extents.at(axis));
  return shape;
}

std::size_t size_of(const Shape& shape) {
  std::size_t size = 1;
  for (const std::uint64_t extent : shape) size *= static_cast<std::size_t>(extent);
  return size;
}

void generate(const Parameters& parameters, Writer& writer) {
  const Extents extent = extents(parameters);
  const auto put = [&](const Named& array, const std::vector<float>& values) {
    writer.array(std::string("/") + array.name, std::span<const float>(values), shape_of(array, extent));
  };
  std::uint64_t stream = 0;
  const auto bounds = [&](const Named& lower, const Named& upper, double deviation) {
    const Philox centre(parameters.seed, ++stream), half(parameters.seed, ++stream);
    std::vector<float> below(size_of(shape_of(lower, extent))), above(below.size());
    for (std::size_t i = 0; i < below.size(); ++i) {
      const double middle = deviation * centre.normal(i),
                   width = deviation * 0.7 * std::fabs(half.uniform(i) - 0.5);
      below[i] = static_cast<float>(middle - width);
      above[i] = static_cast<float>(middle + width);
    }
    put(lower, below);
    put(upper, above);
  };
  bounds(kArrays[0], kArrays[1], 1 / std::sqrt(static_cast<double>(extent.at("input"))));
  bounds(kArrays[2], kArrays[3], 1);
  const auto normals = [&](const Named& array, double deviation) {
    const Philox random(parameters.seed, ++stream);
    std::vector<float> values(size_of(shape_of(array, extent)));
    for (std::size_t i = 0; i < values.size(); ++i)
      values[i] = static_cast<float>(deviation * random.normal(i));
    put(array, values);
  };
  normals(kArrays[4], 1 / std::sqrt(static_cast<double>(extent.at("channel"))));
  normals(kArrays[5], 1);
}

void import(const std::filesystem::path& source, const Parameters& parameters, Writer& writer) {
  const Extents extent = extents(parameters);
  for (const Named& array : kArrays) {
    const Shape shape = shape_of(array, extent);
    std::string axes;
    for (const char* axis : array.axes) axes += (axes.empty() ? "" : ", ") + std::string(axis);
    const std::vector<float> values = read_dump(source, array.name, shape, axes);
    writer.array(std::string("/") + array.name, std::span<const float>(values), shape);
  }
}

std::vector<ArraySchema> schema() {
  std::vector<ArraySchema> arrays;
  for (const Named& array : kArrays) {
    arrays.push_back({.path = std::string("/") + array.name,
                      .type = ElementType::f32,
                      .axes = {array.axes.begin(), array.axes.end()},
                      .description = array.description});
  }
  return arrays;
}

}  // namespace

const Definition linear_bounds_definition = {
    .name = "linear_bounds",
    .title = "Linear bounds of a layer's values and the dense layer that follows",
    .theme = "learning",
    .schema_version = 1,
    .generator_version = 1,
    .stands_for = "the random arrays of the operator benchmarks of Faith, with lower bounds below upper ones",
    .source = "https://github.com/BoyuanFeng/Faith",
    .arrays = schema(),
    .extents = extents,
    .generate = generate,
    .import = import,
    .import_help =
        "a verifier's bounds at one layer: an HDF5 file with /lower_weight, /upper_weight (row, input, "
        "channel), /lower_bias, /upper_bias, /matrix (output, channel), /offset, or a folder of .npy files "
        "of these names; float32",
    .examples = {linear_bounds({8, 64, 64, 64}, 1)},
};

Parameters linear_bounds(const BoundsExtent& extent, std::uint64_t seed) {
  return {.values = {{"rows", std::to_string(extent.rows)},
                     {"inputs", std::to_string(extent.inputs)},
                     {"channels", std::to_string(extent.channels)},
                     {"outputs", std::to_string(extent.outputs)}},
          .seed = seed};
}

LinearBoundsData read_linear_bounds(Reader& reader) {
  return {reader.f32("/lower_weight"), reader.f32("/upper_weight"), reader.f32("/lower_bias"),
          reader.f32("/upper_bias"),   reader.f32("/matrix"),       reader.f32("/offset")};
}

}  // namespace remeasure::datasets
