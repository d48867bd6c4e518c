// SPDX-License-Identifier: Apache-2.0
#include "datasets/science/vmf_features.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <limits>

#include "datasets/import/npy.h"
#include "datasets/random.h"
#include "datasets/schema.h"

namespace remeasure::datasets {
namespace {

constexpr std::array<double, 3> kResultants = {0.2, 0.5, 0.9};
constexpr std::size_t kClasses = 10;
constexpr std::size_t kPointsPerClass = 5000;  // CIFAR10's training set
constexpr std::size_t kSampled = 1;            // whole vectors are drawn at R = 0.5

double concentration(double resultant, double d) {
  return resultant * (d - resultant * resultant) / (1 - resultant * resultant);
}

/// Numbers of one stream, one after another.
class Draws {
 public:
  Draws(std::uint64_t seed, std::uint64_t stream) : random_(seed, stream) {}
  double uniform() { return random_.uniform(next_++); }
  double normal() { return random_.normal(next_++); }

 private:
  Philox random_;
  std::uint64_t next_ = 0;
};

/// Gamma(shape, 1), shape >= 1/3: Marsaglia and Tsang, "A simple method for generating gamma variables" (TOMS
/// 2000).
double gamma(Draws& draws, double shape) {
  const double d = shape - 1.0 / 3, c = 1 / std::sqrt(9 * d);
  for (;;) {
    const double x = draws.normal();
    const double root = 1 + c * x;
    if (root <= 0) continue;
    const double cube = root * root * root;
    if (portable_log(draws.uniform()) < x * x / 2 + d - d * cube + d * portable_log(cube)) return d * cube;
  }
}

/// Cosine with the mean direction: Wood, "Simulation of the von Mises Fisher distribution" (1994), algorithm
/// VM*.
class CosineSampler {
 public:
  CosineSampler(double d, double kappa) : kappa_(kappa), m_(d - 1) {
    b_ = m_ / (2 * kappa + std::sqrt(4 * kappa * kappa + m_ * m_));
    x0_ = (1 - b_) / (1 + b_);
    c_ = kappa * x0_ + m_ * portable_log(1 - x0_ * x0_);
  }
  double operator()(Draws& draws) const {
    for (;;) {
      const double a = gamma(draws, m_ / 2), b = gamma(draws, m_ / 2);
      const double beta = a / (a + b);
      const double w = (1 - (1 + b_) * beta) / (1 - (1 - b_) * beta);
      if (kappa_ * w + m_ * portable_log(1 - x0_ * w) - c_ >= portable_log(draws.uniform())) return w;
    }
  }

 private:
  double kappa_, m_, b_ = 0, x0_ = 0, c_ = 0;
};

/// A unit vector of normal numbers, in f64.
std::vector<double> direction(Draws& draws, std::size_t d) {
  std::vector<double> values(d);
  double squares = 0;
  for (double& value : values) {
    value = draws.normal();
    squares += value * value;
  }
  for (double& value : values) value /= std::sqrt(squares);
  return values;
}

/// rows vectors w mu + sqrt(1 - w^2) u, u uniform on the unit sphere at right angles to mu.
std::vector<float> whole_vectors(std::size_t rows, std::size_t d, std::uint64_t seed) {
  Draws draws(seed, 1000);
  const CosineSampler cosine(static_cast<double>(d),
                             concentration(kResultants[kSampled], static_cast<double>(d)));
  const std::vector<double> mean = direction(draws, d);
  std::vector<float> result(rows * d);
  for (std::size_t row = 0; row < rows; ++row) {
    const double w = cosine(draws);
    std::vector<double> u = direction(draws, d);
    double along = 0, squares = 0;
    for (std::size_t i = 0; i < d; ++i) along += u[i] * mean[i];
    for (std::size_t i = 0; i < d; ++i) {
      u[i] -= along * mean[i];
      squares += u[i] * u[i];
    }
    const double across = std::sqrt((1 - w * w) / squares);
    for (std::size_t i = 0; i < d; ++i) result[row * d + i] = static_cast<float>(w * mean[i] + across * u[i]);
  }
  return result;
}

void generate(const Parameters& parameters, Writer& writer) {
  const std::size_t d = parameters.extent("d"), rows = parameters.extent("rows");
  std::vector<double> mean_resultant, kappa_true;
  std::vector<std::uint64_t> n;
  for (std::size_t r = 0; r < kResultants.size(); ++r) {
    const double kappa = concentration(kResultants[r], static_cast<double>(d));
    const CosineSampler cosine(static_cast<double>(d), kappa);
    kappa_true.push_back(kappa);
    for (std::size_t c = 0; c < kClasses; ++c) {
      Draws draws(parameters.seed, r * kClasses + c);
      double sum = 0;
      for (std::size_t i = 0; i < kPointsPerClass; ++i) sum += cosine(draws);
      mean_resultant.push_back(sum / static_cast<double>(kPointsPerClass));
      n.push_back(kPointsPerClass);
    }
  }
  writer.array("/vmf/mean_res", mean_resultant, {kResultants.size(), kClasses});
  writer.array("/vmf/n", n, {kResultants.size(), kClasses});
  writer.array("/vmf/kappa_true", kappa_true, {kResultants.size()});
  const std::vector<float> samples = whole_vectors(rows, d, parameters.seed);
  writer.array("/vmf/samples", samples, {rows, d});
  writer.attribute("samples_kappa", kappa_true[kSampled]);
}

/// One row is one image; rows are scaled to unit length, all are one class.
void import_features(const std::filesystem::path& source, const Parameters& parameters, Writer& writer) {
  const std::size_t d = parameters.extent("d"), rows = parameters.extent("rows");
  const NpyArray array = read_npy(source);
  if (array.type != ElementType::f32 || array.shape.size() != 2 || array.shape[1] != d ||
      array.shape[0] < rows || array.shape[0] == 0) {
    throw DatasetError(fmt::format(
        "{}: the array is {} of shape [{}]; expected f32 of [at least {}, {}] (parameters rows, d)",
        source.string(), to_string(array.type), fmt::join(array.shape, ", "), rows, d));
  }
  const auto images = static_cast<std::size_t>(array.shape[0]);
  std::vector<float> features = array.as_f32();
  std::vector<double> mean(d, 0.0);
  for (std::size_t row = 0; row < images; ++row) {
    const std::span<float> feature(features.data() + row * d, d);
    double squares = 0;
    for (const float value : feature) squares += static_cast<double>(value) * static_cast<double>(value);
    if (!(squares > 0) || std::isinf(squares)) {
      throw DatasetError(fmt::format("{}: row {} has length {}; it has no direction", source.string(), row,
                                     std::sqrt(squares)));
    }
    const double scale = 1 / std::sqrt(squares);
    for (std::size_t i = 0; i < d; ++i) {
      feature[i] = static_cast<float>(feature[i] * scale);
      mean[i] += static_cast<double>(feature[i]);
    }
  }
  double squares = 0;
  for (const double value : mean)
    squares += value / static_cast<double>(images) * value / static_cast<double>(images);
  const std::vector<double> mean_resultant = {std::sqrt(squares)};
  const std::vector<double> kappa_true = {std::numeric_limits<double>::quiet_NaN()};
  const std::vector<std::uint64_t> n = {images};
  writer.array("/vmf/mean_res", mean_resultant, {1, 1});
  writer.array("/vmf/n", n, {1, 1});
  writer.array("/vmf/kappa_true", kappa_true, {1});
  writer.array("/vmf/samples", std::span<const float>(features).first(rows * d), {rows, d});
}

Extents extents(const Parameters& parameters) {
  const std::uint64_t d = parameters.extent("d");
  if (d < 3) throw DatasetError(fmt::format("vmf_features: d is {}; it must be at least 3", d));
  return {{"dimension", d}, {"row", parameters.extent("rows")}};
}

ArraySchema array(const char* path, ElementType type, std::vector<std::string> axes, const char* description,
                  double minimum, std::optional<double> maximum, bool nan_allowed = false) {
  return {.path = path,
          .type = type,
          .axes = std::move(axes),
          .description = description,
          .minimum = minimum,
          .maximum = maximum,
          .nan_allowed = nan_allowed};
}

}  // namespace

const Definition vmf_features_definition = {
    .name = "vmf_features",
    .title = "Unit feature vectors of von Mises-Fisher classes",
    .theme = "science",
    .stands_for =
        "ResNet50 convolution features of CIFAR10's 50,000 training images, scaled to unit length: 10 "
        "classes of 5,000 points in 2,048 to 32,768 dimensions, with mean resultant lengths of 0.2, 0.5 and "
        "0.9",
    .source = "CIFAR-10 (https://www.cs.toronto.edu/~kriz/cifar.html) through torchvision's ResNet50",
    .arrays = {array("/vmf/mean_res", ElementType::f64, {"concentration", "class"}, "mean resultant length",
                     0, 1),
               array("/vmf/n", ElementType::u64, {"concentration", "class"}, "points of the class", 1, {}),
               array("/vmf/kappa_true", ElementType::f64, {"concentration"},
                     "concentration; NaN where unknown", 0, {}, true),
               array("/vmf/samples", ElementType::f32, {"row", "dimension"}, "unit vectors", -1.000001,
                     1.000001)},
    .extents = extents,
    .generate = generate,
    .import = import_features,
    .import_help =
        "one .npy file, float32, C order, [images, d]: a feature vector per image (ResNet50 on CIFAR10: "
        "[50000, d])",
    .examples = {vmf_features(2048, 64, 1), vmf_features(8192, 64, 1), vmf_features(32768, 64, 1)},
};

Parameters vmf_features(std::size_t d, std::size_t rows, std::uint64_t seed) {
  return parameters({{"d", d}, {"rows", rows}}, seed);
}

VmfFeatures read_vmf_features(Reader& reader) {
  const Shape results = reader.shape("/vmf/mean_res"), samples = reader.shape("/vmf/samples");
  return {.d = static_cast<std::size_t>(samples[1]),
          .concentrations = static_cast<std::size_t>(results[0]),
          .classes = static_cast<std::size_t>(results[1]),
          .rows = static_cast<std::size_t>(samples[0]),
          .mean_resultant = reader.f64("/vmf/mean_res"),
          .n = reader.u64("/vmf/n"),
          .kappa_true = reader.f64("/vmf/kappa_true"),
          .samples = reader.f32("/vmf/samples")};
}

}  // namespace remeasure::datasets
