// SPDX-License-Identifier: Apache-2.0
#include "datasets/learning/modular_arithmetic.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "datasets/random.h"
#include "datasets/schema.h"

namespace remeasure::datasets {
namespace {

enum Stream : std::uint64_t { order_stream = 1, weight_stream = 2 };

constexpr std::uint64_t kLargestModulus = 128;

std::uint64_t modulus_of(const Parameters& p) {
  const std::uint64_t modulus = p.extent("modulus");
  bool prime = modulus > 1 && modulus <= kLargestModulus;
  for (std::uint64_t d = 2; d * d <= modulus && prime; ++d) prime = modulus % d != 0;
  if (!prime) {
    throw DatasetError(fmt::format("modular_arithmetic: modulus {}; it must be a prime of at most {}",
                                   modulus, kLargestModulus));
  }
  return modulus;
}

void generate(const Parameters& p, Writer& out) {
  const std::uint64_t modulus = modulus_of(p);
  const std::string& operation = p.text("operation");
  if (operation != "add" && operation != "multiply")
    throw DatasetError(
        fmt::format("modular_arithmetic: operation \"{}\"; there are add and multiply", operation));
  const std::size_t rows = modulus * modulus;
  std::vector<std::uint16_t> pairs, labels;
  for (std::uint64_t x = 0; x < modulus; ++x) {
    for (std::uint64_t y = 0; y < modulus; ++y) {
      pairs.push_back(static_cast<std::uint16_t>(x));
      pairs.push_back(static_cast<std::uint16_t>(y));
      labels.push_back(static_cast<std::uint16_t>((operation == "add" ? x + y : x * y) % modulus));
    }
  }
  out.array("/pairs", std::span<const std::uint16_t>(pairs), {rows, 2});
  out.array("/label", std::span<const std::uint16_t>(labels), {rows});
  write_order_and_weights(p.seed, rows, 2 * modulus, p.extent("hidden"), modulus, out);
}

std::vector<ArraySchema> schema() {
  std::vector<ArraySchema> arrays = order_and_weights_schema();
  arrays.push_back({.path = "/pairs",
                    .type = ElementType::u16,
                    .axes = {"row", "operand"},
                    .description = "x and y",
                    .minimum = 0,
                    .maximum = kLargestModulus - 1});
  arrays.push_back({.path = "/label",
                    .type = ElementType::u16,
                    .axes = {"row"},
                    .description = "x + y or x y modulo p",
                    .minimum = 0,
                    .maximum = kLargestModulus - 1});
  return arrays;
}

}  // namespace

void write_order_and_weights(std::uint64_t seed, std::size_t rows, std::uint64_t inputs, std::uint64_t hidden,
                             std::uint64_t classes, Writer& out) {
  std::vector<std::uint32_t> order(rows);
  std::iota(order.begin(), order.end(), 0u);
  const Philox shuffle(seed, order_stream);
  for (std::size_t i = rows - 1; i > 0; --i) std::swap(order[i], order[shuffle.integer(i, i + 1)]);
  out.array("/order", std::span<const std::uint32_t>(order), {rows});
  std::uint64_t stream = weight_stream;
  const auto layer = [&](const char* path, std::uint64_t of_neuron, Shape shape) {
    const Philox random(seed, stream++);
    const double bound = 1 / std::sqrt(static_cast<double>(of_neuron));
    std::vector<float> weights(shape[0] * shape[1]);
    for (std::size_t i = 0; i < weights.size(); ++i)
      weights[i] = static_cast<float>(bound * (2 * random.uniform(i) - 1));
    out.array(path, std::span<const float>(weights), shape);
  };
  layer("/first", inputs, {inputs, hidden});
  layer("/second", hidden, {hidden, hidden});
  layer("/third", hidden, {classes, hidden});
}

std::vector<ArraySchema> order_and_weights_schema() {
  const char* const initial = "uniform within 1 / sqrt(inputs of a neuron)";
  return {{.path = "/order",
           .type = ElementType::u32,
           .axes = {"row"},
           .description = "a permutation: training rows are its prefix",
           .minimum = 0},
          {.path = "/first", .axes = {"input", "hidden"}, .description = initial},
          {.path = "/second", .axes = {"hidden", "hidden"}, .description = initial},
          {.path = "/third", .axes = {"class", "hidden"}, .description = initial}};
}

std::vector<std::uint32_t> read_order_and_weights(Reader& reader, GrokkingTask& task) {
  task.first = reader.f32("/first");
  task.second = reader.f32("/second");
  task.third = reader.f32("/third");
  const Shape shape = reader.shape("/first");
  task.inputs = static_cast<int>(shape[0]);
  task.hidden = static_cast<int>(shape[1]);
  task.classes = static_cast<int>(reader.shape("/third")[0]);
  std::vector<std::uint32_t> order = reader.u32("/order");
  std::vector<bool> seen(order.size(), false);
  for (const std::uint32_t row : order) {
    if (row >= order.size() || seen[row])
      throw DatasetError(fmt::format("/order isn't a permutation of 0 to {}", order.size() - 1));
    seen[row] = true;
  }
  return order;
}

const Definition modular_arithmetic_definition = {
    .name = "modular_arithmetic",
    .title = "Addition and multiplication modulo a prime, and a network's initial weights",
    .theme = "learning",
    .stands_for =
        "the data of the paper itself, which is generated too; another permutation and other weights",
    .source = "synthetic in the literature (arXiv 2501.04697)",
    .arrays = schema(),
    .extents =
        [](const Parameters& p) {
          const std::uint64_t modulus = modulus_of(p);
          return Extents{{"row", modulus * modulus},
                         {"operand", 2},
                         {"input", 2 * modulus},
                         {"hidden", p.extent("hidden")},
                         {"class", modulus}};
        },
    .generate = generate,
    .examples = {modular_arithmetic(31, 64, "add", 1)},
};

Parameters modular_arithmetic(int modulus, int hidden, const std::string& operation, std::uint64_t seed) {
  return parameters({{"modulus", modulus}, {"hidden", hidden}, {"operation", operation}}, seed);
}

GrokkingTask read_modular_arithmetic(Reader& reader) {
  GrokkingTask task;
  const std::vector<std::uint32_t> order = read_order_and_weights(reader, task);
  const std::vector<std::uint16_t> pairs = reader.u16("/pairs"), labels = reader.u16("/label");
  for (const std::uint32_t row : order) {
    task.pairs.push_back(pairs[2 * row]);
    task.pairs.push_back(pairs[2 * row + 1]);
    task.labels.push_back(labels[row]);
    if (std::max({pairs[2 * row], pairs[2 * row + 1], labels[row]}) >= task.classes)
      throw DatasetError(fmt::format("modular_arithmetic: row {} isn't below the modulus", row));
  }
  return task;
}

}  // namespace remeasure::datasets
