// SPDX-License-Identifier: Apache-2.0
#include "kernels/spiking/sequence_layout.h"
#include "kernels/device/testing/normal_values.h"

#include <testing/catch.h>
#include <complex>
#include <vector>

using namespace remeasure;
using namespace remeasure::kernels;
using namespace remeasure::kernels::testing;

TEST_CASE("layers become padded sequences, and cropped sequences layers, at sizes around the tile",
          "[simt]") {
  Device<Simt> device;
  Stream<Simt> stream(device);
  for (const auto& [shape, length] :
       {std::pair<SpikingShape, std::size_t>{{2, 33, 31}, 66}, {{1, 32, 32}, 32}, {{3, 1, 65}, 5}}) {
    const std::vector<float> current = normal_values(shape.values(), 1);
    const std::size_t all = static_cast<std::size_t>(shape.batch * shape.neurons) * length;
    DeviceBuffer<Simt, float> x(device, shape.values()), sequences(device, all), back(device, shape.values());
    stream.upload(std::span<const float>(current), x.span());
    pad_sequences<Simt>(stream, shape, length, x, sequences);
    std::vector<float> padded(all);
    stream.download(std::as_const(sequences).span(), std::span<float>(padded));
    for (int b = 0; b < shape.batch; ++b) {
      for (int h = 0; h < shape.neurons; ++h) {
        for (std::size_t t = 0; t < length; ++t) {
          const bool inside = t < static_cast<std::size_t>(shape.steps);
          const std::size_t row = static_cast<std::size_t>(b * shape.steps) + t;
          const float wanted =
              inside ? current[row * static_cast<std::size_t>(shape.neurons) + static_cast<std::size_t>(h)]
                     : 0.0f;
          REQUIRE(padded[static_cast<std::size_t>(b * shape.neurons + h) * length + t] == wanted);
        }
      }
    }
    crop_sequences<Simt>(stream, shape, length, sequences, back);
    std::vector<float> cropped(shape.values());
    stream.download(std::as_const(back).span(), std::span<float>(cropped));
    CHECK(cropped == current);
  }
}

TEST_CASE("multiply_spectra is the complex product, scaled", "[simt]") {
  Device<Simt> device;
  Stream<Simt> stream(device);
  constexpr std::size_t kBins = 300, kCount = 2;
  const std::vector<float> response = normal_values(2 * kBins, 2),
                           spectra = normal_values(2 * kBins * kCount, 3);
  DeviceBuffer<Simt, float> r(device, response.size()), s(device, spectra.size());
  stream.upload(std::span<const float>(response), r.span());
  stream.upload(std::span<const float>(spectra), s.span());
  multiply_spectra<Simt>(stream, kBins, 0.5f, r, s);
  std::vector<float> out(spectra.size());
  stream.download(std::as_const(s).span(), std::span<float>(out));
  for (std::size_t i = 0; i < kBins * kCount; ++i) {
    const std::size_t k = i % kBins;
    const std::complex<float> wanted = 0.5f * std::complex<float>(spectra[2 * i], spectra[2 * i + 1]) *
                                       std::complex<float>(response[2 * k], response[2 * k + 1]);
    REQUIRE(std::abs(wanted - std::complex<float>(out[2 * i], out[2 * i + 1])) < 1e-5f);
  }
  CHECK_THROWS_WITH(multiply_spectra<Simt>(stream, kBins + 1, 1.0f, r, s),
                    Catch::Matchers::ContainsSubstring("301 bins, response of 600"));
}
