// SPDX-License-Identifier: Apache-2.0
#include "datasets/sequences/long_convolution.h"

#include <fmt/format.h>

#include <cmath>
#include <numbers>
#include <string>

#include "datasets/import/npy.h"
#include "datasets/random.h"
#include "datasets/schema.h"

namespace remeasure::datasets {
namespace {

constexpr std::size_t kSines = 8;
constexpr std::uint64_t kMostValues = std::uint64_t{1} << 28;

enum Stream : std::uint64_t { signal_stream = 1, pregate_stream, postgate_stream, sine_stream };

/// exp from + - * alone, so that every machine gives the same bits: Taylor at x / 1024, squared ten times;
/// error below 1e-12 for |x| <= 200. Older than datasets/portable_math.h, whose last bits differ: recorded
/// results name the files that this one makes, so it goes when generator_version is raised for another
/// reason.
double portable_exp(double x) {
  const double small = x / 1024;
  double term = 1, sum = 1;
  for (int i = 1; i < 16; ++i) sum += term *= small / i;
  for (int i = 0; i < 10; ++i) sum *= sum;
  return sum;
}

Shape shape_of(const Parameters& parameters) {
  const Shape shape = {parameters.extent("batch"), parameters.extent("channels"),
                       parameters.extent("length")};
  if (shape[0] > kMostValues / shape[1] || shape[0] * shape[1] > kMostValues / shape[2]) {
    throw DatasetError(
        fmt::format("long_convolution: batch {} x channels {} x length {}; at most {} values in all",
                    shape[0], shape[1], shape[2], kMostValues));
  }
  return shape;
}

std::vector<float> gauss(const Philox& random, std::size_t size) {
  std::vector<float> values(size);
  for (std::size_t i = 0; i < size; ++i) values[i] = static_cast<float>(random.normal(i));
  return values;
}

std::vector<float> hyena_filters(std::uint64_t seed, std::size_t channels, std::size_t length) {
  const Philox random(seed, sine_stream);
  std::vector<float> filters(channels * length);
  for (std::size_t h = 0; h < channels; ++h) {
    const double place = channels == 1 ? 0.5 : static_cast<double>(h) / static_cast<double>(channels - 1);
    const double rate = portable_exp(portable_log(100) * place) / static_cast<double>(length);
    const double factor = portable_exp(-rate);
    double decay = 1.0 / kSines;
    for (std::size_t t = 0; t < length; ++t, decay *= factor) {
      double sum = 0;
      for (std::size_t s = 0; s < kSines; ++s) {
        const std::uint64_t index = 2 * (h * kSines + s);
        sum += portable_cospi(random.uniform(index) * static_cast<double>(t) + 2 * random.uniform(index + 1));
      }
      filters[h * length + t] = static_cast<float>(decay * sum);
    }
  }
  return filters;
}

void write(Writer& writer, const Parameters& parameters, const std::vector<float>& filters) {
  const Shape shape = shape_of(parameters);
  const std::size_t values = shape[0] * shape[1] * shape[2];
  const auto put = [&](const char* path, Stream stream) {
    const std::vector<float> noise = gauss(Philox(parameters.seed, stream), values);
    writer.array(path, std::span<const float>(noise), shape);
  };
  put("/u", signal_stream);
  put("/pregate", pregate_stream);
  put("/postgate", postgate_stream);
  writer.array("/k", std::span<const float>(filters), {shape[1], shape[2]});
  std::vector<float> lowpass;
  for (const double fc : kLowpassCutoffs) {
    for (std::size_t h = 0; h < shape[1]; ++h) {
      const std::vector<float> smooth =
          gaussian_lowpass(std::span(filters).subspan(h * shape[2], shape[2]), fc);
      lowpass.insert(lowpass.end(), smooth.begin(), smooth.end());
    }
  }
  writer.array("/k_lowpass", std::span<const float>(lowpass),
               {std::size(kLowpassCutoffs), shape[1], shape[2]});
  double squares = 0;
  for (const float x : filters) squares += static_cast<double>(x) * static_cast<double>(x);
  writer.attribute("filter_square_sum", squares / static_cast<double>(shape[1]));
}

void generate(const Parameters& parameters, Writer& writer) {
  const Shape shape = shape_of(parameters);
  write(writer, parameters, hyena_filters(parameters.seed, shape[1], shape[2]));
}

void import_filters(const std::filesystem::path& source, const Parameters& parameters, Writer& writer) {
  const Shape shape = shape_of(parameters);
  const NpyArray filters = read_npy(source);
  if (filters.shape != Shape{shape[1], shape[2]}) {
    throw DatasetError(fmt::format("{}: the array is {}; filters are [channels, length] = {}",
                                   source.string(), to_string(filters.shape),
                                   to_string(Shape{shape[1], shape[2]})));
  }
  write(writer, parameters, filters.as_f32());
}

}  // namespace

std::vector<float> gaussian_lowpass(std::span<const float> filter, double fc) {
  // Its response in time is a Gaussian too, of deviation 1 / (pi fc) samples; six of them hold it to 1e-8.
  const double deviation = 1 / (std::numbers::pi * fc);
  const auto reach = static_cast<std::size_t>(6 * deviation) + 1;
  const std::size_t length = filter.size();
  std::vector<double> response(2 * reach + 1);
  for (std::size_t i = 0; i < response.size(); ++i) {
    const double x = (static_cast<double>(i) - static_cast<double>(reach)) / deviation;
    response[i] = portable_exp(-x * x / 2) / (deviation * std::sqrt(2 * std::numbers::pi));
  }
  std::vector<float> result(length);
  for (std::size_t t = 0; t < length; ++t) {
    double sum = 0;
    for (std::size_t i = 0; i < response.size(); ++i) {
      sum +=
          response[i] * static_cast<double>(filter[(t + length * (1 + reach / length) + i - reach) % length]);
    }
    result[t] = static_cast<float>(sum);
  }
  return result;
}

const Definition long_convolution_definition = {
    .name = "long_convolution",
    .title = "Gated long convolution",
    .theme = "sequences",
    .schema_version = 1,
    .generator_version = 1,
    .stands_for =
        "activations and implicit filters of Hyena and HyenaDNA: filters decay over 1 to 1/100 of the "
        "sequence; trained ones are smooth, for which k_lowpass stands",
    .source = "https://github.com/HazyResearch/flash-fft-conv",
    .arrays =
        {{.path = "/u", .axes = {"batch", "channel", "time"}, .description = "signal, N(0, 1)"},
         {.path = "/pregate", .axes = {"batch", "channel", "time"}, .description = "multiplies the signal"},
         {.path = "/postgate", .axes = {"batch", "channel", "time"}, .description = "multiplies the result"},
         {.path = "/k", .axes = {"channel", "time"}, .description = "filter"},
         {.path = "/k_lowpass",
          .axes = {"cutoff", "channel", "time"},
          .description = "filter behind a Gaussian low-pass"}},
    .extents =
        [](const Parameters& p) {
          const Shape shape = shape_of(p);
          return Extents{{"batch", shape[0]},
                         {"channel", shape[1]},
                         {"time", shape[2]},
                         {"cutoff", std::size(kLowpassCutoffs)}};
        },
    .generate = generate,
    .import = import_filters,
    .import_help =
        "a .npy of filters [channels, length] in f4 or f8, exported from a checkpoint; signals and gates are "
        "generated",
    .examples = {long_convolution(1, 4, 256, 1)},
};

Parameters long_convolution(std::size_t batch, std::size_t channels, std::size_t length, std::uint64_t seed) {
  return parameters({{"batch", batch}, {"channels", channels}, {"length", length}}, seed);
}

LongConvolution read_long_convolution(Reader& reader) {
  const Shape shape = reader.shape("/u");
  return {shape[0],
          shape[1],
          shape[2],
          reader.f32("/u"),
          reader.f32("/pregate"),
          reader.f32("/postgate"),
          reader.f32("/k"),
          reader.f32("/k_lowpass")};
}

}  // namespace remeasure::datasets
