// SPDX-License-Identifier: Apache-2.0
#include "baselines/sequences/fourier.h"

#include <testing/catch.h>
#include <cmath>
#include <vector>

#include "baselines/sequences/fourier_convolution.h"
#include "kernels/device/testing/normal_values.h"
#include "kernels/sequences/testing/convolution_problem.h"

using namespace remeasure;
using namespace remeasure::baselines;
using namespace remeasure::kernels::testing;
using Catch::Matchers::ContainsSubstring;
using kernels::root_of_unity;
using kernels::Signal;

TEST_CASE("Eigen's transforms are the DFT, complex and real, and unscaled inverses", "[cpu]") {
  const std::size_t length = 24, batch = 5;
  const std::vector<float> values = normal_values(2 * length * batch, 1);
  const FourierShape complex{Fourier::complex_to_complex, length, batch},
      real{Fourier::real_to_complex, length, batch};
  std::vector<float> spectrum(complex.spectrum_values()), half_spectrum(real.spectrum_values());
  const std::vector<float> reals(values.begin(),
                                 values.begin() + static_cast<std::ptrdiff_t>(length * batch));
  EigenTransform(complex, 2).forward(values, spectrum);
  EigenTransform(real).forward(reals, half_spectrum);
  for (std::size_t b = 0; b < batch; ++b) {
    for (std::size_t k = 0; k < length; ++k) {
      std::complex<double> sum = 0, of_reals = 0;
      for (std::size_t n = 0; n < length; ++n) {
        const std::size_t at = b * length + n;
        sum += std::complex<double>(values[2 * at], values[2 * at + 1]) * root_of_unity(k * n, length);
        of_reals += static_cast<double>(reals[at]) * root_of_unity(k * n, length);
      }
      const std::size_t at = 2 * (b * length + k);
      REQUIRE(std::abs(sum - std::complex<double>(spectrum[at], spectrum[at + 1])) < 1e-4);
      if (k >= real.bins()) continue;
      const std::size_t half_at = 2 * (b * real.bins() + k);
      REQUIRE(std::abs(of_reals - std::complex<double>(half_spectrum[half_at], half_spectrum[half_at + 1])) <
              1e-4);
    }
  }
  std::vector<float> back(values.size()), real_back(reals.size());
  EigenTransform(complex).inverse(spectrum, back);
  EigenTransform({Fourier::complex_to_real, length, batch}).inverse(half_spectrum, real_back);
  for (std::size_t i = 0; i < back.size(); ++i) REQUIRE(std::abs(back[i] - 24 * values[i]) < 1e-3);
  for (std::size_t i = 0; i < real_back.size(); ++i) REQUIRE(std::abs(real_back[i] - 24 * reals[i]) < 1e-3);
  CHECK_THROWS_WITH(EigenTransform(real).inverse(half_spectrum, real_back),
                    ContainsSubstring("no inverse direction"));
  CHECK_THROWS_WITH(EigenTransform(real).forward(values, half_spectrum),
                    ContainsSubstring("240 values in time"));
}

TEST_CASE("convolution by Eigen's transforms and by the sum over pairs are the oracle's", "[cpu]") {
  for (const auto& [length, transform] : {std::pair{128, 128}, {100, 256}}) {
    const ConvolutionShape shape{2, 3, length, transform};
    for (const bool gated : {false, true}) {
      const Problem problem = make_problem(shape, length, gated);
      const std::vector<double> exact = oracle(shape, problem);
      std::vector<float> y(shape.values());
      fourier_convolution_eigen(shape, problem.u, problem.pregate,
                                fourier_filters_eigen(shape, problem.filters), problem.postgate, y);
      CHECK(relative_error(y, exact) < 1e-6);
      if (gated) continue;
      direct_convolution_eigen(shape, problem.u, problem.filters, y, 2);
      CHECK(relative_error(y, exact) < 1e-6);
    }
  }
  std::vector<float> y(64);
  CHECK_THROWS_WITH(direct_convolution_eigen({1, 1, 64, 32}, y, y, y), ContainsSubstring("the transform 32"));
  CHECK_THROWS_WITH(direct_convolution_eigen({1, 1, 64, 64, 0, Signal::packed}, y, y, y),
                    ContainsSubstring("real signals"));
}

TEST_CASE("cuFFT's convolutions are the oracle's on a GPU", "[gpu]") {
  if (Device<Cuda>::count() == 0) {
    WARN("no GPU: " << Device<Cuda>::why_not());
    return;
  }
  if constexpr (kBuiltWithCuda) {
    Device<Cuda> device;
    Stream<Cuda> stream(device);
    const ConvolutionShape shape{2, 3, 512, 1024};
    const Problem problem = make_problem(shape, 512, true);
    const std::vector<double> exact = oracle(shape, problem);
    const auto upload = [&](const std::vector<float>& values) {
      DeviceBuffer<Cuda, float> buffer(device, values.size());
      stream.upload(std::span<const float>(values), buffer.span());
      return buffer;
    };
    const auto u = upload(problem.u), pre = upload(problem.pregate), post = upload(problem.postgate);
    for (const CufftWay way : {CufftWay::complex, CufftWay::real}) {
      CufftConvolution<float> convolution(stream, shape, way, problem.filters);
      DeviceBuffer<Cuda, float> y(device, shape.values());
      convolution(u, pre, post, y);
      std::vector<float> result(shape.values());
      stream.download(std::as_const(y).span(), std::span<float>(result));
      CHECK(relative_error(result, exact) < 1e-5);
    }
  }
}
