// SPDX-License-Identifier: Apache-2.0
#include <complex>
#include <stdexcept>
#include <string>
#include <unsupported/Eigen/FFT>
#include <vector>

#include "baselines/sequences/fourier.h"
#include "kernels/parallel_tasks.h"

namespace remeasure::baselines {

void check_transform(const char* what, const FourierShape& shape, bool forward, std::size_t time,
                     std::size_t spectrum) {
  if (shape.kind == (forward ? Fourier::complex_to_real : Fourier::real_to_complex)) {
    throw std::invalid_argument(std::string(what) + ": this plan has no " +
                                (forward ? "forward" : "inverse") + " direction");
  }
  if (time == shape.time_values() && spectrum == shape.spectrum_values()) return;
  throw std::invalid_argument(std::string(what) + ": " + std::to_string(time) + " values in time and " +
                              std::to_string(spectrum) + " of spectra; the shape has " +
                              std::to_string(shape.time_values()) + " and " +
                              std::to_string(shape.spectrum_values()));
}

EigenTransform::EigenTransform(const FourierShape& shape, int threads) : shape_(shape), threads_(threads) {
  if (shape.length < 2 || shape.batch == 0) {
    throw std::invalid_argument("EigenTransform: " + std::to_string(shape.batch) + " sequences of " +
                                std::to_string(shape.length));
  }
}

void EigenTransform::forward(std::span<const float> time, std::span<float> spectrum) const {
  check_transform("EigenTransform::forward", shape_, true, time.size(), spectrum.size());
  const bool real = shape_.kind == Fourier::real_to_complex;
  auto* to = reinterpret_cast<std::complex<float>*>(spectrum.data());
  kernels::for_each_row_block(1, static_cast<int>(shape_.batch), threads_, [&](int, int first, int count) {
    Eigen::FFT<float> fft;
    if (real) fft.SetFlag(Eigen::FFT<float>::HalfSpectrum);
    for (auto i = static_cast<std::size_t>(first); i < static_cast<std::size_t>(first + count); ++i) {
      const auto length = static_cast<Eigen::Index>(shape_.length);
      if (real)
        fft.fwd(to + i * shape_.bins(), time.data() + i * shape_.length, length);
      else
        fft.fwd(to + i * shape_.bins(),
                reinterpret_cast<const std::complex<float>*>(time.data()) + i * shape_.length, length);
    }
  });
}

void EigenTransform::inverse(std::span<const float> spectrum, std::span<float> time) const {
  check_transform("EigenTransform::inverse", shape_, false, time.size(), spectrum.size());
  const bool real = shape_.kind == Fourier::complex_to_real;
  const auto* from = reinterpret_cast<const std::complex<float>*>(spectrum.data());
  kernels::for_each_row_block(1, static_cast<int>(shape_.batch), threads_, [&](int, int first, int count) {
    Eigen::FFT<float> fft;
    fft.SetFlag(Eigen::FFT<float>::Unscaled);
    if (real) fft.SetFlag(Eigen::FFT<float>::HalfSpectrum);
    for (auto i = static_cast<std::size_t>(first); i < static_cast<std::size_t>(first + count); ++i) {
      const auto length = static_cast<Eigen::Index>(shape_.length);
      if (real)
        fft.inv(time.data() + i * shape_.length, from + i * shape_.bins(), length);
      else
        fft.inv(reinterpret_cast<std::complex<float>*>(time.data()) + i * shape_.length,
                from + i * shape_.bins(), length);
    }
  });
}

}  // namespace remeasure::baselines
