// SPDX-License-Identifier: Apache-2.0
#include "datasets/precision/low_bit_network.h"

#include <fmt/format.h>

#include <string>

#include "datasets/precision/low_bit_calibration.h"

namespace remeasure::datasets {
namespace {

enum Stream : std::uint64_t { picture_stream = 1, first_layer_stream = 10 };

std::string path_of(const NetworkLayer& layer, const char* array) {
  return fmt::format("/net/{}/{}", layer.name, array);
}

struct LayerSize {
  std::uint64_t outputs, kernel, channels;
};
/// Sizes of all layers; throws DatasetError for an extent that the pools and the stride don't divide.
std::vector<LayerSize> sizes(NetworkLayers layers, const Parameters& p) {
  std::uint64_t extent = p.extent("extent"), channels = 3;
  const std::uint64_t divide = p.extent("divide");
  if (extent % 32 != 0)
    throw DatasetError(fmt::format("low-bit network: extent is {}; it must be a multiple of 32", extent));
  if (64 % divide != 0)
    throw DatasetError(fmt::format("low-bit network: divide is {}; it must divide 64", divide));
  std::vector<LayerSize> result;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const NetworkLayer& layer = layers[i];
    const auto outputs = static_cast<std::uint64_t>(network_outputs(layers, i, static_cast<int>(divide)));
    const std::uint64_t kernel = layer.kernel > 0 ? static_cast<std::uint64_t>(layer.kernel) : extent;
    result.push_back({outputs, kernel, channels});
    channels = outputs;
    extent = layer.kernel == 0 ? 1 : extent / static_cast<std::uint64_t>(layer.stride) / (layer.pool ? 2 : 1);
  }
  return result;
}

int bits_of(const Parameters& p) {
  const std::int64_t bits = p.integer("activation_bits");
  if (bits < 1 || bits > 8)
    throw DatasetError(fmt::format("low-bit network: activation_bits is {}; it must be 1 to 8", bits));
  return static_cast<int>(bits);
}

void generate(NetworkLayers layers, const Parameters& p, Writer& writer) {
  const int bits = bits_of(p);
  const Shape shape = {p.extent("sets"), p.extent("images"), p.extent("extent"), p.extent("extent"), 3};
  std::vector<float> pictures;
  for (const std::uint8_t value :
       uniform_codes(Philox(p.seed, picture_stream), shape[0] * shape[1] * shape[2] * shape[3] * 3, 8)) {
    pictures.push_back(static_cast<float>(value) / 255.0f);
  }
  writer.array("/pictures", std::span<const float>(pictures), shape);
  const std::vector<LayerSize> all = sizes(layers, p);
  std::vector<double> use = picture_use(bits);
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const LayerSize& size = all[i];
    const auto weights = uniform_codes(Philox(p.seed, first_layer_stream + i),
                                       size.outputs * size.kernel * size.kernel * size.channels, 1);
    writer.array(path_of(layers[i], "w_codes"), std::span<const std::uint8_t>(weights),
                 {size.outputs, size.kernel, size.kernel, size.channels});
    if (i + 1 == layers.size()) break;
    std::vector<float> alpha, beta;
    for (const Calibration& each : calibrated_outputs(weights, size.outputs, true, moments_of(use), bits)) {
      alpha.push_back(each.alpha);
      beta.push_back(each.beta);
    }
    writer.array(path_of(layers[i], "alpha"), std::span<const float>(alpha), {size.outputs});
    writer.array(path_of(layers[i], "beta"), std::span<const float>(beta), {size.outputs});
    use = layers[i].pool ? pooled_use(equal_use(bits)) : equal_use(bits);
  }
}

std::string axis(const NetworkLayer& layer, const char* name) {
  return fmt::format("{} {}", layer.name, name);
}

Extents extents(NetworkLayers layers, const Parameters& p) {
  Extents result = {{"set", p.extent("sets")},
                    {"image", p.extent("images")},
                    {"y", p.extent("extent")},
                    {"x", p.extent("extent")},
                    {"colour", 3}};
  const std::vector<LayerSize> all = sizes(layers, p);
  for (std::size_t i = 0; i < layers.size(); ++i) {
    result[axis(layers[i], "output")] = all[i].outputs;
    result[axis(layers[i], "kernel_y")] = result[axis(layers[i], "kernel_x")] = all[i].kernel;
    result[axis(layers[i], "channel")] = all[i].channels;
  }
  return result;
}

std::vector<ArraySchema> arrays(NetworkLayers layers) {
  std::vector<ArraySchema> result = {{.path = "/pictures",
                                      .type = ElementType::f32,
                                      .axes = {"set", "image", "y", "x", "colour"},
                                      .units = "1",
                                      .description = "values of 8 bits, over 255",
                                      .minimum = 0,
                                      .maximum = 1}};
  for (std::size_t i = 0; i < layers.size(); ++i) {
    result.push_back({.path = path_of(layers[i], "w_codes"),
                      .type = ElementType::u8,
                      .axes = {axis(layers[i], "output"), axis(layers[i], "kernel_y"),
                               axis(layers[i], "kernel_x"), axis(layers[i], "channel")},
                      .units = "1",
                      .description = "signs of the weights, 1 is +1",
                      .minimum = 0,
                      .maximum = 1});
    if (i + 1 == layers.size()) break;
    for (const char* name : {"alpha", "beta"}) {
      result.push_back({.path = path_of(layers[i], name),
                        .type = ElementType::f32,
                        .axes = {axis(layers[i], "output")},
                        .units = "1",
                        .description = "codes of the next layer are clip(floor(alpha y + beta))"});
    }
  }
  return result;
}

}  // namespace

Definition network_definition(const std::string& name, const std::string& title,
                              const std::string& stands_for, NetworkLayers layers) {
  Definition definition;
  definition.name = name;
  definition.title = title;
  definition.theme = "precision";
  definition.stands_for = stands_for;
  definition.source = "https://github.com/YukeWang96/APNN-TC-kernel";
  definition.arrays = arrays(layers);
  definition.extents = [layers](const Parameters& p) { return extents(layers, p); };
  definition.generate = [layers](const Parameters& p, Writer& writer) { generate(layers, p, writer); };
  definition.examples = {network_parameters(3, 1, 32, 16, 2, 1)};
  return definition;
}

Parameters network_parameters(int sets, int images, int extent, int divide, int activation_bits,
                              std::uint64_t seed) {
  return {.values = {{"activation_bits", std::to_string(activation_bits)},
                     {"divide", std::to_string(divide)},
                     {"extent", std::to_string(extent)},
                     {"images", std::to_string(images)},
                     {"sets", std::to_string(sets)}},
          .seed = seed};
}

LowBitNetworkData read_network(Reader& reader, NetworkLayers layers) {
  LowBitNetworkData net{reader.f32("/pictures"), {}};
  for (const NetworkLayer& each : layers) {
    LowBitNetworkData::Layer layer{reader.u8(path_of(each, "w_codes")), {}, {}};
    if (reader.has(path_of(each, "alpha"))) {
      layer.alpha = reader.f32(path_of(each, "alpha"));
      layer.beta = reader.f32(path_of(each, "beta"));
    }
    net.layers.push_back(std::move(layer));
  }
  return net;
}

}  // namespace remeasure::datasets
