// SPDX-License-Identifier: Apache-2.0
//
// Monarch transforms and convolutions in plain Eigen, a template on the scalar: in `float` the timed CPU
// method. And the independent oracle, by Eigen's FFT in double. Both throw std::invalid_argument for sizes
// that don't fit.
#pragma once

#include <complex>
#include <span>
#include <vector>

#include "kernels/sequences/monarch.h"

namespace remeasure::kernels {

/// In place, to the order of MonarchFactors::frequency. Not scaled.
template <class Scalar>
void monarch_transform(const MonarchFactors& factors, std::span<std::complex<Scalar>> x);
/// Back from that order, divided by the size.
template <class Scalar>
void monarch_inverse(const MonarchFactors& factors, std::span<std::complex<Scalar>> x);

/// What a convolution multiplies by, in the transform's order. Real and complex signals: the spectrum of
/// `filter` (zeros beyond its taps). Packed signals: the pairs (A, B) of Y = A Z + B conj(Z mirrored) of each
/// position: with Ke, Ko the spectra of the even and the odd taps and w = W_points^k,  A = Ke + i Ko (1 - w)
/// / 2,  B = i Ko (1 + w) / 2.
std::vector<std::complex<double>> monarch_filter(const MonarchFactors& factors, Signal signal,
                                                 std::span<const float> filter);

/// y = postgate * convolution(u * pregate, filter). Gates may be empty; `filters` is [channels, taps]. Batch
/// entries and channels are split over `threads` (0 = all cores). Spectra of the filters are part of the run,
/// once per channel.
template <class Scalar>
void monarch_convolution_reference(const ConvolutionShape& shape, const MonarchFactors& factors,
                                   std::span<const float> u, std::span<const float> pregate,
                                   std::span<const float> filters, std::span<const float> postgate,
                                   std::span<Scalar> y, int threads = 0);

/// The same with the spectra given: [channels, points] of the scalar.
template <class Scalar>
std::vector<std::complex<Scalar>> monarch_filters(const ConvolutionShape& shape,
                                                  const MonarchFactors& factors,
                                                  std::span<const float> filters);
template <class Scalar>
void monarch_convolution_reference(const ConvolutionShape& shape, const MonarchFactors& factors,
                                   std::span<const float> u, std::span<const float> pregate,
                                   std::span<const std::complex<Scalar>> spectra,
                                   std::span<const float> postgate, std::span<Scalar> y, int threads = 0);

/// One channel of one batch entry in double by Eigen's FFT of length `transform` (any length): the oracle. u,
/// gates, y: [length] (gates may be empty), `u` with an imaginary plane behind it where y.size() is 2 length.
/// `spectrum_mask`, [transform], multiplies the filter's spectrum in natural order where it isn't empty.
std::vector<double> convolution_oracle(std::size_t transform, std::span<const float> u,
                                       std::span<const float> pregate, std::span<const float> filter,
                                       std::span<const float> postgate,
                                       std::span<const double> spectrum_mask = {},
                                       bool complex_signal = false);

}  // namespace remeasure::kernels
