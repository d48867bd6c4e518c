// SPDX-License-Identifier: Apache-2.0
#include "datasets/precision/vit_block.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <string>

#include "datasets/import/hdf5_array.h"
#include "datasets/learning/dense_math.h"
#include "datasets/random.h"

namespace remeasure::datasets {
namespace {

enum class Looks { normalised, softmax, gelu, plain, weights };

struct Plan {
  const char* name;
  Looks a, b;
  CalibrationLayer layer;
};

struct Sizes {
  int images, tokens, dim, heads;
};

Sizes sizes_of(const Parameters& parameters) {
  const auto number = [&](const char* name, std::int64_t most) {
    const std::int64_t value = parameters.integer(name);
    if (value < 1 || value > most)
      throw DatasetError(fmt::format("vit_block: {} is {}; it must be from 1 to {}", name, value, most));
    return static_cast<int>(value);
  };
  const Sizes s{number("images", 1024), number("tokens", 1024), number("dim", 4096), number("heads", 64)};
  if (s.dim % s.heads != 0)
    throw DatasetError(fmt::format("vit_block: heads ({}) must divide dim ({})", s.heads, s.dim));
  return s;
}

std::array<Plan, 6> plans_of(const Sizes& s) {
  const int rows = s.images * s.tokens, matrices = s.images * s.heads, d = s.dim / s.heads;
  const auto layer = [](const char* name, int count, int r, int inner, int columns) {
    return CalibrationLayer{name, count, r, inner, columns, {}, {}, {}};
  };
  return {{{"qkv", Looks::normalised, Looks::weights, layer("qkv", 1, rows, s.dim, 3 * s.dim)},
           {"qk", Looks::plain, Looks::plain, layer("qk", matrices, s.tokens, d, s.tokens)},
           {"softmax_v", Looks::softmax, Looks::plain, layer("softmax_v", matrices, s.tokens, s.tokens, d)},
           {"proj", Looks::plain, Looks::weights, layer("proj", 1, rows, s.dim, s.dim)},
           {"fc1", Looks::normalised, Looks::weights, layer("fc1", 1, rows, s.dim, 4 * s.dim)},
           {"fc2", Looks::gelu, Looks::weights, layer("fc2", 1, rows, 4 * s.dim, s.dim)}}};
}

/// Four 16-bit parts of one draw, summed: near enough to normal for tensors of millions of values.
double fast_normal(const Philox& random, std::uint64_t index) {
  const std::uint64_t bits = random.bits(index);
  double sum = -2;
  for (int part = 0; part < 4; ++part) sum += static_cast<double>(bits >> (16 * part) & 0xffff) / 65536;
  return 1.7320508075688772 * sum;
}

std::vector<float> values_of(Looks looks, std::uint64_t seed, std::uint64_t stream, std::size_t rows,
                             std::size_t columns) {
  if (looks == Looks::softmax) return softmax_rows(seed, stream, rows, columns);
  if (looks == Looks::gelu) return gelu_values(seed, stream, rows * columns);
  const Philox random(seed, stream), channel(seed, stream + 1000);
  std::vector<float> scale(columns, 1.0f);
  for (std::size_t c = 0; c < columns && looks == Looks::normalised; ++c) {
    scale[c] = static_cast<float>(portable_exp(0.5 * channel.normal(c)));
  }
  const double of_weights = 1 / std::sqrt(static_cast<double>(columns));
  std::vector<float> values(rows * columns);
  for (std::size_t i = 0; i < values.size(); ++i) {
    double x = fast_normal(random, i);
    if (looks == Looks::weights) x *= of_weights * (1 + 0.3 * x * x);  // heavy tails
    values[i] = static_cast<float>(x) * scale[i % columns];
  }
  return values;
}

std::string path_of(const char* layer, const char* array) {
  return fmt::format("/calib/{}/{}", layer, array);
}

void write(Writer& writer, const CalibrationLayer& l) {
  const auto n = [](int x) { return static_cast<std::uint64_t>(x); };
  writer.array(path_of(l.name, "A"), l.a, {n(l.matrices), n(l.rows), n(l.inner)});
  writer.array(path_of(l.name, "B"), l.b, {n(l.matrices), n(l.columns), n(l.inner)});
  writer.array(path_of(l.name, "grad"), l.gradient, {n(l.matrices), n(l.rows), n(l.columns)});
}

std::size_t count(int a, int b) {
  return static_cast<std::size_t>(a) * static_cast<std::size_t>(b);
}

void generate(const Parameters& parameters, Writer& writer) {
  std::uint64_t stream = 1;
  for (Plan& plan : plans_of(sizes_of(parameters))) {
    CalibrationLayer& l = plan.layer;
    l.a = values_of(plan.a, parameters.seed, stream++, count(l.matrices, l.rows),
                    static_cast<std::size_t>(l.inner));
    l.b = values_of(plan.b, parameters.seed, stream++, count(l.matrices, l.columns),
                    static_cast<std::size_t>(l.inner));
    const Philox random(parameters.seed, stream++), of_row(parameters.seed, stream++);
    l.gradient.resize(count(l.matrices, l.rows) * static_cast<std::size_t>(l.columns));
    for (std::size_t i = 0, row = 0; i < l.gradient.size(); ++row) {
      const double scale = portable_exp(of_row.normal(row));
      for (int c = 0; c < l.columns; ++c, ++i)
        l.gradient[i] = static_cast<float>(scale * fast_normal(random, i));
    }
    write(writer, l);
  }
}

/// An export of the calibration of a real model: one HDF5 file with the same names (Y, if there, isn't
/// needed).
void import_file(const std::filesystem::path& source, const Parameters& parameters, Writer& writer) {
  const ForeignHdf5 file(source);
  for (Plan& plan : plans_of(sizes_of(parameters))) {
    CalibrationLayer& l = plan.layer;
    const auto read = [&](const char* name, std::size_t expected) {
      std::vector<float> values = file.f32(path_of(l.name, name));
      if (values.size() != expected) {
        throw DatasetError(fmt::format(
            "{}: {} has {} values; {} images of {} tokens with dim {} and {} heads have {}", source.string(),
            path_of(l.name, name), values.size(), parameters.text("images"), parameters.text("tokens"),
            parameters.text("dim"), parameters.text("heads"), expected));
      }
      return values;
    };
    l.a = read("A", count(l.matrices, l.rows) * static_cast<std::size_t>(l.inner));
    l.b = read("B", count(l.matrices, l.columns) * static_cast<std::size_t>(l.inner));
    l.gradient = read("grad", count(l.matrices, l.rows) * static_cast<std::size_t>(l.columns));
    write(writer, l);
  }
}

std::vector<ArraySchema> schema() {
  std::vector<ArraySchema> arrays;
  for (const Plan& plan : plans_of({1, 1, 1, 1})) {
    const std::string name = plan.name;
    const auto axis = [&](const char* of) { return name + " " + of; };
    arrays.push_back({.path = path_of(plan.name, "A"),
                      .axes = {axis("matrix"), axis("row"), axis("inner")},
                      .description = "activations"});
    arrays.push_back({.path = path_of(plan.name, "B"),
                      .axes = {axis("matrix"), axis("column"), axis("inner")},
                      .description = "weights [outputs, inputs], keys, or values by column"});
    arrays.push_back({.path = path_of(plan.name, "grad"),
                      .axes = {axis("matrix"), axis("row"), axis("column")},
                      .description = "gradient of the loss by A B^T"});
  }
  return arrays;
}

Extents extents(const Parameters& parameters) {
  Extents result;
  const auto n = [](int x) { return static_cast<std::uint64_t>(x); };
  for (const Plan& plan : plans_of(sizes_of(parameters))) {
    const std::string name = plan.name;
    result[name + " matrix"] = n(plan.layer.matrices);
    result[name + " row"] = n(plan.layer.rows);
    result[name + " inner"] = n(plan.layer.inner);
    result[name + " column"] = n(plan.layer.columns);
  }
  return result;
}

}  // namespace

const Definition vit_block_definition = {
    .name = "vit_block",
    .title = "Operands and gradients of a vision transformer's block",
    .theme = "precision",
    .schema_version = 1,
    .generator_version = 1,
    .stands_for =
        "calibration tensors of ViT/DeiT: rows of softmax (most below 0.05, some near 1), GELU with its "
        "short negative range, normalised activations with channels of different scales, weights with heavy "
        "tails",
    .source = "https://github.com/hahnyuan/PTQ4ViT",
    .arrays = schema(),
    .extents = extents,
    .generate = generate,
    .import = import_file,
    .import_help =
        "one HDF5 file with /calib/<layer>/{A,B,grad} for qkv, qk, softmax_v, proj, fc1, fc2: A [matrices, "
        "rows, inner], B [matrices, columns, inner] (weights as torch stores them, values transposed), grad "
        "[matrices, rows, columns]; matrices is images x heads for qk and softmax_v and 1 else",
    .examples = {vit_block(2, 17, 48, 3, 1)},
};

Parameters vit_block(int images, int tokens, int dim, int heads, std::uint64_t seed) {
  return {.values = {{"images", std::to_string(images)},
                     {"tokens", std::to_string(tokens)},
                     {"dim", std::to_string(dim)},
                     {"heads", std::to_string(heads)}},
          .seed = seed};
}

VitBlock read_vit_block(Reader& reader) {
  const auto parameter = [&](const char* name) {
    return std::stoi(reader.text(std::string("param_") + name));
  };
  VitBlock block{.images = parameter("images"),
                 .tokens = parameter("tokens"),
                 .dim = parameter("dim"),
                 .heads = parameter("heads"),
                 .layers = {}};
  for (Plan& plan : plans_of({block.images, block.tokens, block.dim, block.heads})) {
    plan.layer.a = reader.f32(path_of(plan.name, "A"));
    plan.layer.b = reader.f32(path_of(plan.name, "B"));
    plan.layer.gradient = reader.f32(path_of(plan.name, "grad"));
    block.layers.push_back(std::move(plan.layer));
  }
  return block;
}

std::vector<float> softmax_rows(std::uint64_t seed, std::uint64_t stream, std::size_t rows,
                                std::size_t keys) {
  const Philox random(seed, stream), deviation(seed, stream + 2000);
  std::vector<float> values(rows * keys);
  std::vector<double> weights(keys);
  for (std::size_t row = 0; row < rows; ++row) {
    const double sd = 1 + 3 * deviation.uniform(row);
    double sum = 0;
    for (std::size_t k = 0; k < keys; ++k)
      sum += weights[k] = portable_exp(sd * random.normal(row * keys + k));
    for (std::size_t k = 0; k < keys; ++k) values[row * keys + k] = static_cast<float>(weights[k] / sum);
  }
  return values;
}

std::vector<float> gelu_values(std::uint64_t seed, std::uint64_t stream, std::size_t size) {
  const Philox random(seed, stream);
  std::vector<float> values(size);
  for (std::size_t i = 0; i < size; ++i) values[i] = static_cast<float>(gelu(1.5 * fast_normal(random, i)));
  return values;
}

}  // namespace remeasure::datasets
