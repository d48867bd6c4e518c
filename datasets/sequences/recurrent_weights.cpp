// SPDX-License-Identifier: Apache-2.0
#include "datasets/sequences/recurrent_weights.h"

#include <fmt/format.h>

#include <cmath>

#include "datasets/random.h"

namespace remeasure::datasets {
namespace {

Extents extents_of(const Parameters& p) {
  const Extents extents = {{"gate", p.extent("gates")},   {"bias", p.extent("biases")},
                           {"state", p.extent("states")}, {"batch", p.extent("batch")},
                           {"head", p.extent("heads")},   {"new", p.extent("dim")},
                           {"previous", p.extent("dim")}, {"unit", p.extent("dim")}};
  if (extents.at("gate") > 8 || extents.at("bias") > 8 || extents.at("state") > 4 ||
      extents.at("unit") > 8192 || extents.at("head") * extents.at("unit") > 16384 ||
      extents.at("batch") > 4096) {
    throw DatasetError(
        fmt::format("recurrent_weights: gates, biases <= 8, states <= 4, dim <= 8192, heads x dim <= 16384, "
                    "batch <= 4096; got {}, {}, {}, {}, {} x {}, {}",
                    extents.at("gate"), extents.at("bias"), extents.at("state"), extents.at("unit"),
                    extents.at("head"), extents.at("unit"), extents.at("batch")));
  }
  return extents;
}

std::vector<float> gauss(const Philox& random, std::size_t size, double deviation) {
  std::vector<float> values(size);
  for (std::size_t i = 0; i < size; ++i) values[i] = static_cast<float>(deviation * random.normal(i));
  return values;
}

void generate(const Parameters& p, Writer& out) {
  const Extents e = extents_of(p);
  const std::uint64_t dim = e.at("unit"), heads = e.at("head"), batch = e.at("batch"), states = e.at("state");
  const auto weights =
      gauss(Philox(p.seed, 1), e.at("gate") * heads * dim * dim, 1 / std::sqrt(static_cast<double>(dim)));
  const auto bias = gauss(Philox(p.seed, 2), e.at("bias") * heads * dim, 0.1);
  auto first = gauss(Philox(p.seed, 3), states * batch * heads * dim, 0.5);
  for (std::size_t i = 0; i < first.size(); ++i) {
    const std::size_t entry = i / (heads * dim) % batch, state = i / (heads * dim * batch);
    if (entry % 2 == 0) first[i] = 0;
    if (entry % 2 == 1 && state == 2) first[i] = 1 + std::abs(first[i]);
  }
  out.array("/R", std::span<const float>(weights), {e.at("gate"), heads, dim, dim});
  out.array("/b", std::span<const float>(bias), {e.at("bias"), heads, dim});
  out.array("/s0", std::span<const float>(first), {states, batch, heads, dim});
}

}  // namespace

const Definition recurrent_weights_definition = {
    .name = "recurrent_weights",
    .title = "Weights of a recurrent layer with heads",
    .theme = "sequences",
    .stands_for = "a layer at its initialisation: R h keeps the variance of h",
    .source = "https://github.com/NX-AI/flashrnn",
    .arrays = {{.path = "/R",
                .axes = {"gate", "head", "new", "previous"},
                .description = "recurrent weights, N(0, 1) / sqrt(dim)"},
               {.path = "/b", .axes = {"bias", "head", "unit"}, .description = "biases, 0.1 N(0, 1)"},
               {.path = "/s0", .axes = {"state", "batch", "head", "unit"}, .description = "first states"}},
    .extents = extents_of,
    .generate = generate,
    .examples = {recurrent_weights({4, 4, 2, 2, 2, 16}, 1)},
};

Parameters recurrent_weights(const RecurrentSizes& s, std::uint64_t seed) {
  return {.values = {{"gates", std::to_string(s.gates)},
                     {"biases", std::to_string(s.biases)},
                     {"states", std::to_string(s.states)},
                     {"batch", std::to_string(s.batch)},
                     {"heads", std::to_string(s.heads)},
                     {"dim", std::to_string(s.dim)}},
          .seed = seed};
}

RecurrentWeights read_recurrent_weights(Reader& reader) {
  return {reader.f32("/R"), reader.f32("/b"), reader.f32("/s0")};
}

}  // namespace remeasure::datasets
