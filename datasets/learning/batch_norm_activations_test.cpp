// SPDX-License-Identifier: Apache-2.0
#include "datasets/learning/batch_norm_activations.h"

#include <testing/catch.h>
#include <cmath>

#include "datasets/test_support.h"

using namespace remeasure::datasets;
using namespace remeasure::datasets::testing;
using Catch::Matchers::ContainsSubstring;

namespace {

Activations stored(int images, int side, int channels, const ActivationLaw& law, std::uint64_t seed) {
  const TemporaryFolder folder;
  return read_batch_norm_activations(
      *Store(folder.path())
           .open(batch_norm_activations_definition,
                 batch_norm_activations(images, side, side, channels, law, seed))
           .reader);
}

/// In units of the channel's deviation, from its mean.
double standard(const Activations& a, int image, int y, int x, int channel) {
  const auto c = static_cast<std::size_t>(channel);
  const auto i = static_cast<std::size_t>(((image * a.height + y) * a.width + x) * a.channels + channel);
  return static_cast<double>(a.x[i] - a.mean[c]) / static_cast<double>(a.deviation[c]);
}

/// Mean product of pixels that lie (dy, dx) apart, in images `apart` from one another.
double correlation(const Activations& a, int apart, int dy, int dx) {
  double sum = 0;
  int count = 0;
  for (int n = 0; n + apart < a.images; ++n) {
    for (int c = 0; c < a.channels; ++c) {
      for (int y = 0; y + dy < a.height; ++y) {
        for (int x = 0; x + dx < a.width; ++x, ++count)
          sum += standard(a, n, y, x, c) * standard(a, n + apart, y + dy, x + dx, c);
      }
    }
  }
  return sum / count;
}

}  // namespace

TEST_CASE("pixels of a map correlate as the law says, those of different images don't", "[cpu]") {
  for (const ActivationLaw law : {ActivationLaw{}, ActivationLaw{0, 0}, ActivationLaw{0.5, 0}}) {
    const Activations a = stored(16, 16, 64, law, 5);
    INFO("rho " << law.rho << " offset " << law.offset);
    for (const auto& [dy, dx] : {std::pair{0, 0}, {0, 1}, {1, 0}, {2, 3}, {0, 12}})
      CHECK(std::abs(correlation(a, 0, dy, dx) - law.correlation(dy, dx)) < 0.03);
    CHECK(std::abs(correlation(a, 1, 0, 0)) < 0.03);
  }
  CHECK(ActivationLaw{}.correlation(0, 0) == 1.0);
  CHECK(std::abs(ActivationLaw{}.correlation(-1, 2) - (std::exp(-0.75) + 0.25) / 1.25) < 1e-15);
}

TEST_CASE("channels have scales and means of their own, gradients both kinds of sums", "[cpu]") {
  const Activations a = stored(8, 8, 400, {}, 2);
  double logs = 0, ratios = 0;
  for (std::size_t c = 0; c < 400; ++c) {
    const double log_scale =
        std::log(static_cast<double>(a.deviation[c])) - 0.5 * std::log(1.25);  // offset 0.5
    logs += log_scale * log_scale;
    const double ratio = static_cast<double>(a.mean[c]) / std::exp(log_scale);
    ratios += ratio * ratio;
  }
  CHECK(std::abs(logs / 400 - 0.25) < 0.06);
  CHECK(std::abs(ratios / 400 - 1) < 0.25);
  double sum = 0, product = 0;
  for (std::size_t i = 0; i < a.values(); ++i) {
    sum += static_cast<double>(a.gradient[i]);
    const std::size_t c = i % 400;
    product +=
        static_cast<double>(a.gradient[i]) * static_cast<double>((a.x[i] - a.mean[c]) / a.deviation[c]);
  }
  CHECK(std::abs(sum / static_cast<double>(a.values()) - 0.25) < 0.02);
  CHECK(std::abs(product / static_cast<double>(a.values()) - 0.25) < 0.02);
}

TEST_CASE("batch 0 is the file's, bit for bit; later ones share its channels", "[cpu]") {
  const Activations file = stored(3, 5, 7, {}, 9), again = activation_batch(3, 5, 5, 7, {}, 9, 0),
                    next = activation_batch(3, 5, 5, 7, {}, 9, 1);
  CHECK(again.x == file.x);
  CHECK(again.gradient == file.gradient);
  CHECK(next.mean == file.mean);
  CHECK(next.deviation == file.deviation);
  CHECK(next.x != file.x);
  CHECK(activation_batch(3, 5, 5, 7, {}, 9, 1, false).x == next.x);
}

TEST_CASE("laws that are none are refused", "[cpu]") {
  const auto make = [](const ActivationLaw& law) { return message_of([&] { stored(2, 4, 4, law, 1); }); };
  CHECK_THAT(make({1, 0.5}), ContainsSubstring("rho is 1"));
  CHECK_THAT(make({0.5, -1}), ContainsSubstring("offset -1"));
}

TEST_CASE("dumped activations become channels last, with the data's own mean and deviation", "[cpu]") {
  const TemporaryFolder folder;
  const int images = 2, channels = 3, side = 2;
  std::vector<float> x, g;
  for (int i = 0; i < images * channels * side * side; ++i) {
    x.push_back(static_cast<float>(i * i % 17));
    g.push_back(static_cast<float>(-i));
  }
  write_npy(folder.path() / "x.npy", {2, 3, 2, 2}, x);
  write_npy(folder.path() / "g.npy", {2, 3, 2, 2}, g);
  Store store(folder.path() / "data");
  const Parameters p = batch_norm_activations(images, side, side, channels, {}, 1);
  store.import(batch_norm_activations_definition, folder.path(), p);
  const Activations a = read_batch_norm_activations(*store.open(batch_norm_activations_definition, p).reader);
  double sum = 0;
  for (int n = 0; n < images; ++n) {
    for (int pixel = 0; pixel < side * side; ++pixel) {
      for (int c = 0; c < channels; ++c) {
        const auto last = static_cast<std::size_t>((n * side * side + pixel) * channels + c);
        const auto planar = static_cast<std::size_t>((n * channels + c) * side * side + pixel);
        CHECK(a.x[last] == x[planar]);
        CHECK(a.gradient[last] == g[planar]);
        if (c == 1) sum += static_cast<double>(x[planar]);
      }
    }
  }
  CHECK(std::abs(static_cast<double>(a.mean[1]) - sum / 8) < 1e-6);
  write_npy(folder.path() / "g.npy", {2, 3, 4}, g);
  CHECK_THAT(message_of([&] { store.import(batch_norm_activations_definition, folder.path(), p); }),
             ContainsSubstring("images, channels, height, width"));
}
