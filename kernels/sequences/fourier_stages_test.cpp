// SPDX-License-Identifier: Apache-2.0
#include "kernels/sequences/fourier_stages.h"

#include <testing/catch.h>
#include <vector>

#include "kernels/device/testing/normal_values.h"
#include "kernels/device/testing/test_bench.h"
#include "kernels/sequences/testing/convolution_problem.h"

using namespace remeasure;
using namespace remeasure::kernels;
using Catch::Matchers::ContainsSubstring;
using remeasure::kernels::testing::normal_values;
using remeasure::testing::TestBench;

namespace {

const ConvolutionShape kShape{3, 2, 100, 256};  // 1 / sqrt(256) = 1 / 16: exact

template <class Element>
std::vector<Element> rounded(const std::vector<float>& values) {
  std::vector<Element> result;
  for (const float value : values) result.push_back(Element(value));
  return result;
}

/// Bit for bit: the arithmetic is float's, and rounded once on the way to memory.
template <class Element, class Value>
void check_stages(bool complex) {
  TestBench<Simt> bench;
  const std::vector<Element> values = rounded<Element>(normal_values(kShape.values(), 1)),
                             gates = rounded<Element>(normal_values(kShape.values(), 2));
  const auto u = bench.upload(values), gate = bench.upload(gates);
  const auto number = [](auto value) { return static_cast<float>(value); };
  const std::size_t stride = complex ? 2 : 1;
  auto sequences = bench.output<Value>(6 * 256 * stride);
  gate_and_pad<Simt, Element, Value>(bench.stream(), kShape, complex, u, gate, sequences);
  const std::vector<Value> padded = bench.download(sequences);
  for (std::size_t i = 0; i < 6 * 256; ++i) {
    const std::size_t at = i / 256 * 100 + i % 256;
    const float expected = i % 256 < 100 ? number(values[at]) * number(gates[at]) * 0.0625f : 0.0f;
    REQUIRE(number(padded[stride * i]) == number(Value(expected)));
    if (complex) REQUIRE(number(padded[2 * i + 1]) == 0.0f);
  }
  auto y = bench.output<Element>(kShape.values());
  const auto scaled = [&](std::size_t i) {
    return number(padded[stride * (i / 100 * 256 + i % 100)]) * 0.0625f;
  };
  crop_and_gate<Simt, Element, Value>(bench.stream(), kShape, complex, sequences, {}, y);
  const std::vector<Element> cropped = bench.download(y);
  for (std::size_t i = 0; i < cropped.size(); ++i) REQUIRE(number(cropped[i]) == number(Element(scaled(i))));
  crop_and_gate<Simt, Element, Value>(bench.stream(), kShape, complex, sequences, gate, y);
  const std::vector<Element> gated = bench.download(y);
  for (std::size_t i = 0; i < gated.size(); ++i)
    REQUIRE(number(gated[i]) == number(Element(scaled(i) * number(gates[i]))));
}

template <class Value>
void check_products() {
  TestBench<Simt> bench;
  const std::size_t bins = 129;
  const std::vector<Value> spectra = rounded<Value>(normal_values(6 * bins * 2, 3)),
                           filters = rounded<Value>(normal_values(2 * bins * 2, 4));
  auto x = bench.upload(spectra);
  const auto filter = bench.upload(filters);
  multiply_by_channel<Simt, Value>(bench.stream(), kShape, bins, filter, x);
  const std::vector<Value> result = bench.download(x);
  const auto number = [](Value value) { return static_cast<double>(static_cast<float>(value)); };
  const double rounding = sizeof(Value) == 2 ? 0x1p-11 : 0;  // of a half; float's are within the 1e-5
  for (std::size_t i = 0; i < 6 * bins; ++i) {
    const std::complex<double> a(number(spectra[2 * i]), number(spectra[2 * i + 1])),
        b(number(filters[2 * (i % (2 * bins))]), number(filters[2 * (i % (2 * bins)) + 1]));
    const std::complex<double> product = a * b;
    REQUIRE(std::abs(number(result[2 * i]) - product.real()) < 1e-5 + rounding * std::abs(product.real()));
    REQUIRE(std::abs(number(result[2 * i + 1]) - product.imag()) <
            1e-5 + rounding * std::abs(product.imag()));
  }
}

}  // namespace

TEST_CASE("sequences are gated, scaled and padded, real or complex, and cropped again", "[simt]") {
  for (const bool complex : {false, true}) {
    check_stages<float, float>(complex);
    check_stages<half, float>(complex);
    check_stages<half, half>(complex);
  }
}

TEST_CASE("multiply_by_channel multiplies every batch entry by its channel's spectrum", "[simt]") {
  check_products<float>();
  check_products<half>();
}

TEST_CASE("multiply_by_channel refuses sizes and shapes that don't fit", "[simt]") {
  TestBench<Simt> bench;
  auto x = bench.output<float>(6 * 129 * 2);
  const auto filter = bench.upload(normal_values(2 * 129 * 2, 4));
  CHECK_THROWS_WITH((multiply_by_channel<Simt, float>(bench.stream(), kShape, 128, filter, x)),
                    ContainsSubstring("filter has 516 values; 512"));
  const ConvolutionShape windows{3, 2, 100, 256, 64};
  CHECK_THROWS_WITH((multiply_by_channel<Simt, float>(bench.stream(), windows, 129, filter, x)),
                    ContainsSubstring("hop 64"));
}
