// SPDX-License-Identifier: Apache-2.0
#include "datasets/convolution/residual_blocks.h"

#include <cmath>
#include <numeric>

#include "datasets/import/dump.h"
#include "datasets/random.h"
#include "datasets/schema.h"

namespace remeasure::datasets {
namespace {

constexpr std::uint64_t kGroup = 8;

/// One array of a file: its name, shape, mean and deviation.
struct Part {
  std::string name;
  Shape shape;
  double mean, deviation;
  const char* axes;  ///< in words, for messages
};

std::vector<Part> parts_of(const Parameters& p) {
  const std::string& block = p.text("block");
  const bool grouped = block == "convfirst", normed = block == "convnext";
  if (!grouped && !normed && block != "mbconv")
    throw DatasetError("residual_blocks: block is '" + block + "'; there are convfirst, mbconv, convnext");
  const std::uint64_t channels = p.extent("channels"), hidden = channels * p.extent("expansion"),
                      kernel = p.extent("kernel"), filtered = block == "mbconv" ? hidden : channels;
  if (grouped && channels % kGroup != 0)
    throw DatasetError("residual_blocks: " + std::to_string(channels) +
                       " channels aren't whole groups of 8; convfirst needs that");
  const auto kaiming = [](std::uint64_t inputs) { return std::sqrt(2 / static_cast<double>(inputs)); };
  const std::uint64_t taps = kernel * kernel;
  std::vector<Part> parts = {
      {"x",
       {p.extent("images"), p.extent("height"), p.extent("width"), channels},
       0,
       1,
       "images, height, width, channels"},
      grouped ? Part{"w0",
                     {channels, kernel, kernel, kGroup},
                     0,
                     kaiming(taps * kGroup),
                     "channels, kernel, kernel, 8"}
              : Part{"dw", {filtered, kernel, kernel}, 0, kaiming(taps), "filtered channels, kernel, kernel"},
      {"b0", {filtered}, 0, 0.1, "filtered channels"},
      {"w1", {hidden, channels}, 0, kaiming(channels), "expansion channels, channels"},
      {"b1", {hidden}, 0, 0.1, "expansion channels"},
      {"w2", {channels, hidden}, 0, kaiming(hidden), "channels, expansion channels"},
      {"b2", {channels}, 0, 0.1, "channels"}};
  if (normed) parts.push_back({"ln", {2, channels}, 0, 0.1, "2, channels"});
  return parts;
}

void generate(const Parameters& parameters, Writer& writer) {
  std::uint64_t stream = 0;
  for (const Part& part : parts_of(parameters)) {
    const Philox random(parameters.seed, ++stream);
    const auto size = static_cast<std::size_t>(
        std::accumulate(part.shape.begin(), part.shape.end(), std::uint64_t{1}, std::multiplies<>()));
    std::vector<float> values(size);
    for (std::size_t i = 0; i < size; ++i) {
      // Gains, the first row of the norm, lie around 1.
      const double mean = part.name == "ln" && i < size / 2 ? 1 : part.mean;
      values[i] = static_cast<float>(mean + part.deviation * random.normal(i));
    }
    writer.array("/" + part.name, std::span<const float>(values), part.shape);
  }
}

void import(const std::filesystem::path& source, const Parameters& parameters, Writer& writer) {
  for (const Part& part : parts_of(parameters)) {
    const std::vector<float> values = read_dump(source, part.name, part.shape, part.axes);
    writer.array("/" + part.name, std::span<const float>(values), part.shape);
  }
}

Extents extents(const Parameters& p) {
  const std::uint64_t channels = p.extent("channels"), hidden = channels * p.extent("expansion");
  return {{"image", p.extent("images")},
          {"row", p.extent("height")},
          {"column", p.extent("width")},
          {"channel", channels},
          {"hidden", hidden},
          {"filtered", p.text("block") == "mbconv" ? hidden : channels},
          {"tap row", p.extent("kernel")},
          {"tap column", p.extent("kernel")},
          {"of group", kGroup},
          {"gain, offset", 2}};
}

ArraySchema array(const char* path, std::vector<std::string> axes, const char* description,
                  bool optional = false) {
  return {.path = path, .axes = std::move(axes), .description = description, .optional = optional};
}

}  // namespace

const Definition residual_blocks_definition = {
    .name = "residual_blocks",
    .title = "A residual block of a convolutional network: activations and weights, channels last",
    .theme = "convolution",
    .schema_version = 1,
    .generator_version = 1,
    .stands_for =
        "a block of ConvFirst, MBConv or ConvNeXt inside a network on ImageNet at 224 x 224: unit-variance "
        "activations, weights as they are initialised, norm folded",
    .source = "https://arxiv.org/abs/2404.03617 (no data published); https://www.image-net.org",
    .arrays = {array("/x", {"image", "row", "column", "channel"}, "input of the block"),
               array("/w0", {"channel", "tap row", "tap column", "of group"}, "convolution in groups of 8",
                     true),
               array("/dw", {"filtered", "tap row", "tap column"}, "depthwise convolution", true),
               array("/b0", {"filtered"}, "bias of the convolution"),
               array("/w1", {"hidden", "channel"}, "dense layer that expands"),
               array("/b1", {"hidden"}, "its bias"),
               array("/w2", {"channel", "hidden"}, "dense layer that projects"),
               array("/b2", {"channel"}, "its bias"),
               array("/ln", {"gain, offset", "channel"}, "layer norm after a depthwise convolution", true)},
    .extents = extents,
    .generate = generate,
    .import = import,
    .import_help =
        "dumps of one block: an HDF5 file with /x, /w0 (convfirst) or /dw (mbconv, convnext), /b0, /w1, /b1, "
        "/w2, /b2, /ln (convnext), or a folder with x.npy and so on; float32, channels last, norm folded "
        "into the layer before it",
    .examples = {residual_blocks({"convfirst", 1, 14, 14, 32, 4, 3}, 1),
                 residual_blocks({"mbconv", 1, 14, 14, 32, 4, 3}, 1),
                 residual_blocks({"convnext", 1, 14, 14, 32, 4, 7}, 1)},
};

Parameters residual_blocks(const ResidualBlockShape& shape, std::uint64_t seed) {
  return parameters({{"block", shape.block},
                     {"channels", shape.channels},
                     {"expansion", shape.expansion},
                     {"height", shape.height},
                     {"images", shape.images},
                     {"kernel", shape.kernel},
                     {"width", shape.width}},
                    seed);
}

ResidualBlock read_residual_block(Reader& reader) {
  return {reader.f32("/x"),  reader.f32(reader.has("/w0") ? "/w0" : "/dw"),
          reader.f32("/b0"), reader.f32("/w1"),
          reader.f32("/b1"), reader.f32("/w2"),
          reader.f32("/b2"), reader.has("/ln") ? reader.f32("/ln") : std::vector<float>()};
}

}  // namespace remeasure::datasets
