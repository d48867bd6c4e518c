// SPDX-License-Identifier: Apache-2.0
#include <Eigen/Core>
#include <algorithm>
#include <complex>
#include <stdexcept>
#include <string>
#include <unsupported/Eigen/FFT>

#include "baselines/sequences/fourier_convolution.h"
#include "kernels/parallel_tasks.h"

namespace remeasure::baselines {
namespace {

using kernels::Signal;

void check(const char* what, const ConvolutionShape& shape, std::size_t u, std::size_t y) {
  if (shape.signal != Signal::real || shape.hop != 0)
    throw std::invalid_argument(std::string(what) + ": real signals, whole sequences only");
  if (shape.length > shape.transform || u != shape.values() || y != shape.values()) {
    throw std::invalid_argument(std::string(what) + ": " + std::to_string(u) + " values in, " +
                                std::to_string(y) + " out; batch * channels * length is " +
                                std::to_string(shape.values()) + ", the transform " +
                                std::to_string(shape.transform));
  }
}

}  // namespace

std::vector<float> fourier_filters_eigen(const ConvolutionShape& shape, std::span<const float> filters) {
  const auto channels = static_cast<std::size_t>(shape.channels),
             transform = static_cast<std::size_t>(shape.transform);
  const std::size_t taps = filters.size() / channels;
  std::vector<float> padded(channels * transform, 0.0f);
  for (std::size_t i = 0; i < filters.size(); ++i) padded[i / taps * transform + i % taps] = filters[i];
  const FourierShape of{Fourier::real_to_complex, transform, channels};
  std::vector<float> spectra(of.spectrum_values());
  EigenTransform(of).forward(padded, spectra);
  return spectra;
}

void fourier_convolution_eigen(const ConvolutionShape& shape, std::span<const float> u,
                               std::span<const float> pregate, std::span<const float> spectra,
                               std::span<const float> postgate, std::span<float> y, int threads) {
  check("fourier_convolution_eigen", shape, u.size(), y.size());
  const auto length = static_cast<std::size_t>(shape.length),
             transform = static_cast<std::size_t>(shape.transform);
  const std::size_t bins = transform / 2 + 1;
  const auto* filter = reinterpret_cast<const std::complex<float>*>(spectra.data());
  kernels::for_each_row_block(1, shape.batch * shape.channels, threads, [&](int, int first, int count) {
    Eigen::FFT<float> fft;
    fft.SetFlag(Eigen::FFT<float>::HalfSpectrum);
    Eigen::ArrayXf x = Eigen::ArrayXf::Zero(shape.transform);
    Eigen::ArrayXcf spectrum(static_cast<Eigen::Index>(bins));
    for (auto row = static_cast<std::size_t>(first); row < static_cast<std::size_t>(first + count); ++row) {
      const auto part = [&](std::span<const float> values) {
        return Eigen::Map<const Eigen::ArrayXf>(values.data() + row * length, shape.length);
      };
      x.tail(shape.transform - shape.length).setZero();
      if (pregate.empty())
        x.head(shape.length) = part(u);
      else
        x.head(shape.length) = part(u) * part(pregate);
      fft.fwd(spectrum.data(), x.data(), static_cast<Eigen::Index>(transform));
      spectrum *= Eigen::Map<const Eigen::ArrayXcf>(
          filter + row % static_cast<std::size_t>(shape.channels) * bins, static_cast<Eigen::Index>(bins));
      fft.inv(x.data(), spectrum.data(), static_cast<Eigen::Index>(transform));
      Eigen::Map<Eigen::ArrayXf> out(y.data() + row * length, shape.length);
      if (postgate.empty())
        out = x.head(shape.length);
      else
        out = x.head(shape.length) * part(postgate);
    }
  });
}

void direct_convolution_eigen(const ConvolutionShape& shape, std::span<const float> u,
                              std::span<const float> filters, std::span<float> y, int threads) {
  check("direct_convolution_eigen", shape, u.size(), y.size());
  const Eigen::Index length = shape.length;
  const Eigen::Index taps = static_cast<Eigen::Index>(filters.size()) / shape.channels;
  kernels::for_each_row_block(1, shape.batch * shape.channels, threads, [&](int, int first, int count) {
    for (Eigen::Index row = first; row < first + count; ++row) {
      const Eigen::Map<const Eigen::ArrayXf> x(u.data() + row * length, length);
      const float* filter = filters.data() + row % shape.channels * taps;
      Eigen::Map<Eigen::ArrayXf> out(y.data() + row * length, length);
      out.setZero();
      for (Eigen::Index j = 0; j < std::min(taps, length); ++j) {
        out.tail(length - j) += filter[j] * x.head(length - j);
        if (shape.transform == shape.length && j > 0) out.head(j) += filter[j] * x.tail(j);
      }
    }
  });
}

}  // namespace remeasure::baselines
