// SPDX-License-Identifier: Apache-2.0
#include "datasets/convolution/sliding_channel_mixing.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "datasets/random.h"
#include "datasets/schema.h"

namespace remeasure::datasets {
namespace {

enum Stream : std::uint64_t { inputs, first_map, second_map };

/// Rows of independent normals, made orthonormal one after another (twice, so that rounding doesn't add up):
/// the uniform distribution over orthogonal matrices.
std::vector<double> orthogonal(std::size_t n, std::uint64_t seed, std::uint64_t stream) {
  const Philox random(seed, stream);
  std::vector<double> q(n * n);
  for (std::size_t i = 0; i < n * n; ++i) q[i] = random.normal(i);
  for (std::size_t row = 0; row < n; ++row) {
    double* r = q.data() + row * n;
    for (int pass = 0; pass < 2; ++pass) {
      for (std::size_t before = 0; before < row; ++before) {
        const double* b = q.data() + before * n;
        double along = 0;
        for (std::size_t i = 0; i < n; ++i) along += r[i] * b[i];
        for (std::size_t i = 0; i < n; ++i) r[i] -= along * b[i];
      }
    }
    double squares = 0;
    for (std::size_t i = 0; i < n; ++i) squares += r[i] * r[i];
    const double length = std::sqrt(squares);
    for (std::size_t i = 0; i < n; ++i) r[i] /= length;
  }
  return q;
}

std::vector<float> as_float(const std::vector<double>& values) {
  return {values.begin(), values.end()};
}

/// out[s, i] = sum_j matrix[i, j] in[s, j]
std::vector<double> mapped(const std::vector<double>& in, const std::vector<double>& matrix, std::size_t n) {
  std::vector<double> out(in.size());
  for (std::size_t sample = 0; sample < in.size() / n; ++sample) {
    for (std::size_t i = 0; i < n; ++i) {
      double sum = 0;
      for (std::size_t j = 0; j < n; ++j) sum += matrix[i * n + j] * in[sample * n + j];
      out[sample * n + i] = sum;
    }
  }
  return out;
}

std::pair<std::size_t, std::size_t> extent_of(const Parameters& p) {
  const std::uint64_t samples = p.extent("samples"), channels = p.extent("channels");
  if (samples > 1'000'000 || channels > 512)
    throw DatasetError(fmt::format(
        "sliding_channel_mixing: {} samples of {} channels; at most 1000000 of 512", samples, channels));
  return {samples, channels};
}

void generate(const Parameters& p, Writer& out) {
  const auto [samples, n] = extent_of(p);
  const Philox random(p.seed, inputs);
  std::vector<double> x(samples * n);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<double>(static_cast<float>(random.normal(i)));
  const std::vector<double> a = orthogonal(n, p.seed, first_map), b = orthogonal(n, p.seed, second_map);
  std::vector<double> hidden = mapped(x, b, n);
  for (double& value : hidden) value = std::max(value, 0.0);
  out.array("/x", as_float(x), {samples, n});
  out.array("/linear", as_float(mapped(x, a, n)), {samples, n});
  out.array("/nonlinear", as_float(mapped(hidden, a, n)), {samples, n});
  out.array("/a", as_float(a), {n, n});
}

}  // namespace

const Definition sliding_channel_mixing_definition = {
    .name = "sliding_channel_mixing",
    .title = "Teachers that mix all channels",
    .theme = "convolution",
    .schema_version = 1,
    .generator_version = 1,
    .stands_for =
        "What a network asks of its 1x1 convolutions: every output depends on every channel. It tests the "
        "mechanism (who reaches what), not the accuracy on CIFAR-10 or ImageNet",
    .source = "synthetic in the literature",
    .arrays =
        {{.path = "/x", .axes = {"sample", "channel"}, .description = "N(0, 1)"},
         {.path = "/linear", .axes = {"sample", "channel"}, .description = "A x, A orthogonal"},
         {.path = "/nonlinear", .axes = {"sample", "channel"}, .description = "A relu(B x), B orthogonal"},
         {.path = "/a", .axes = {"output", "channel"}, .description = "A", .minimum = -1, .maximum = 1}},
    .extents =
        [](const Parameters& p) {
          const auto [samples, n] = extent_of(p);
          return Extents{{"sample", samples}, {"channel", n}, {"output", n}};
        },
    .generate = generate,
    .examples = {sliding_channel_mixing(2000, 32, 1)},
};

Parameters sliding_channel_mixing(std::size_t samples, std::size_t channels, std::uint64_t seed) {
  return parameters({{"channels", channels}, {"samples", samples}}, seed);
}

ChannelMixing read_sliding_channel_mixing(Reader& reader) {
  const Shape shape = reader.shape("/x");
  return {.samples = shape[0],
          .channels = shape[1],
          .x = reader.f32("/x"),
          .linear = reader.f32("/linear"),
          .nonlinear = reader.f32("/nonlinear"),
          .a = reader.f32("/a")};
}

}  // namespace remeasure::datasets
