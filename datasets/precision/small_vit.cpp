// SPDX-License-Identifier: Apache-2.0
#include "datasets/precision/small_vit.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string>

#include "datasets/import/npy.h"
#include "datasets/learning/transformer_training.h"
#include "datasets/precision/timm_weights.h"
#include "datasets/random.h"

namespace remeasure::datasets {
namespace {

constexpr int kClasses = 10;
constexpr double kNoise = 0.05;    // of a pixel, where colours lie in [0, 1]
constexpr double kContrast = 0.4;  // between the colours, at least, in one channel
constexpr int kUniforms = 16;      // of an image, before its noise
constexpr float kUnit = 64;        // pixels are (value - 127.5) / unit

enum Stream : std::uint64_t { image_stream = 1, noise_stream = 2 };

double magnitude(double x) {
  return x < 0 ? -x : x;
}
double within(bool inside) {
  return inside ? 1.0 : 0.0;
}

/// How much of the second colour a pixel has; u and v from -1 to 1, `r` random numbers of the image.
double pattern(int of_class, double u, double v, const std::array<double, kUniforms>& r) {
  const double frequency = 2.5 + 3 * r[0], phase = 2 * r[1];
  const double x = u - (r[2] - 0.5), y = v - (r[3] - 0.5), size = 0.35 + 0.3 * r[4];
  const auto stripes = [&](double along) { return 0.5 + 0.5 * portable_cospi(frequency * along + phase); };
  const double square = x * x + y * y, reach = std::max(magnitude(x), magnitude(y));
  switch (of_class) {
    case 0:
      return stripes(v);
    case 1:
      return stripes(u);
    case 2:
      return stripes(0.7071 * (u + v));
    case 3:
      return stripes(0.7071 * (u - v));
    case 4:
      return within((portable_cospi(0.8 * frequency * u + phase) > 0) ==
                    (portable_cospi(0.8 * frequency * v + phase) > 0));
    case 5:
      return within(square < size * size);
    case 6:
      return within(square < size * size && square > 0.45 * size * size);
    case 7:
      return within(reach < 0.9 * size);
    case 8:
      return within(reach < 1.2 * size && std::min(magnitude(x), magnitude(y)) < 0.3 * size);
    default:
      return within(portable_cospi(frequency * u + phase) * portable_cospi(frequency * v + 2 * r[5]) > 0.5);
  }
}

struct Images {
  std::vector<std::uint8_t> pixels;  // [image, side, side, 3]
  std::vector<std::uint8_t> label;
};

Images make_images(std::uint64_t seed, std::size_t first, std::size_t count, int side) {
  const Philox random(seed, image_stream), noise(seed, noise_stream);
  const auto pixels = static_cast<std::size_t>(side) * static_cast<std::size_t>(side) * 3;
  Images images;
  images.pixels.reserve(count * pixels);
  for (std::size_t image = first; image < first + count; ++image) {
    const int of_class = static_cast<int>(random.integer(image * (kUniforms + 1), kClasses));
    std::array<double, kUniforms> r{};
    for (std::size_t i = 0; i < kUniforms; ++i) r[i] = random.uniform(image * (kUniforms + 1) + 1 + i);
    double ground[3], figure[3];
    const auto strong = static_cast<std::size_t>(3 * r[6]);
    for (std::size_t c = 0; c < 3; ++c) {
      ground[c] = 0.3 + 0.4 * r[7 + c];
      const double difference = (c == strong ? kContrast : 0.0) + 0.12 * r[10 + c];
      figure[c] = ground[c] + (r[13] < 0.5 ? -difference : difference);
    }
    for (int py = 0; py < side; ++py) {
      for (int px = 0; px < side; ++px) {
        const double u = (2.0 * px + 1) / side - 1, v = (2.0 * py + 1) / side - 1;
        const double share = pattern(of_class, u, v, r);
        // The sum of four uniform numbers of 16 bits is near enough to a normal one, and one draw of bits
        // makes it.
        for (std::size_t c = 0; c < 3; ++c) {
          const std::uint64_t bits = noise.bits(image * pixels + images.pixels.size() % pixels);
          double sum = -2;
          for (int part = 0; part < 4; ++part)
            sum += static_cast<double>(bits >> (16 * part) & 0xffff) / 65536;
          const double value = ground[c] + share * (figure[c] - ground[c]) + kNoise * 1.7320508 * sum;
          images.pixels.push_back(static_cast<std::uint8_t>(std::clamp(255 * value + 0.5, 0.0, 255.0)));
        }
      }
    }
    images.label.push_back(static_cast<std::uint8_t>(of_class));
  }
  return images;
}

/// [images, side, side, 3] to [images, tokens, patch, patch, 3], normalised.
std::vector<float> patches_of(const std::vector<std::uint8_t>& pixels, int side, int patch,
                              float unit = kUnit) {
  const std::size_t s = static_cast<std::size_t>(side), p = static_cast<std::size_t>(patch), across = s / p;
  std::vector<float> patches;
  patches.reserve(pixels.size());
  for (std::size_t image = 0; image < pixels.size() / (s * s * 3); ++image) {
    for (std::size_t token = 0; token < across * across; ++token) {
      for (std::size_t y = 0; y < p; ++y) {
        const std::size_t row = token / across * p + y, column = token % across * p;
        const std::uint8_t* from = pixels.data() + ((image * s + row) * s + column) * 3;
        for (std::size_t i = 0; i < 3 * p; ++i)
          patches.push_back((static_cast<float>(from[i]) - 127.5f) * (1 / unit));
      }
    }
  }
  return patches;
}

SmallVitChoice choice_of(const Parameters& parameters) {
  const auto number = [&](const char* name, std::int64_t least, std::int64_t most) {
    const std::int64_t value = parameters.integer(name);
    if (value < least || value > most) {
      throw DatasetError(
          fmt::format("small_vit: {} is {}; it must be from {} to {}", name, value, least, most));
    }
    return static_cast<int>(value);
  };
  SmallVitChoice c;
  c.side = number("side", 4, 256);
  c.patch = number("patch", 1, c.side);
  c.dim = number("dim", 4, 1024);
  c.heads = number("heads", 1, c.dim);
  c.layers = number("layers", 1, 24);
  c.train = number("train", 16, 1'000'000);
  c.epochs = number("epochs", 0, 1000);
  c.calibration = number("calibration", 1, 1024);
  c.test = number("test", 1, 100'000);
  if (parameters.values.contains("classes")) c.classes = number("classes", 2, 65'536);
  if (c.side % c.patch != 0 || c.dim % c.heads != 0) {
    throw DatasetError(fmt::format("small_vit: patch ({}) must divide side ({}), heads ({}) dim ({})",
                                   c.patch, c.side, c.heads, c.dim));
  }
  return c;
}

TransformerShape shape_of(const SmallVitChoice& c) {
  const int across = c.side / c.patch;
  return {.tokens = across * across,
          .inputs = 3 * c.patch * c.patch,
          .dim = c.dim,
          .heads = c.heads,
          .layers = c.layers,
          .mlp = 4 * c.dim,
          .classes = c.classes};
}

std::vector<std::uint16_t> wide(const std::vector<std::uint8_t>& labels) {
  return {labels.begin(), labels.end()};
}

void generate(const Parameters& parameters, Writer& writer) {
  const SmallVitChoice c = choice_of(parameters);
  if (c.classes != kClasses) throw DatasetError("small_vit: generated images have 10 classes");
  const TransformerShape shape = shape_of(c);
  const auto side = static_cast<std::uint64_t>(c.side), train = static_cast<std::size_t>(c.train);
  const auto calibration = static_cast<std::size_t>(c.calibration), test = static_cast<std::size_t>(c.test);
  std::vector<float> weights;
  {
    const Images images = make_images(parameters.seed, 0, train, c.side);
    std::vector<double> losses;
    weights = train_transformer(
        shape, {.epochs = c.epochs, .batch = 16, .learning_rate = 4e-3, .seed = parameters.seed},
        patches_of(images.pixels, c.side, c.patch), wide(images.label), &losses);
    if (!losses.empty()) writer.attribute("training_loss", losses.back());
  }
  const Images calibrating = make_images(parameters.seed, train, calibration, c.side);
  const Images testing = make_images(parameters.seed, train + calibration, test, c.side);
  writer.array("/weights", weights, {weights.size()});
  writer.array("/calibration/image", std::span<const std::uint8_t>(calibrating.pixels),
               {calibration, side, side, 3});
  writer.array("/calibration/label", std::span<const std::uint16_t>(wide(calibrating.label)), {calibration});
  writer.array("/test/image", std::span<const std::uint8_t>(testing.pixels), {test, side, side, 3});
  writer.array("/test/label", std::span<const std::uint16_t>(wide(testing.label)), {test});
  writer.attribute(
      "test_accuracy",
      transformer_accuracy(shape, weights, patches_of(testing.pixels, c.side, c.patch), wide(testing.label)));
  writer.attribute("pixel_unit", static_cast<double>(kUnit));
  writer.attribute("classes", kClasses);
}

void import(const std::filesystem::path& source, const Parameters& parameters, Writer& writer) {
  const SmallVitChoice c = choice_of(parameters);
  const TransformerShape shape = shape_of(c);
  const auto side = static_cast<std::uint64_t>(c.side);
  const std::vector<float> weights = timm_weights(source / "weights.npz", shape, c.patch);
  writer.array("/weights", weights, {weights.size()});
  constexpr float kTimmUnit = 127.5f;  // mean and deviation 0.5, as timm's ViTs of augreg are trained
  for (const auto& [part, images] : {std::pair{"calibration", c.calibration}, std::pair{"test", c.test}}) {
    const auto count = static_cast<std::uint64_t>(images);
    const NpyArray image = read_npy(source / fmt::format("{}_image.npy", part)),
                   label = read_npy(source / fmt::format("{}_label.npy", part));
    if (image.type != ElementType::u8 || image.shape != Shape{count, side, side, 3} ||
        label.shape != Shape{count}) {
      throw DatasetError(fmt::format(
          "{}: {}_image is {} {} and {}_label {}; the parameters ask for uint8 [{}, {}, {}, 3] and [{}]",
          source.string(), part, to_string(image.type), to_string(image.shape), part, to_string(label.shape),
          count, side, side, count));
    }
    std::vector<std::uint16_t> labels;
    for (const std::int32_t each : label.as_i32()) {
      if (each < 0 || each >= c.classes)
        throw DatasetError(fmt::format("{}: label {} of {} classes", label.file.string(), each, c.classes));
      labels.push_back(static_cast<std::uint16_t>(each));
    }
    std::vector<std::uint8_t> pixels(image.data.size());
    std::transform(image.data.begin(), image.data.end(), pixels.begin(),
                   [](std::byte b) { return std::to_integer<std::uint8_t>(b); });
    writer.array(fmt::format("/{}/image", part), std::span<const std::uint8_t>(pixels),
                 {count, side, side, 3});
    writer.array(fmt::format("/{}/label", part), std::span<const std::uint16_t>(labels), {count});
    if (part == std::string("test")) {
      writer.attribute(
          "test_accuracy",
          transformer_accuracy(shape, weights, patches_of(pixels, c.side, c.patch, kTimmUnit), labels));
    }
  }
  writer.attribute("pixel_unit", static_cast<double>(kTimmUnit));
  writer.attribute("classes", c.classes);
}

Extents extents(const Parameters& parameters) {
  const SmallVitChoice c = choice_of(parameters);
  const auto side = static_cast<std::uint64_t>(c.side);
  return {{"weight", weight_count(shape_of(c))},
          {"calibration", static_cast<std::uint64_t>(c.calibration)},
          {"test", static_cast<std::uint64_t>(c.test)},
          {"y", side},
          {"x", side},
          {"channel", 3}};
}

}  // namespace

const Definition small_vit_definition = {
    .name = "small_vit",
    .title = "A small vision transformer with its images",
    .theme = "precision",
    .schema_version = 2,
    .generator_version = 2,
    .stands_for =
        "ViT or DeiT with ImageNet: norms first, class token, GELU, trained to where it errs on some test "
        "images, so that quantisation can be seen in its accuracy",
    .source = "https://github.com/huggingface/pytorch-image-models",
    .arrays = {{.path = "/weights",
                .type = ElementType::f32,
                .axes = {"weight"},
                .description = "all weights, in the order of weight_slices"},
               {.path = "/calibration/image",
                .type = ElementType::u8,
                .axes = {"calibration", "y", "x", "channel"},
                .description = "RGB"},
               {.path = "/calibration/label",
                .type = ElementType::u16,
                .axes = {"calibration"},
                .description = "class"},
               {.path = "/test/image",
                .type = ElementType::u8,
                .axes = {"test", "y", "x", "channel"},
                .description = "RGB"},
               {.path = "/test/label", .type = ElementType::u16, .axes = {"test"}, .description = "class"}},
    .extents = extents,
    .generate = generate,
    .import = import,
    .import_help =
        "a folder of weights.npz (numpy.savez of the state dict of a ViT of timm, names as in "
        "vit_small_patch16_224) and of calibration_image, calibration_label, test_image and test_label .npy: "
        "RGB uint8 [image, side, side, 3], resized and cropped; integer classes",
    .examples = {small_vit(kSmokeVit, 1)},
};

Parameters small_vit(const SmallVitChoice& c, std::uint64_t seed) {
  Parameters parameters{.values = {}, .seed = seed};
  for (const auto& [name, value] : {std::pair{"side", c.side},
                                    {"patch", c.patch},
                                    {"dim", c.dim},
                                    {"heads", c.heads},
                                    {"layers", c.layers},
                                    {"train", c.train},
                                    {"epochs", c.epochs},
                                    {"calibration", c.calibration},
                                    {"test", c.test}}) {
    parameters.values[name] = std::to_string(value);
  }
  if (c.classes != kClasses) parameters.values["classes"] = std::to_string(c.classes);
  return parameters;
}

SmallVit read_small_vit(Reader& reader) {
  const auto parameter = [&](const char* name) {
    return std::stoi(reader.text(std::string("param_") + name));
  };
  SmallVitChoice c{.side = parameter("side"),
                   .patch = parameter("patch"),
                   .dim = parameter("dim"),
                   .heads = parameter("heads"),
                   .layers = parameter("layers")};
  c.classes = static_cast<int>(reader.number("classes"));
  const auto unit = static_cast<float>(reader.number("pixel_unit"));
  SmallVit vit;
  vit.weights = reader.f32("/weights");
  vit.shape = shape_of(c);
  vit.calibration = patches_of(reader.u8("/calibration/image"), c.side, c.patch, unit);
  vit.test = patches_of(reader.u8("/test/image"), c.side, c.patch, unit);
  vit.calibration_label = reader.u16("/calibration/label");
  vit.test_label = reader.u16("/test/label");
  vit.trained_accuracy = reader.number("test_accuracy");
  return vit;
}

}  // namespace remeasure::datasets
