// SPDX-License-Identifier: Apache-2.0
#include "datasets/precision/low_bit_codes.h"

#include <fmt/format.h>

#include "datasets/import/dump.h"
#include "datasets/precision/low_bit_calibration.h"

namespace remeasure::datasets {
namespace {

enum Stream : std::uint64_t { weight_stream = 1, activation_stream = 2 };

int bits_of(const Parameters& parameters, const char* name) {
  const std::int64_t bits = parameters.integer(name);
  if (bits < 1 || bits > 8)
    throw DatasetError(fmt::format("low_bit_codes: {} is {}; it must be 1 to 8", name, bits));
  return static_cast<int>(bits);
}

struct Signs {
  bool weights, activations;
};
Signs signs_of(const Parameters& parameters) {
  const std::string& encoding = parameters.text("encoding");
  if (encoding != "and" && encoding != "xor" && encoding != "mixed") {
    throw DatasetError(
        fmt::format("low_bit_codes: encoding is '{}'; it must be 'and', 'xor' or 'mixed'", encoding));
  }
  const Signs signs{encoding != "and", encoding == "xor"};
  if ((signs.weights && bits_of(parameters, "weight_bits") != 1) ||
      (signs.activations && bits_of(parameters, "activation_bits") != 1)) {
    throw DatasetError(fmt::format("low_bit_codes: with encoding '{}' signs have 1 bit", encoding));
  }
  return signs;
}

Shape weight_shape(const Parameters& p) {
  return {p.extent("outputs"), p.extent("kernel"), p.extent("kernel"), p.extent("channels")};
}
Shape activation_shape(const Parameters& p) {
  return {p.extent("images"), p.extent("extent"), p.extent("extent"), p.extent("channels")};
}

std::uint64_t elements(const Shape& shape) {
  std::uint64_t product = 1;
  for (const std::uint64_t extent : shape) product *= extent;
  return product;
}

Extents extents(const Parameters& p) {
  return {{"output", p.extent("outputs")},  {"kernel_y", p.extent("kernel")},
          {"kernel_x", p.extent("kernel")}, {"channel", p.extent("channels")},
          {"image", p.extent("images")},    {"y", p.extent("extent")},
          {"x", p.extent("extent")}};
}

void write(const Parameters& p, const std::vector<std::uint8_t>& weights,
           const std::vector<std::uint8_t>& activations, const std::vector<float>& alpha,
           const std::vector<float>& beta, Writer& writer) {
  writer.array("/w_codes", std::span<const std::uint8_t>(weights), weight_shape(p));
  writer.array("/x_codes", std::span<const std::uint8_t>(activations), activation_shape(p));
  writer.array("/alpha", std::span<const float>(alpha), {p.extent("outputs")});
  writer.array("/beta", std::span<const float>(beta), {p.extent("outputs")});
}

void generate(const Parameters& p, Writer& writer) {
  const int weight_bits = bits_of(p, "weight_bits"), activation_bits = bits_of(p, "activation_bits");
  const Signs signs = signs_of(p);
  const auto weights = uniform_codes(Philox(p.seed, weight_stream), elements(weight_shape(p)), weight_bits);
  const auto activations =
      uniform_codes(Philox(p.seed, activation_stream), elements(activation_shape(p)), activation_bits);
  const Moments moments = moments_of(equal_use(activation_bits), signs.activations);
  std::vector<float> alpha, beta;
  for (const Calibration& each :
       calibrated_outputs(weights, p.extent("outputs"), signs.weights, moments, activation_bits)) {
    alpha.push_back(each.alpha);
    beta.push_back(each.beta);
  }
  write(p, weights, activations, alpha, beta, writer);
}

std::vector<std::uint8_t> codes_of_dump(const std::filesystem::path& source, const char* name,
                                        const Shape& shape, const char* axes, int bits) {
  std::vector<std::uint8_t> codes;
  for (const float value : read_dump(source, name, shape, axes)) {
    if (!(value >= 0 && value < static_cast<float>(1 << bits) && value == std::floor(value))) {
      throw DatasetError(fmt::format("{}: '{}' has the value {}, which is no code of {} bits",
                                     source.string(), name, value, bits));
    }
    codes.push_back(static_cast<std::uint8_t>(value));
  }
  return codes;
}

void import(const std::filesystem::path& source, const Parameters& p, Writer& writer) {
  (void)signs_of(p);
  const auto weights = codes_of_dump(source, "w_codes", weight_shape(p), "outputs, kernel, kernel, channels",
                                     bits_of(p, "weight_bits"));
  const auto activations = codes_of_dump(source, "x_codes", activation_shape(p),
                                         "images, extent, extent, channels", bits_of(p, "activation_bits"));
  const Shape outputs = {p.extent("outputs")};
  write(p, weights, activations, read_dump(source, "alpha", outputs, "outputs"),
        read_dump(source, "beta", outputs, "outputs"), writer);
}

ArraySchema codes(const char* path, std::vector<std::string> axes, const char* description) {
  return {.path = path,
          .type = ElementType::u8,
          .axes = std::move(axes),
          .description = description,
          .minimum = 0,
          .maximum = 255};
}
ArraySchema scaling(const char* path, const char* description) {
  return {.path = path, .axes = {"output"}, .description = description};
}

}  // namespace

const Definition low_bit_codes_definition = {
    .name = "low_bit_codes",
    .title = "Weights and activations of a few bits",
    .theme = "precision",
    .schema_version = 1,
    .generator_version = 1,
    .stands_for =
        "a layer of a quantised network (LQ-Nets and the like). Codes uniform, as the authors' benchmarks "
        "draw them; the affine map behind it uses the next layer's codes about equally",
    .source = "https://github.com/YukeWang96/APNN-TC-kernel",
    .arrays = {codes("/w_codes", {"output", "kernel_y", "kernel_x", "channel"}, "weights"),
               codes("/x_codes", {"image", "y", "x", "channel"}, "activations"),
               scaling("/alpha", "scale of the sums, batch norm and quantiser in one"),
               scaling("/beta", "offset of the sums")},
    .extents = extents,
    .generate = generate,
    .import = import,
    .import_help =
        "one layer of a trained network: an HDF5 file with /w_codes [outputs, kernel, kernel, channels], "
        "/x_codes [images, extent, extent, channels], /alpha and /beta [outputs], or a folder with "
        "w_codes.npy, ...; float32, codes as whole numbers",
    .examples =
        {low_bit_codes(
             {.images = 32, .channels = 256, .outputs = 32, .activation_bits = 2, .encoding = "mixed"}, 1),
         low_bit_codes({.extent = 8,
                        .channels = 128,
                        .outputs = 32,
                        .kernel = 3,
                        .activation_bits = 2,
                        .encoding = "mixed"},
                       1)},
};

Parameters low_bit_codes(const LowBitLayerSize& size, std::uint64_t seed) {
  return {.values = {{"activation_bits", std::to_string(size.activation_bits)},
                     {"channels", std::to_string(size.channels)},
                     {"encoding", size.encoding},
                     {"extent", std::to_string(size.extent)},
                     {"images", std::to_string(size.images)},
                     {"kernel", std::to_string(size.kernel)},
                     {"outputs", std::to_string(size.outputs)},
                     {"weight_bits", std::to_string(size.weight_bits)}},
          .seed = seed};
}

LowBitCodesData read_low_bit_codes(Reader& reader) {
  return {reader.u8("/w_codes"), reader.u8("/x_codes"), reader.f32("/alpha"), reader.f32("/beta")};
}

}  // namespace remeasure::datasets
