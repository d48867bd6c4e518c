// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "datasets/learning/modular_arithmetic.h"
#include "datasets/random.h"
#include "datasets/schema.h"

namespace remeasure::datasets {
namespace {

constexpr std::uint64_t kParityBits = 3;
constexpr std::uint64_t kBitStream = 101;

void generate(const Parameters& p, Writer& out) {
  const std::uint64_t rows = p.extent("rows"), bits = p.extent("bits");
  if (bits < kParityBits)
    throw DatasetError(fmt::format("sparse_parity: {} bits; it needs at least {}", bits, kParityBits));
  const Philox random(p.seed, kBitStream);
  std::vector<std::uint8_t> values(rows * bits);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<std::uint8_t>(random.bits(i) & 1);
  std::vector<std::uint16_t> labels(rows, 0);
  for (std::size_t row = 0; row < rows; ++row) {
    for (std::size_t bit = 0; bit < kParityBits; ++bit)
      labels[row] = static_cast<std::uint16_t>(labels[row] ^ values[row * bits + bit]);
  }
  out.array("/bits", std::span<const std::uint8_t>(values), {rows, bits});
  out.array("/label", std::span<const std::uint16_t>(labels), {rows});
  write_order_and_weights(p.seed, rows, bits, p.extent("hidden"), 2, out);
}

std::vector<ArraySchema> schema() {
  std::vector<ArraySchema> arrays = order_and_weights_schema();
  arrays.push_back({.path = "/bits",
                    .type = ElementType::u8,
                    .axes = {"row", "input"},
                    .description = "independent, 0 or 1",
                    .minimum = 0,
                    .maximum = 1});
  arrays.push_back({.path = "/label",
                    .type = ElementType::u16,
                    .axes = {"row"},
                    .description = "parity of the first three bits",
                    .minimum = 0,
                    .maximum = 1});
  return arrays;
}

}  // namespace

const Definition sparse_parity_definition = {
    .name = "sparse_parity",
    .title = "Parity of three of many random bits, and a network's initial weights",
    .theme = "learning",
    .stands_for = "the data of the paper itself, which is generated too: 2000 rows of 43 bits",
    .source = "synthetic in the literature (arXiv 2501.04697)",
    .arrays = schema(),
    .extents =
        [](const Parameters& p) {
          return Extents{{"row", p.extent("rows")},
                         {"input", p.extent("bits")},
                         {"hidden", p.extent("hidden")},
                         {"class", 2}};
        },
    .generate = generate,
    .examples = {sparse_parity(2000, 43, 64, 1)},
};

Parameters sparse_parity(int rows, int bits, int hidden, std::uint64_t seed) {
  return parameters({{"rows", rows}, {"bits", bits}, {"hidden", hidden}}, seed);
}

GrokkingTask read_sparse_parity(Reader& reader) {
  GrokkingTask task;
  const std::vector<std::uint32_t> order = read_order_and_weights(reader, task);
  const std::vector<std::uint8_t> bits = reader.u8("/bits");
  const std::vector<std::uint16_t> labels = reader.u16("/label");
  const auto inputs = static_cast<std::size_t>(task.inputs);
  for (const std::uint32_t row : order) {
    for (std::size_t bit = 0; bit < inputs; ++bit) task.bits.push_back(bits[row * inputs + bit]);
    task.labels.push_back(labels[row]);
  }
  return task;
}

}  // namespace remeasure::datasets
