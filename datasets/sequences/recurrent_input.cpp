// SPDX-License-Identifier: Apache-2.0
#include "datasets/sequences/recurrent_input.h"

#include <fmt/format.h>

#include <stdexcept>

#include "datasets/import/npy.h"
#include "datasets/random.h"

namespace remeasure::datasets {
namespace {

constexpr std::uint64_t kMostValues = std::uint64_t{1} << 28;

Shape shape_of(const Parameters& parameters) {
  const Shape shape = {parameters.extent("batch"), parameters.extent("steps"), parameters.extent("hidden")};
  if (shape[0] > kMostValues / shape[1] || shape[0] * shape[1] > kMostValues / shape[2]) {
    throw DatasetError(
        fmt::format("recurrent_input: batch {} x steps {} x hidden {}; at most {} values in all", shape[0],
                    shape[1], shape[2], kMostValues));
  }
  return shape;
}

void import_input(const std::filesystem::path& source, const Parameters& parameters, Writer& out) {
  const NpyArray array = read_npy(source);
  const Shape shape = shape_of(parameters);
  if (array.shape != shape) {
    throw DatasetError(fmt::format("{}: an array of {}; expected {}", source.string(), to_string(array.shape),
                                   to_string(shape)));
  }
  out.array("/x", array.as_f32(), shape);
}

}  // namespace

const Definition recurrent_input_definition = {
    .name = "recurrent_input",
    .title = "Inputs of a recurrent layer",
    .theme = "sequences",
    .stands_for =
        "activations before a recurrent layer: N(0, 1), as behind a normalisation; time and speed of the "
        "layer don't depend on them",
    .source = "synthetic in the literature",
    .arrays = {{.path = "/x", .axes = {"batch", "step", "unit"}, .description = "N(0, 1)"}},
    .extents =
        [](const Parameters& p) {
          const Shape shape = shape_of(p);
          return Extents{{"batch", shape[0]}, {"step", shape[1]}, {"unit", shape[2]}};
        },
    .generate =
        [](const Parameters& p, Writer& out) {
          const Shape shape = shape_of(p);
          const Philox random(p.seed, 1);
          std::vector<float> x(shape[0] * shape[1] * shape[2]);
          for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(random.normal(i));
          out.array("/x", std::span<const float>(x), shape);
        },
    .import = import_input,
    .import_help = "a .npy [batch, steps, hidden] in f4 or f8: activations of a model",
    .examples = {recurrent_input(2, 16, 32, 1)},
};

Parameters recurrent_input(std::size_t batch, std::size_t steps, std::size_t hidden, std::uint64_t seed) {
  return {.values = {{"batch", std::to_string(batch)},
                     {"steps", std::to_string(steps)},
                     {"hidden", std::to_string(hidden)}},
          .seed = seed};
}

std::vector<float> read_recurrent_input(Reader& reader) {
  return reader.f32("/x");
}

std::vector<float> gate_inputs(const std::vector<float>& x, std::size_t gates, std::size_t heads,
                               std::size_t dim) {
  const std::size_t hidden = heads * dim;
  if (heads == 0 || dim == 0) throw std::invalid_argument("gate_inputs: no heads, or heads of no units");
  std::vector<float> result(x.size() * gates);
  for (std::size_t row = 0; row < x.size() / hidden; ++row) {
    for (std::size_t gate = 0; gate < gates; ++gate) {
      const std::size_t shift = gate_shift(gate) % dim;
      for (std::size_t head = 0; head < heads; ++head) {
        const float* const from = &x[row * hidden + head * dim];
        float* const to = &result[(row * gates + gate) * hidden + head * dim];
        for (std::size_t unit = 0; unit < dim; ++unit)
          to[unit] = from[unit + shift < dim ? unit + shift : unit + shift - dim];
      }
    }
  }
  return result;
}

}  // namespace remeasure::datasets
