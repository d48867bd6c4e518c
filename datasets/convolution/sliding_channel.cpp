// SPDX-License-Identifier: Apache-2.0
#include "datasets/convolution/sliding_channel.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "datasets/import/cifar.h"
#include "datasets/random.h"
#include "datasets/schema.h"

namespace remeasure::datasets {
namespace {

enum Stream : std::uint64_t {
  activation,
  weight_stream,
  depthwise_stream,
  depthwise_bias_stream,
  bias_stream,
  gradient,
  first_layer
};

constexpr double kBias = 0.1;

struct Extent {
  std::size_t batch, inputs, outputs, height, width;
};

Extent extent_of(const Parameters& p) {
  const auto number = [&](const char* name, std::uint64_t most) {
    const std::uint64_t value = p.extent(name);
    if (value > most)
      throw DatasetError(fmt::format("sliding_channel: {} is {}; it must be at most {}", name, value, most));
    return static_cast<std::size_t>(value);
  };
  return {number("batch", 4096), number("inputs", 8192), number("outputs", 8192), number("height", 512),
          number("width", 512)};
}

template <class Value>
std::vector<float> filled(std::size_t size, const Value& value) {
  std::vector<float> values(size);
  for (std::size_t i = 0; i < size; ++i) values[i] = static_cast<float>(value(i));
  return values;
}

std::vector<float> normal(std::size_t size, std::uint64_t seed, std::uint64_t stream, double scale) {
  const Philox random(seed, stream);
  return filled(size, [&](std::size_t i) { return scale * random.normal(i); });
}
std::vector<float> uniform(std::size_t size, std::uint64_t seed, std::uint64_t stream, double bound) {
  const Philox random(seed, stream);
  return filled(size, [&](std::size_t i) { return bound * (2 * random.uniform(i) - 1); });
}

void write(const Parameters& p, Writer& out, const std::vector<float>& x) {
  const auto [batch, inputs, outputs, height, width] = extent_of(p);
  out.array("/x", std::span<const float>(x), {batch, inputs, height, width});
  out.array("/weight", uniform(outputs * inputs, p.seed, weight_stream, 1), {outputs, inputs});
  out.array("/depthwise", uniform(inputs * 9, p.seed, depthwise_stream, 1.0 / 3), {inputs, 3, 3});
  out.array("/depthwise_bias", normal(inputs, p.seed, depthwise_bias_stream, kBias), {inputs});
  out.array("/bias", normal(outputs, p.seed, bias_stream, kBias), {outputs});
  out.array("/dy", normal(batch * outputs * height * width, p.seed, gradient, 1),
            {batch, outputs, height, width});
  const auto zeros = static_cast<double>(std::count(x.begin(), x.end(), 0.0f));
  out.attribute("zero_share", zeros / static_cast<double>(x.size()));
}

void generate(const Parameters& p, Writer& out) {
  const Extent extent = extent_of(p);
  const Philox random(p.seed, activation);
  // The half of the numbers that would be zero needs no quantile.
  write(p, out, filled(extent.batch * extent.inputs * extent.height * extent.width, [&](std::size_t i) {
          const double u = random.uniform(i);
          return u <= 0.5 ? 0.0 : inverse_normal(u);
        }));
}

/// A random convolution 3 -> inputs, 3x3, pad 1, without bias, of deviation sqrt(2 / 27) (He's), on pictures
/// scaled to [-1, 1]; ReLU; means over squares. In float and in one order: no fused multiply-adds in this
/// room.
std::vector<float> first_layer_of(const Cifar10& pictures, const Extent& extent, std::uint64_t seed) {
  const std::size_t side = Cifar10::kSide, square = side / extent.height;
  const std::vector<float> kernel = normal(extent.inputs * 27, seed, first_layer, std::sqrt(2.0 / 27));
  std::vector<float> x(extent.batch * extent.inputs * extent.height * extent.width, 0.0f);
  const std::size_t stride = side + 2;  // with a border of zeros
  for (std::size_t image = 0; image < extent.batch; ++image) {
    std::vector<float> padded(3 * stride * stride, 0.0f);
    for (std::size_t c = 0; c < 3; ++c) {
      for (std::size_t i = 0; i < side * side; ++i) {
        padded[(c * stride + i / side + 1) * stride + i % side + 1] =
            static_cast<float>(pictures.image[(image * 3 + c) * side * side + i]) / 127.5f - 1.0f;
      }
    }
    for (std::size_t channel = 0; channel < extent.inputs; ++channel) {
      std::array<float, Cifar10::kSide * Cifar10::kSide> sums{};
      for (std::size_t tap = 0; tap < 27; ++tap) {
        const float factor = kernel[channel * 27 + tap];
        const float* from = padded.data() + (tap / 9 * stride + tap % 9 / 3) * stride + tap % 3;
        for (std::size_t row = 0; row < side; ++row) {
          for (std::size_t column = 0; column < side; ++column)
            sums[row * side + column] += factor * from[row * stride + column];
        }
      }
      float* to = x.data() + (image * extent.inputs + channel) * extent.height * extent.width;
      for (std::size_t i = 0; i < side * side; ++i) {
        to[i / side / square * extent.width + i % side / square] +=
            std::max(sums[i], 0.0f) / static_cast<float>(square * square);
      }
    }
  }
  return x;
}

void import_cifar(const std::filesystem::path& source, const Parameters& p, Writer& out) {
  const Extent extent = extent_of(p);
  if (extent.height != extent.width || Cifar10::kSide % extent.height != 0) {
    throw DatasetError(
        fmt::format("sliding_channel: {} x {} pixels can't be made of CIFAR-10's 32 x 32; height "
                    "and width must be the same divisor of 32",
                    extent.height, extent.width));
  }
  write(p, out, first_layer_of(read_cifar10(source, extent.batch), extent, p.seed));
}

Extents extents(const Parameters& p) {
  const Extent extent = extent_of(p);
  return {{"image", extent.batch}, {"input", extent.inputs}, {"output", extent.outputs},
          {"row", extent.height},  {"column", extent.width}, {"kernel row", 3},
          {"kernel column", 3}};
}

}  // namespace

const Definition sliding_channel_definition = {
    .name = "sliding_channel",
    .title = "Layers for sliding-channel convolution",
    .theme = "convolution",
    .schema_version = 1,
    .generator_version = 1,
    .stands_for =
        "Activations inside of VGG, MobileNet and ResNet on CIFAR-10 and ImageNet: half of x is zero, as "
        "after a ReLU, the rest half-normal; neighbouring pixels and channels are independent, which "
        "no operation here looks at",
    .source = "https://www.cs.toronto.edu/~kriz/cifar.html",
    .arrays = {{.path = "/x",
                .axes = {"image", "input", "row", "column"},
                .description = "max(N(0, 1), 0)",
                .minimum = 0},
               {.path = "/weight",
                .axes = {"output", "input"},
                .description = "uniform in (-1, 1); windows take the first columns, divided by sqrt(window)",
                .minimum = -1,
                .maximum = 1},
               {.path = "/depthwise",
                .axes = {"input", "kernel row", "kernel column"},
                .description = "uniform in (-1/3, 1/3)"},
               {.path = "/depthwise_bias", .axes = {"input"}, .description = "N(0, 0.01)"},
               {.path = "/bias", .axes = {"output"}, .description = "N(0, 0.01)"},
               {.path = "/dy", .axes = {"image", "output", "row", "column"}, .description = "N(0, 1)"}},
    .extents = extents,
    .generate = generate,
    .import = import_cifar,
    .import_help =
        "a folder with CIFAR-10's binary files (data_batch_1.bin ...: 10000 records of a label and 3072 "
        "bytes), or one such file; the first `batch` pictures; x is what a random first layer makes of "
        "them, height = width a divisor of 32; weights and dy stay generated",
    .examples = {sliding_channel(2, 32, 32, 8, 8, 1)},
};

Parameters sliding_channel(std::size_t batch, std::size_t inputs, std::size_t outputs, std::size_t height,
                           std::size_t width, std::uint64_t seed) {
  return parameters(
      {{"batch", batch}, {"height", height}, {"inputs", inputs}, {"outputs", outputs}, {"width", width}},
      seed);
}

SlidingChannelLayer read_sliding_channel(Reader& reader) {
  const Shape shape = reader.shape("/x");
  return {.batch = shape[0],
          .inputs = shape[1],
          .outputs = reader.shape("/dy")[1],
          .height = shape[2],
          .width = shape[3],
          .x = reader.f32("/x"),
          .unit_weight = reader.f32("/weight"),
          .depthwise = reader.f32("/depthwise"),
          .depthwise_bias = reader.f32("/depthwise_bias"),
          .bias = reader.f32("/bias"),
          .dy = reader.f32("/dy")};
}

std::vector<float> SlidingChannelLayer::weight(std::size_t window) const {
  if (window < 1 || window > inputs)
    throw DatasetError(fmt::format("sliding_channel: a window of {} of {} inputs", window, inputs));
  std::vector<float> result;
  result.reserve(outputs * window);
  const float scale = 1.0f / std::sqrt(static_cast<float>(window));
  for (std::size_t output = 0; output < outputs; ++output) {
    for (std::size_t j = 0; j < window; ++j) result.push_back(scale * unit_weight[output * inputs + j]);
  }
  return result;
}

}  // namespace remeasure::datasets
