// SPDX-License-Identifier: Apache-2.0
#include "datasets/learning/gabor_classes.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <span>

#include "datasets/import/cifar.h"
#include "datasets/learning/dense_math.h"
#include "datasets/random.h"
#include "datasets/schema.h"

namespace remeasure::datasets {
namespace {

constexpr std::size_t kPatches = 40, kPatchesOfClass = 3, kColours = 3;

enum Stream : std::uint64_t { patch_stream = 1, class_stream, train_stream, test_stream, noise_stream };

struct Patch {
  double across, along;  ///< cosine and sine of the orientation
  double frequency;      ///< cycles per pixel
  double phase;          ///< in half turns
  std::array<double, kColours> colour;
};

struct Placed {
  std::size_t patch;
  double y, x;
};
using Template = std::array<Placed, kPatchesOfClass>;

struct Extent {
  std::size_t classes, train, test, side;
  double noise;
};

Extent extent_of(const Parameters& p) {
  const auto number = [&](const char* name, std::int64_t least, std::int64_t most) {
    const std::int64_t value = p.integer(name);
    if (value < least || value > most) {
      throw DatasetError(
          fmt::format("gabor_classes: {} is {}; it must be from {} to {}", name, value, least, most));
    }
    return static_cast<std::size_t>(value);
  };
  const Extent extent{number("classes", 2, 256), number("train", 1, 100'000), number("test", 1, 100'000),
                      number("side", 8, 256), p.real("noise")};
  if (!(extent.noise >= 0 && extent.noise <= 100))
    throw DatasetError(fmt::format("gabor_classes: noise is {}; it must be from 0 to 100", extent.noise));
  return extent;
}

std::vector<Patch> draw_patches(std::uint64_t seed, std::size_t side) {
  const Philox random(seed, patch_stream);
  std::uint64_t next = 0;
  std::vector<Patch> patches(kPatches);
  for (Patch& patch : patches) {
    const double angle = random.uniform(next++);  // of half a turn
    patch.across = portable_cospi(angle);
    patch.along = portable_cospi(angle - 0.5);
    patch.frequency = (0.8 + 2.4 * random.uniform(next++)) * 2 / static_cast<double>(side);
    patch.phase = 2 * random.uniform(next++);
    double squares = 0;
    for (double& value : patch.colour) {
      value = random.normal(next++);
      squares += value * value;
    }
    for (double& value : patch.colour) value *= std::sqrt(3 / squares);
  }
  return patches;
}

std::vector<Template> draw_templates(std::uint64_t seed, const Extent& extent) {
  const Philox random(seed, class_stream);
  std::uint64_t next = 0;
  std::vector<Template> templates(extent.classes);
  const auto side = static_cast<double>(extent.side);
  for (Template& one : templates) {
    for (Placed& placed : one) {
      placed.patch = static_cast<std::size_t>(random.integer(next++, kPatches));
      placed.y = side * (0.2 + 0.6 * random.uniform(next++));
      placed.x = side * (0.2 + 0.6 * random.uniform(next++));
    }
  }
  return templates;
}

struct Images {
  std::vector<float> values;
  std::vector<std::uint8_t> labels;
};

class Painter {
 public:
  Painter(const Extent& extent, std::uint64_t seed)
      : extent_(extent),
        patches_(draw_patches(seed, extent.side)),
        templates_(draw_templates(seed, extent)) {}

  Images paint(std::size_t of_class, std::uint64_t seed, Stream stream) const {
    const Philox random(seed, stream), noise(seed, noise_stream + stream);
    const std::size_t count = of_class * extent_.classes, plane = extent_.side * extent_.side;
    Images images{std::vector<float>(count * kColours * plane), {}};
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t label = i % extent_.classes;
      images.labels.push_back(static_cast<std::uint8_t>(label));
      float* const image = images.values.data() + i * kColours * plane;
      std::vector<double> sum(kColours * plane, 0.0);
      for (std::size_t k = 0; k < kPatchesOfClass; ++k) {
        const std::uint64_t at = 3 * (i * kPatchesOfClass + k);
        Placed placed = templates_[label][k];
        placed.y += 2 * random.uniform(at) - 1;
        placed.x += 2 * random.uniform(at + 1) - 1;
        add(placed, 0.7 + 0.6 * random.uniform(at + 2), sum);
      }
      for (std::size_t v = 0; v < sum.size(); ++v)
        image[v] = static_cast<float>(sum[v] + extent_.noise * noise.normal(i * sum.size() + v));
    }
    return images;
  }

 private:
  void add(const Placed& placed, double amplitude, std::vector<double>& sum) const {
    const Patch& patch = patches_[placed.patch];
    const double width = static_cast<double>(extent_.side) / 6, plane = 0.5 / (width * width);
    const std::size_t side = extent_.side;
    for (std::size_t y = 0; y < side; ++y) {
      for (std::size_t x = 0; x < side; ++x) {
        const double dy = static_cast<double>(y) - placed.y, dx = static_cast<double>(x) - placed.x;
        const double wave =
            portable_cospi(2 * patch.frequency * (patch.across * dx + patch.along * dy) + patch.phase);
        const double value = amplitude * wave * portable_exp(-(dy * dy + dx * dx) * plane);
        for (std::size_t c = 0; c < kColours; ++c) sum[(c * side + y) * side + x] += value * patch.colour[c];
      }
    }
  }

  Extent extent_;
  std::vector<Patch> patches_;
  std::vector<Template> templates_;
};

void write(Writer& writer, std::size_t side, const Images& train, const Images& test) {
  const auto images = [&](const char* path, const Images& set) {
    writer.array(path, set.values, {set.labels.size(), kColours, side, side});
  };
  images("/x_train", train);
  writer.array("/y_train", std::span<const std::uint8_t>(train.labels), {train.labels.size()});
  images("/x_test", test);
  writer.array("/y_test", std::span<const std::uint8_t>(test.labels), {test.labels.size()});
}

void generate(const Parameters& parameters, Writer& writer) {
  const Extent extent = extent_of(parameters);
  const Painter painter(extent, parameters.seed);
  write(writer, extent.side, painter.paint(extent.train, parameters.seed, train_stream),
        painter.paint(extent.test, parameters.seed, test_stream));
}

/// Appends the first `of_class` pictures of each of the first classes; `found` counts them.
void append_pictures(const std::filesystem::path& file, CifarLabels kind, std::size_t of_class,
                     std::vector<std::size_t>& found, Images& images) {
  for_each_cifar_record(file, kind, [&](std::size_t label, std::span<const std::uint8_t> planes) {
    if (label >= found.size() || found[label] == of_class) return true;
    ++found[label];
    images.labels.push_back(static_cast<std::uint8_t>(label));
    for (const std::uint8_t value : planes)
      images.values.push_back((static_cast<float>(value) / 255.0f - 0.5f) * 4.0f);
    return true;
  });
}

void import(const std::filesystem::path& source, const Parameters& parameters, Writer& writer) {
  const Extent extent = extent_of(parameters);
  if (extent.side != 32)
    throw DatasetError(fmt::format("gabor_classes: CIFAR's images have a side of 32, not {}", extent.side));
  const bool hundred = std::filesystem::exists(source / "train.bin");
  const auto read = [&](std::initializer_list<const char*> files, std::size_t of_class) {
    Images images;
    std::vector<std::size_t> found(extent.classes, 0);
    for (const char* file : files)
      append_pictures(source / file, hundred ? CifarLabels::hundred : CifarLabels::ten, of_class, found,
                      images);
    for (std::size_t c = 0; c < extent.classes; ++c) {
      if (found[c] < of_class) {
        throw DatasetError(fmt::format("{}: {} images of class {}; {} are asked for", source.string(),
                                       found[c], c, of_class));
      }
    }
    return images;
  };
  if (hundred) {
    write(writer, 32, read({"train.bin"}, extent.train), read({"test.bin"}, extent.test));
  } else {
    write(writer, 32,
          read({"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin",
                "data_batch_5.bin"},
               extent.train),
          read({"test_batch.bin"}, extent.test));
  }
}

Extents extents(const Parameters& parameters) {
  const Extent extent = extent_of(parameters);
  return {{"train image", extent.classes * extent.train},
          {"test image", extent.classes * extent.test},
          {"colour", kColours},
          {"row", extent.side},
          {"column", extent.side}};
}

ArraySchema images_of(const char* path, const char* axis) {
  return {
      .path = path, .axes = {axis, "colour", "row", "column"}, .description = "images, a plane per colour"};
}
ArraySchema labels_of(const char* path, const char* axis) {
  return {.path = path, .type = ElementType::u8, .axes = {axis}, .description = "class"};
}

}  // namespace

const Definition gabor_classes_definition = {
    .name = "gabor_classes",
    .title = "Images of classes that share Gabor patches",
    .theme = "learning",
    .schema_version = 1,
    .generator_version = 1,
    .stands_for =
        "CIFAR-10 and CIFAR-100 (32 x 32 x 3, classes that share low-level features), small enough "
        "to train on in seconds",
    .source = "https://www.cs.toronto.edu/~kriz/cifar.html",
    .arrays = {images_of("/x_train", "train image"), labels_of("/y_train", "train image"),
               images_of("/x_test", "test image"), labels_of("/y_test", "test image")},
    .extents = extents,
    .generate = generate,
    .import = import,
    .import_help =
        "a folder with CIFAR-100's train.bin and test.bin (a coarse label, a fine label, 3072 colour values "
        "each) or CIFAR-10's data_batch_1..5.bin and test_batch.bin (a label, 3072 values); side 32; of the "
        "first `classes` labels the first `train` and `test` images each; values become 4 (v / 255 - 1/2)",
    .examples = {gabor_classes(10, 64, 32, 16, 0.5, 1)},
};

Parameters gabor_classes(int classes, int train, int test, int side, double noise, std::uint64_t seed) {
  return parameters(
      {{"classes", classes}, {"noise", noise}, {"side", side}, {"test", test}, {"train", train}}, seed);
}

ImageClasses read_gabor_classes(Reader& reader) {
  const Shape shape = reader.shape("/x_train");
  ImageClasses data{.classes = std::stoi(reader.text("param_classes")),
                    .side = static_cast<int>(shape[2]),
                    .train = reader.f32("/x_train"),
                    .test = reader.f32("/x_test"),
                    .train_label = reader.u8("/y_train"),
                    .test_label = reader.u8("/y_test")};
  for (const std::vector<std::uint8_t>* labels : {&data.train_label, &data.test_label}) {
    for (const std::uint8_t label : *labels) {
      if (label >= data.classes)
        throw DatasetError(
            fmt::format("gabor_classes: label {} of {} classes; make it again", label, data.classes));
    }
  }
  return data;
}

std::vector<float> channels_last(const ImageClasses& data, const std::vector<float>& images) {
  const std::size_t plane = data.image_values() / kColours;
  std::vector<float> result(images.size());
  for (std::size_t begin = 0; begin < images.size(); begin += kColours * plane) {
    for (std::size_t c = 0; c < kColours; ++c) {
      for (std::size_t p = 0; p < plane; ++p)
        result[begin + p * kColours + c] = images[begin + c * plane + p];
    }
  }
  return result;
}

}  // namespace remeasure::datasets
