// SPDX-License-Identifier: Apache-2.0
#include "kernels/sequences/fourier_stages.h"

#include <testing/catch.h>
#include <vector>

#include "kernels/device/testing/test_bench.h"
#include "kernels/sequences/testing/convolution_problem.h"

using namespace remeasure;
using namespace remeasure::kernels;
using Catch::Matchers::ContainsSubstring;
using remeasure::kernels::testing::noise;
using remeasure::testing::TestBench;

namespace {

const ConvolutionShape kShape{3, 2, 100, 256};  // 1 / sqrt(256) = 1 / 16: exact

}  // namespace

TEST_CASE("sequences are gated, scaled and padded, real or complex, and cropped again", "[simt]") {
  for (const bool complex : {false, true}) {
    TestBench<Simt> bench;
    const std::vector<float> values = noise(kShape.values(), 1), gates = noise(kShape.values(), 2);
    const auto u = bench.upload(values), gate = bench.upload(gates);
    const std::size_t stride = complex ? 2 : 1;
    auto sequences = bench.output<float>(6 * 256 * stride);
    gate_and_pad<Simt, float, float>(bench.stream(), kShape, complex, u, gate, sequences);
    const std::vector<float> padded = bench.download(sequences);
    for (std::size_t i = 0; i < 6 * 256; ++i) {
      const std::size_t at = i / 256 * 100 + i % 256;
      REQUIRE(padded[stride * i] == (i % 256 < 100 ? values[at] * gates[at] * 0.0625f : 0.0f));
      if (complex) REQUIRE(padded[2 * i + 1] == 0.0f);
    }
    auto y = bench.output<float>(kShape.values());
    crop_and_gate<Simt, float, float>(bench.stream(), kShape, complex, sequences, {}, y);
    const std::vector<float> cropped = bench.download(y);
    for (std::size_t i = 0; i < cropped.size(); ++i)
      REQUIRE(cropped[i] == values[i] * gates[i] * 0.0625f * 0.0625f);
    crop_and_gate<Simt, float, float>(bench.stream(), kShape, complex, sequences, gate, y);
    const std::vector<float> gated = bench.download(y);
    for (std::size_t i = 0; i < gated.size(); ++i) REQUIRE(gated[i] == cropped[i] * gates[i]);
  }
}

TEST_CASE("multiply_by_channel multiplies every batch entry by its channel's spectrum", "[simt]") {
  TestBench<Simt> bench;
  const std::size_t bins = 129;
  const std::vector<float> spectra = noise(6 * bins * 2, 3), filters = noise(2 * bins * 2, 4);
  auto x = bench.upload(spectra);
  const auto filter = bench.upload(filters);
  multiply_by_channel<Simt, float>(bench.stream(), kShape, bins, filter, x);
  const std::vector<float> result = bench.download(x);
  for (std::size_t i = 0; i < 6 * bins; ++i) {
    const std::complex<double> a(spectra[2 * i], spectra[2 * i + 1]),
        b(filters[2 * (i % (2 * bins))], filters[2 * (i % (2 * bins)) + 1]);
    const std::complex<double> product = a * b;
    REQUIRE(std::abs(static_cast<double>(result[2 * i]) - product.real()) < 1e-5);
    REQUIRE(std::abs(static_cast<double>(result[2 * i + 1]) - product.imag()) < 1e-5);
  }
  CHECK_THROWS_WITH((multiply_by_channel<Simt, float>(bench.stream(), kShape, 128, filter, x)),
                    ContainsSubstring("filter has 516 values; 512"));
  const ConvolutionShape windows{3, 2, 100, 256, 64};
  CHECK_THROWS_WITH((multiply_by_channel<Simt, float>(bench.stream(), windows, bins, filter, x)),
                    ContainsSubstring("hop 64"));
}
