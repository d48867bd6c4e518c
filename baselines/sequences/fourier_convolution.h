// SPDX-License-Identifier: Apache-2.0
//
// Long convolutions as they are done without the paper: transforms of a library with every step between them
// a pass over memory, and the sum over all pairs. Shapes in kernels/sequences/monarch.h; `signal` must be
// real, hop 0.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "baselines/sequences/fourier.h"
#include "kernels/sequences/monarch.h"

namespace remeasure::baselines {

using kernels::ConvolutionShape;

/// Eigen's FFT in float, real to complex: spectra of the filters ([channels, transform / 2 + 1], pairs).
std::vector<float> fourier_filters_eigen(const ConvolutionShape& shape, std::span<const float> filters);
/// y = postgate * iFFT(FFT(u * pregate) . spectra), a sequence at a time. Gates may be empty. 0 threads = all
/// cores.
void fourier_convolution_eigen(const ConvolutionShape& shape, std::span<const float> u,
                               std::span<const float> pregate, std::span<const float> spectra,
                               std::span<const float> postgate, std::span<float> y, int threads = 0);

/// The definition, O(length * taps): y[n] = sum_j filter[j] u[n - j], causal, or circular where transform ==
/// length. No gates.
void direct_convolution_eigen(const ConvolutionShape& shape, std::span<const float> u,
                              std::span<const float> filters, std::span<float> y, int threads = 0);

/// How cuFFT is used. `complex`: fft and ifft of complex fp32, as the reference of the paper; the others
/// transform real numbers.
enum class CufftWay { complex, real, real_half };

/// cuFFT with our kernels for gates, padding, product and crop; intermediates are in the ledger.
/// Element is that of the signals: float or half. Throws DeviceError where cuFFT fails.
template <class Element>
class CufftConvolution {
 public:
  /// `filters`: [channels, taps] on the host, transformed here.
  CufftConvolution(Stream<Cuda>& stream, const ConvolutionShape& shape, CufftWay way,
                   std::span<const float> filters);
  ~CufftConvolution();
  void operator()(DeviceSpan<Cuda, const Element> u, DeviceSpan<Cuda, const Element> pregate,
                  DeviceSpan<Cuda, const Element> postgate, DeviceSpan<Cuda, Element> y);

 private:
  struct Chain;
  std::unique_ptr<Chain> chain_;
};

}  // namespace remeasure::baselines
