// SPDX-License-Identifier: Apache-2.0
#include "datasets/learning/batch_norm_activations.h"

#include <fmt/format.h>

#include <array>
#include <cmath>

#include "datasets/import/dump.h"
#include "datasets/learning/dense_math.h"
#include "datasets/random.h"
#include "datasets/schema.h"

namespace remeasure::datasets {
namespace {

constexpr std::array kAxes = {"images", "height", "width", "channels"};

enum Stream : std::uint64_t { mean_stream = 1, scale_stream = 2, first_batch_stream = 16 };
enum BatchStream : std::uint64_t { field_stream, offset_stream, gradient_stream, streams_of_batch };

Philox stream_of(std::uint64_t seed, std::uint64_t batch, BatchStream which) {
  return Philox(seed, first_batch_stream + streams_of_batch * batch + which);
}

void draw_channels(Activations& a, std::uint64_t seed) {
  const Philox means(seed, mean_stream), scales(seed, scale_stream);
  const double spread = std::sqrt(1 + a.law.offset * a.law.offset);
  for (std::size_t c = 0; c < static_cast<std::size_t>(a.channels); ++c) {
    const double scale = portable_exp(0.5 * scales.normal(c));
    a.mean.push_back(static_cast<float>(scale * means.normal(c)));
    a.deviation.push_back(static_cast<float>(scale * spread));
  }
}

/// Autoregression along a row, then of each row on the one above: rho^(|dy| + |dx|) exactly.
void draw_values(Activations& a, std::uint64_t seed, std::uint64_t batch, bool with_gradient) {
  const auto channels = static_cast<std::size_t>(a.channels), width = static_cast<std::size_t>(a.width);
  const auto height = static_cast<std::size_t>(a.height), images = static_cast<std::size_t>(a.images);
  const Philox noise = stream_of(seed, batch, field_stream), offsets = stream_of(seed, batch, offset_stream),
               gradients = stream_of(seed, batch, gradient_stream);
  const double rho = a.law.rho, fresh = std::sqrt(1 - rho * rho);
  const double spread = std::sqrt(1 + a.law.offset * a.law.offset);
  a.x.resize(images * height * width * channels);
  if (with_gradient) a.gradient.resize(a.x.size());
  std::vector<double> field(width * channels), along(channels), offset(channels);
  std::size_t i = 0;
  for (std::size_t image = 0; image < images; ++image) {
    for (std::size_t c = 0; c < channels; ++c)
      offset[c] = a.law.offset * offsets.normal(image * channels + c);
    for (std::size_t y = 0; y < height; ++y) {
      for (std::size_t x = 0; x < width; ++x) {
        for (std::size_t c = 0; c < channels; ++c, ++i) {
          const double z = noise.normal(i);
          along[c] = x == 0 ? z : rho * along[c] + fresh * z;
          double& f = field[x * channels + c];
          f = y == 0 ? along[c] : rho * f + fresh * along[c];
          const double standard = (offset[c] + f) / spread;
          a.x[i] = static_cast<float>(static_cast<double>(a.mean[c]) +
                                      static_cast<double>(a.deviation[c]) * standard);
          if (with_gradient)
            a.gradient[i] = static_cast<float>(0.5 * gradients.normal(i) + 0.25 + 0.25 * standard);
        }
      }
    }
  }
}

void write(Writer& writer, const Parameters& parameters, const Activations& a) {
  const Shape shape = shape_of(parameters, kAxes);
  writer.array("/x", a.x, shape);
  writer.array("/gradient", a.gradient, shape);
  writer.array("/mean", a.mean, {shape[3]});
  writer.array("/deviation", a.deviation, {shape[3]});
}

ActivationLaw law_of(const Parameters& parameters) {
  const ActivationLaw law{parameters.real("rho"), parameters.real("offset")};
  if (!(law.rho >= 0 && law.rho < 1) || !(law.offset >= 0 && law.offset <= 10)) {
    throw DatasetError(
        fmt::format("batch_norm_activations: rho is {} and offset {}; they must be in [0, 1) and [0, 10]",
                    law.rho, law.offset));
  }
  return law;
}

Activations empty(const Parameters& parameters) {
  const Shape shape = shape_of(parameters, kAxes);
  const auto extent = [&](std::size_t axis) { return static_cast<int>(shape[axis]); };
  return {.images = extent(0),
          .height = extent(1),
          .width = extent(2),
          .channels = extent(3),
          .law = law_of(parameters),
          .x = {},
          .gradient = {},
          .mean = {},
          .deviation = {}};
}

void generate(const Parameters& parameters, Writer& writer) {
  Activations a = empty(parameters);
  draw_channels(a, parameters.seed);
  draw_values(a, parameters.seed, 0, true);
  write(writer, parameters, a);
}

/// From frameworks' order, a map after another, to channels last.
std::vector<float> channels_last(const Activations& a, const std::vector<float>& maps) {
  const auto pixels = static_cast<std::size_t>(a.height) * static_cast<std::size_t>(a.width);
  const auto channels = static_cast<std::size_t>(a.channels);
  std::vector<float> result(maps.size());
  for (std::size_t map = 0; map < maps.size() / pixels; ++map) {
    const std::size_t image = map / channels, c = map % channels;
    for (std::size_t p = 0; p < pixels; ++p)
      result[(image * pixels + p) * channels + c] = maps[map * pixels + p];
  }
  return result;
}

void import(const std::filesystem::path& source, const Parameters& parameters, Writer& writer) {
  Activations a = empty(parameters);
  const Shape shape = shape_of(parameters, kAxes), maps = {shape[0], shape[3], shape[1], shape[2]};
  const char* const axes = "images, channels, height, width";
  a.x = channels_last(a, read_dump(source, "x", maps, axes));
  a.gradient = channels_last(a, read_dump(source, "g", maps, axes));
  const auto channels = static_cast<std::size_t>(a.channels);
  for (std::size_t c = 0; c < channels; ++c) {
    double sum = 0, squares = 0;
    for (std::size_t i = c; i < a.x.size(); i += channels) sum += static_cast<double>(a.x[i]);
    const std::size_t rows = a.x.size() / channels;
    const double count = static_cast<double>(rows), mean = sum / count;
    for (std::size_t i = c; i < a.x.size(); i += channels) {
      const double d = static_cast<double>(a.x[i]) - mean;
      squares += d * d;
    }
    a.mean.push_back(static_cast<float>(mean));
    a.deviation.push_back(static_cast<float>(std::sqrt(squares / count)));
  }
  write(writer, parameters, a);
}

ArraySchema of_pixels(const char* path, const char* description) {
  return {.path = path, .axes = {kAxes.begin(), kAxes.end()}, .description = description};
}

}  // namespace

double ActivationLaw::correlation(int dy, int dx) const {
  const double between = offset * offset;
  double field = 1;
  for (int i = 0; i < std::abs(dy) + std::abs(dx); ++i) field *= rho;
  return (field + between) / (1 + between);
}

const Definition batch_norm_activations_definition = {
    .name = "batch_norm_activations",
    .title = "Activations and gradients of a batch normalisation layer",
    .theme = "learning",
    .schema_version = 1,
    .generator_version = 1,
    .stands_for =
        "outputs of a ResNet's convolutions on CIFAR or ImageNet: neighbouring pixels of a map are "
        "alike, maps of different images differ in their means",
    .source = "https://arxiv.org/abs/1810.10962 (the paper's argument; it publishes no activations)",
    .arrays = {of_pixels("/x", "activations before the layer"),
               of_pixels("/gradient", "of the loss by the layer's output"),
               {.path = "/mean", .axes = {"channels"}, .description = "expected value of a channel"},
               {.path = "/deviation",
                .axes = {"channels"},
                .description = "standard deviation of a channel over images and pixels",
                .minimum = 0}},
    .extents = [](const Parameters& p) { return extents_of(p, kAxes); },
    .generate = generate,
    .import = import,
    .import_help =
        "dumps of one layer, float32 [images, channels, height, width] as frameworks have them: "
        "an HDF5 file with /x and /g, or a folder with x.npy and g.npy; rho and offset are "
        "names only then",
    .examples = {batch_norm_activations(16, 16, 16, 8, {}, 1)},
};

Parameters batch_norm_activations(int images, int height, int width, int channels, const ActivationLaw& law,
                                  std::uint64_t seed) {
  return parameters({{"channels", channels},
                     {"height", height},
                     {"images", images},
                     {"offset", law.offset},
                     {"rho", law.rho},
                     {"width", width}},
                    seed);
}

Activations read_batch_norm_activations(Reader& reader) {
  const Shape shape = reader.shape("/x");
  return {.images = static_cast<int>(shape[0]),
          .height = static_cast<int>(shape[1]),
          .width = static_cast<int>(shape[2]),
          .channels = static_cast<int>(shape[3]),
          .law = {std::stod(reader.text("param_rho")), std::stod(reader.text("param_offset"))},
          .x = reader.f32("/x"),
          .gradient = reader.f32("/gradient"),
          .mean = reader.f32("/mean"),
          .deviation = reader.f32("/deviation")};
}

Activations activation_batch(int images, int height, int width, int channels, const ActivationLaw& law,
                             std::uint64_t seed, std::uint64_t batch, bool with_gradient) {
  Activations a = empty(batch_norm_activations(images, height, width, channels, law, seed));
  draw_channels(a, seed);
  draw_values(a, seed, batch, with_gradient);
  return a;
}

}  // namespace remeasure::datasets
