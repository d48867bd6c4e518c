// SPDX-License-Identifier: Apache-2.0
#include "datasets/precision/low_bit_alexnet.h"

#include <fmt/format.h>

#include <string>

#include "datasets/precision/low_bit_calibration.h"

namespace remeasure::datasets {
namespace {

enum Stream : std::uint64_t { picture_stream = 1, first_layer_stream = 10 };

std::string path_of(std::size_t layer, const char* array) {
  return fmt::format("/net/{}/{}", kAlexnetLayers[layer].name, array);
}

struct LayerSize {
  std::uint64_t outputs, kernel, channels;
};
/// Sizes of all layers; throws DatasetError for an extent that the pools and the stride don't divide.
std::vector<LayerSize> sizes(const Parameters& p) {
  std::uint64_t extent = p.extent("extent"), channels = 3;
  const std::uint64_t divide = p.extent("divide");
  if (extent % 32 != 0)
    throw DatasetError(fmt::format("low_bit_alexnet: extent is {}; it must be a multiple of 32", extent));
  if (64 % divide != 0)
    throw DatasetError(fmt::format("low_bit_alexnet: divide is {}; it must divide 64", divide));
  std::vector<LayerSize> result;
  for (std::size_t i = 0; i < kAlexnetLayers.size(); ++i) {
    const AlexnetLayer& layer = kAlexnetLayers[i];
    const auto outputs = static_cast<std::uint64_t>(alexnet_outputs(i, static_cast<int>(divide)));
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
    throw DatasetError(fmt::format("low_bit_alexnet: activation_bits is {}; it must be 1 to 8", bits));
  return static_cast<int>(bits);
}

void generate(const Parameters& p, Writer& writer) {
  const int bits = bits_of(p);
  const Shape shape = {p.extent("sets"), p.extent("images"), p.extent("extent"), p.extent("extent"), 3};
  std::vector<float> pictures;
  for (const std::uint8_t value :
       uniform_codes(Philox(p.seed, picture_stream), shape[0] * shape[1] * shape[2] * shape[3] * 3, 8)) {
    pictures.push_back(static_cast<float>(value) / 255.0f);
  }
  writer.array("/pictures", std::span<const float>(pictures), shape);
  const std::vector<LayerSize> layers = sizes(p);
  std::vector<double> use = picture_use(bits);
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const LayerSize& size = layers[i];
    const auto weights = uniform_codes(Philox(p.seed, first_layer_stream + i),
                                       size.outputs * size.kernel * size.kernel * size.channels, 1);
    writer.array(path_of(i, "w_codes"), std::span<const std::uint8_t>(weights),
                 {size.outputs, size.kernel, size.kernel, size.channels});
    if (i + 1 == layers.size()) break;
    std::vector<float> alpha, beta;
    for (const Calibration& each : calibrated_outputs(weights, size.outputs, true, moments_of(use), bits)) {
      alpha.push_back(each.alpha);
      beta.push_back(each.beta);
    }
    writer.array(path_of(i, "alpha"), std::span<const float>(alpha), {size.outputs});
    writer.array(path_of(i, "beta"), std::span<const float>(beta), {size.outputs});
    use = kAlexnetLayers[i].pool ? pooled_use(equal_use(bits)) : equal_use(bits);
  }
}

std::string axis(std::size_t layer, const char* name) {
  return fmt::format("{} {}", kAlexnetLayers[layer].name, name);
}

Extents extents(const Parameters& p) {
  Extents result = {{"set", p.extent("sets")},
                    {"image", p.extent("images")},
                    {"y", p.extent("extent")},
                    {"x", p.extent("extent")},
                    {"colour", 3}};
  const std::vector<LayerSize> layers = sizes(p);
  for (std::size_t i = 0; i < layers.size(); ++i) {
    result[axis(i, "output")] = layers[i].outputs;
    result[axis(i, "kernel_y")] = result[axis(i, "kernel_x")] = layers[i].kernel;
    result[axis(i, "channel")] = layers[i].channels;
  }
  return result;
}

std::vector<ArraySchema> arrays() {
  std::vector<ArraySchema> result = {{.path = "/pictures",
                                      .type = ElementType::f32,
                                      .axes = {"set", "image", "y", "x", "colour"},
                                      .units = "1",
                                      .description = "values of 8 bits, over 255",
                                      .minimum = 0,
                                      .maximum = 1}};
  for (std::size_t i = 0; i < kAlexnetLayers.size(); ++i) {
    result.push_back(
        {.path = path_of(i, "w_codes"),
         .type = ElementType::u8,
         .axes = {axis(i, "output"), axis(i, "kernel_y"), axis(i, "kernel_x"), axis(i, "channel")},
         .units = "1",
         .description = "signs of the weights, 1 is +1",
         .minimum = 0,
         .maximum = 1});
    if (i + 1 == kAlexnetLayers.size()) break;
    for (const char* name : {"alpha", "beta"}) {
      result.push_back({.path = path_of(i, name),
                        .type = ElementType::f32,
                        .axes = {axis(i, "output")},
                        .units = "1",
                        .description = "codes of the next layer are clip(floor(alpha y + beta))"});
    }
  }
  return result;
}

}  // namespace

const Definition low_bit_alexnet_definition = {
    .name = "low_bit_alexnet",
    .title = "AlexNet variant with weights of one bit",
    .theme = "precision",
    .schema_version = 1,
    .generator_version = 1,
    .stands_for =
        "the AlexNet variant of APNN-TC on ImageNet: its layers (the authors' 2_imagenet_alexnet.cu). "
        "Weights are random signs and "
        "pictures noise; each layer's affine map uses the next one's codes about equally, as training does",
    .source = "https://github.com/YukeWang96/APNN-TC-kernel",
    .arrays = arrays(),
    .extents = extents,
    .generate = generate,
    .examples = {low_bit_alexnet(3, 1, 32, 16, 2, 1)},
};

Parameters low_bit_alexnet(int sets, int images, int extent, int divide, int activation_bits,
                           std::uint64_t seed) {
  return {.values = {{"activation_bits", std::to_string(activation_bits)},
                     {"divide", std::to_string(divide)},
                     {"extent", std::to_string(extent)},
                     {"images", std::to_string(images)},
                     {"sets", std::to_string(sets)}},
          .seed = seed};
}

LowBitAlexnet read_low_bit_alexnet(Reader& reader) {
  LowBitAlexnet net{reader.f32("/pictures"), {}};
  for (std::size_t i = 0; i < kAlexnetLayers.size(); ++i) {
    LowBitAlexnet::Layer layer{reader.u8(path_of(i, "w_codes")), {}, {}};
    if (i + 1 < kAlexnetLayers.size()) {
      layer.alpha = reader.f32(path_of(i, "alpha"));
      layer.beta = reader.f32(path_of(i, "beta"));
    }
    net.layers.push_back(std::move(layer));
  }
  return net;
}

}  // namespace remeasure::datasets
