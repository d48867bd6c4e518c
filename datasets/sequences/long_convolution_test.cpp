// SPDX-License-Identifier: Apache-2.0
#include "datasets/sequences/long_convolution.h"

#include <testing/catch.h>
#include <cmath>
#include <fstream>
#include <numbers>

#include "datasets/test_support.h"

using namespace remeasure::datasets;
using namespace remeasure::datasets::testing;
using Catch::Matchers::ContainsSubstring;

namespace {

double power(std::span<const float> x, std::size_t begin, std::size_t end) {
  double sum = 0;
  for (std::size_t i = begin; i < end; ++i) sum += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  return sum;
}

/// Magnitude of the DFT at frequency k.
double magnitude(std::span<const float> x, std::size_t k) {
  double re = 0, im = 0;
  for (std::size_t t = 0; t < x.size(); ++t) {
    const double angle =
        2 * std::numbers::pi * static_cast<double>(k * t % x.size()) / static_cast<double>(x.size());
    re += static_cast<double>(x[t]) * std::cos(angle), im += static_cast<double>(x[t]) * std::sin(angle);
  }
  return std::hypot(re, im);
}

}  // namespace

TEST_CASE("filters decay over all of the sequence in the first channel, over a hundredth in the last",
          "[cpu]") {
  const TemporaryFolder folder;
  Store store(folder.path());
  const LongConvolution data =
      read_long_convolution(*store.open(long_convolution_definition, long_convolution(2, 8, 1000, 3)).reader);
  REQUIRE(data.filter.size() == 8 * 1000);
  const std::span<const float> filter(data.filter);
  // exp(-a t): the second half has e^-a of the energy, a = 1 and 100.
  const double first = power(filter, 500, 1000) / power(filter, 0, 500);
  CHECK(first > 0.15);
  CHECK(first < 0.9);
  CHECK(power(filter.subspan(7000), 100, 1000) < 1e-5 * power(filter.subspan(7000), 0, 100));
  for (const float k : data.filter) REQUIRE(std::abs(k) <= 1.0f);
  CHECK(std::abs(power(data.u, 0, data.u.size()) / static_cast<double>(data.u.size()) - 1) < 0.05);
  CHECK(data.pregate != data.postgate);
}

TEST_CASE("the low-pass has the response of a Gaussian", "[cpu]") {
  std::vector<float> impulse(512, 0.0f);
  impulse[0] = 1;
  for (const double fc : kLowpassCutoffs) {
    const std::vector<float> smooth = gaussian_lowpass(impulse, fc);
    for (const std::size_t k : {0, 5, 20, 40, 100}) {
      const double f = static_cast<double>(k) / 256;  // of the Nyquist frequency
      CHECK(std::abs(magnitude(smooth, k) - std::exp(-0.5 * f * f / (fc * fc))) < 1e-5);
    }
  }
}

TEST_CASE("filters are imported from a .npy, and their shape is checked", "[cpu]") {
  const TemporaryFolder folder;
  Store store(folder.path() / "data");
  const std::filesystem::path file = folder.path() / "k.npy";
  std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 16), }";
  header.resize(117, ' ');
  header += '\n';
  std::ofstream out(file, std::ios::binary);
  out << std::string("\x93NUMPY\x01\x00", 8) << static_cast<char>(header.size()) << '\0' << header;
  for (int i = 0; i < 32; ++i) {
    const float value = static_cast<float>(i) / 32;
    out.write(reinterpret_cast<const char*>(&value), 4);
  }
  out.close();
  store.import(long_convolution_definition, file, long_convolution(1, 2, 16, 1));
  const Opened opened = store.open(long_convolution_definition, long_convolution(1, 2, 16, 1));
  CHECK_FALSE(opened.provenance.synthetic);
  const LongConvolution data = read_long_convolution(*opened.reader);
  CHECK(data.filter[17] == 17.0f / 32);
  CHECK_THROWS_WITH(store.import(long_convolution_definition, file, long_convolution(1, 4, 16, 1)),
                    ContainsSubstring("the array is [2, 16]; filters are"));
  CHECK_THROWS_WITH(store.open(long_convolution_definition, long_convolution(1 << 10, 1 << 10, 1 << 10, 1)),
                    ContainsSubstring("values in all"));
}
